"""What this toolkit has left on a host: packages, edits, units, containers and files of ours. Not part of the probe: only an uninstall asks."""

from __future__ import annotations

from deploys.knowledge.paths import (
    EDITS_RECORD,
    ENABLED_RECORD,
    HOLDS_LEDGER,
    INSTALLED_RECORD,
    MONITORING_FOLDER,
    OWNED_FILES,
    PULL_CONFIG,
    PULL_UNITS,
    SERVICE_LABEL,
    SERVICE_UNITS,
    SERVICES_FOLDER,
    STATE_DIR,
)
from deploys.plan.machine import Footprint
from facts.base import SubjectFact
from facts.packages import MANAGER
from facts.subject import Subject
from facts.text import Tagged

_PATHS = (
    *OWNED_FILES,
    *PULL_UNITS,
    PULL_CONFIG,
    HOLDS_LEDGER,
    SERVICES_FOLDER,
    MONITORING_FOLDER,
    "/etc/gpu-host",
    STATE_DIR,
)

# A transaction that was cut off has left what it was about to bring in a file of its own.
_SCRIPT = (
    MANAGER
    + r"""
m=$(manager)
[ -n "$m" ] || { echo 'missing package manager'; exit 69; }
names() {
  case $m in
  apt) dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^.i //p' ;;
  pacman) pacman -Qq ;;
  *) rpm -qa --qf '%{NAME}\n' ;;
  esac
}
"""
    + f"""
names | awk 'FILENAME == "-" {{ there[$1] = 1; next }} ($1 in there) && !seen[$1]++ {{ print "package", $1, $2 }}' - \
  $(ls {INSTALLED_RECORD} {STATE_DIR}/installing 2>/dev/null)
tag edit <{EDITS_RECORD}
sort -u {ENABLED_RECORD} | tag enabled
for f in {SERVICE_UNITS}; do [ -e "$f" ] && echo "service ${{f##*/}}"; done
for f in {" ".join(_PATHS)}; do if [ -e "$f" ] || [ -L "$f" ]; then echo "path $f"; fi; done
have docker && systemctl is-active --quiet docker.service || exit 0
timeout 20 docker -H unix:///var/run/docker.sock ps -a --filter label={SERVICE_LABEL} --format '{{{{.Names}}}} {{{{.State}}}}' | tag container && echo engine
exit 0
"""
)


def parse(text: str) -> Footprint:
    """A package without a reason is one that was needed."""
    tagged = Tagged(text)
    packages = {name: reason.strip() for name, reason in tagged.words("package", 2)}
    containers = dict(tagged.words("container", 2)) if "engine" in tagged else None
    return Footprint(
        packages={n: r if r == "wanted" else "needed" for n, r in sorted(packages.items())},
        edits=tuple(line.strip() for line in tagged.all("edit")),
        enabled=tuple(line.strip() for line in tagged.all("enabled") if line.strip()),
        services=tuple(line.strip() for line in tagged.all("service") if line.strip()),
        containers=containers,
        paths=tuple(line.strip() for line in tagged.all("path") if line.strip()),
    )


SUBJECT = Subject("footprint", _SCRIPT, parse, Footprint(), seconds=60, limit=400_000)


class OurFootprint(SubjectFact[Footprint]):
    """What we have left on the host."""

    subject = SUBJECT
