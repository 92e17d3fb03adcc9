"""What a host has said about its GPU since it started: kernel, services, builds, containers and our own steps."""

from __future__ import annotations

from collections.abc import Mapping

from deploys.knowledge.paths import LOG_DIR
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

# What concerns a GPU; everything else stays on the host.
_WORDS = "nvidia|nvrm|nouveau|cuda|nvml|gpu|cdi|key was rejected|required key|cgroup subsystem|runtime name|cc version|command.line option"
PLACES = {
    "kernel": "kernel log",
    "services": "journal of the services",
    "smi": "nvidia-smi",
    "build": "build log of DKMS",
    "containers": "errors and last words of containers",
    "steps": f"logs of our steps ({LOG_DIR})",
    "packages": "log of the package manager",
}

# Reads only. A container's own output may hold anything: only lines about GPUs leave the host.
_SCRIPT = rf"""
words='{_WORDS}'
about() {{ grep -iE "$words" | tail -n "$1" | cut -c 1-400; }}
if log=$(dmesg 2>/dev/null); then echo 'looked kernel'; printf '%s\n' "$log" | about 60 | tag kernel; fi
if have journalctl && [ -d /run/systemd/system ]; then
  echo 'looked services'
  # Units and programs are asked for apart: together they would have to hold at once.
  {{ timeout 10 journalctl -b --no-pager -q -o cat -n 3000 -u docker.service -u containerd.service -u nvidia-persistenced.service \
      -u nvidia-fabricmanager.service -u nvidia-cdi-refresh.service -u systemd-modules-load.service
    timeout 10 journalctl -b --no-pager -q -o cat -n 500 -t modprobe; }} | about 60 | tag services
fi
if have nvidia-smi; then echo 'looked smi'; timeout -k 2 20 nvidia-smi 2>&1 | head -n 5 | tag smi; fi
log=$(find /var/lib/dkms -maxdepth 7 -name make.log -exec ls -t {{}} + 2>/dev/null | head -n 1)
if [ -n "$log" ] && [ -r "$log" ]; then echo 'looked build'; tail -n 400 "$log" | about 40 | tag build; fi
docker=$(command -v docker) || docker=
if [ -n "$docker" ] && systemctl is-active --quiet docker.service; then
  echo 'looked containers'
  ids=$(timeout 10 docker -H unix:///var/run/docker.sock ps -a -q -n 20)
  [ -z "$ids" ] || timeout 10 docker -H unix:///var/run/docker.sock inspect -f '{{{{.Name}}}} {{{{.State.Error}}}}' $ids 2>/dev/null | grep -E ' .' | tag containers
  for id in $(printf '%s\n' $ids | head -n 8); do
    timeout 5 docker -H unix:///var/run/docker.sock logs --tail 60 "$id" 2>&1 | about 10 | tag containers
  done
fi
set -- {LOG_DIR}/*.log
if [ -r "$1" ]; then echo 'looked steps'; tail -q -n 200 "$@" | grep -iE "$words|signed-by|no_pubkey|sha1" | tail -n 60 | cut -c 1-400 | tag steps; fi
for f in /var/log/apt/term.log /var/log/dnf.log /var/log/zypp/history /var/log/pacman.log; do
  [ -r "$f" ] || continue
  echo 'looked packages'; tail -n 400 "$f" | about 40 | tag packages
done
exit 0
"""


def parse(text: str) -> dict[str, tuple[str, ...]]:
    """Lines by place, oldest first; a place that could not be read is left out."""
    tagged = Tagged(text)
    looked = {word.strip() for word in tagged.all("looked")}
    return {name: tuple(line.strip() for line in tagged.all(tag)) for tag, name in PLACES.items() if tag in looked}


SUBJECT = Subject[Mapping[str, tuple[str, ...]]]("traces", _SCRIPT, parse, {}, seconds=120, limit=200_000)


class GpuTraces(SubjectFact[Mapping[str, tuple[str, ...]]]):
    """Lines about GPUs from the host's logs, by place."""

    subject = SUBJECT
