"""What the host's own package index would install, and where installed packages came from (sources: apt-cache(8), pacman(8))."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deploys.knowledge.packages import PACMAN_PACKAGES, PROBED_PACKAGES
from deploys.plan.machine import Record
from facts.base import SubjectFact
from facts.packages import MANAGER
from facts.subject import Subject
from facts.text import Tagged

if TYPE_CHECKING:
    from collections.abc import Mapping

# apt-cache writes its cache when root runs it and the cache is stale. So it runs as nobody, who can use a good cache
# but not write one; where a file that it needs is closed to nobody, root works without any cache.
# It unpacks compressed lists into nameless temporary files, which are kept in memory here.
_SCRIPT = (
    MANAGER
    + f"names='{' '.join(PROBED_PACKAGES)}' pacman_names='{' '.join(PACMAN_PACKAGES)}'\n"
    + r"""
case $(manager) in
  apt) ;;
  pacman)
    offered=$(pacman -Sl) && [ -n "$offered" ] || exit 0
    names=$pacman_names
    printf 'asked %s\n' $names
    printf '%s\n' "$offered" | awk -v names=" $names " 'index(names, " " $2 " ") && !seen[$2]++ { print "offer " $2 " " $3 }'
    echo answered
    exit 0 ;;
  *) exit 0 ;;
esac
need apt-cache
names=$(
  { printf '%s\n' $names
    for f in /boot/vmlinuz-*; do [ -e "$f" ] && echo "linux-headers-${f#/boot/vmlinuz-}"; done
    echo "linux-headers-$(uname -r)"
    dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\n' | awk -F '\t' '$1 ~ /^.[^nc]/ { print $2 }' |
      grep -E 'nvidia|cuda|^docker|^containerd|^runc|podman|^dkms$|^linux-headers'
  } | sort -u | head -n 250)
closed=$(find -L /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/preferences /etc/apt/preferences.d \
  /etc/apt/apt.conf /etc/apt/apt.conf.d /var/lib/apt/lists -maxdepth 1 -type f ! -name lock ! -perm -004 | head -n 1)
if [ "$(id -u)" -ne 0 ]; then set -- apt-cache
elif [ -z "$closed" ] && have setpriv; then set -- setpriv --reuid=65534 --regid=65534 --clear-groups apt-cache
else set -- apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
fi
[ -d /dev/shm ] && export TMPDIR=/dev/shm
answer=$("$@" policy $names) ||
  answer=$(apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy $names) || exit 1
printf 'asked %s\n' $names
printf '%s\n' "$answer" | tag policy
echo answered
exit 0
"""
)


@dataclass(frozen=True)
class Candidates(Record):
    """`candidates` and `origins` as in Packages; `available` maps a name to the versions offered, newest first."""

    candidates: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    available: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class _Policy:
    """`table` holds each version with the repository lines that offer it, in apt's order."""

    installed: str = ""
    candidate: str = ""
    table: list[tuple[str, list[str]]] = field(default_factory=list)

    def read(self, line: str) -> None:
        if header := re.match(r"\s+(Installed|Candidate): (\S+)", line):
            value = "" if header.group(2) == "(none)" else header.group(2)
            setattr(self, header.group(1).lower(), value)
        elif source := re.match(r"\s{5,}\s*-?\d+ (\S.*)", line):
            if self.table and source.group(1) != "/var/lib/dpkg/status":
                self.table[-1][1].append(source.group(1).strip())
        elif version := re.match(r" (?:\*\*\*|   ) (\S+)(?: -?\d+)?\s*$", line):
            self.table.append((version.group(1), []))


def parse(text: str) -> Candidates:
    """The index's answer; names that it does not know have the candidate "". Nothing where it did not answer."""
    tagged = Tagged(text)
    if "answered" not in tagged:
        return Candidates()
    policies: dict[str, _Policy] = {}
    current = _Policy()
    for line in tagged.all("policy"):
        if name := re.fullmatch(r"(\S+):", line.rstrip()):
            current = policies.setdefault(name.group(1), _Policy())
        else:
            current.read(line)
    candidates = {name.strip(): "" for name in tagged.all("asked") if name.strip()}
    candidates |= dict(tagged.words("offer", 2))
    return Candidates(
        candidates={**candidates, **{name: p.candidate for name, p in policies.items()}},
        origins={name: _origins(p) for name, p in policies.items() if p.installed},
        available={name: tuple(version for version, offers in p.table if offers) for name, p in policies.items()},
    )


def _origins(policy: _Policy) -> tuple[str, ...]:
    return tuple(line for version, offers in policy.table if version == policy.installed for line in offers)


SUBJECT = Subject("candidates", _SCRIPT, parse, Candidates(), seconds=60, limit=200_000, slow=True)


class PackageCandidates(SubjectFact[Candidates]):
    """Versions that the host's package index offers now, without refreshing it."""

    subject = SUBJECT
