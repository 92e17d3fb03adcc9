"""Processes that hold a device file of NVIDIA open, and what they are part of (sources: proc(5), cgroups(7), nvidia-smi(1)). Only root sees all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from deploys.plan.machine import Process
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, integer

# One find for all processes. Of a command line only the first words travel: options may carry secrets. nvidia-smi can hang in the kernel, where
# not even SIGKILL ends it; so it stays in the background, and what reads it gives up. It is asked only where somebody works.
_SCRIPT = r"""
found=; for f in /dev/nvidia*; do [ -e "$f" ] && found=1; done
[ -n "$found" ] || exit 0
[ "$(id -u)" -eq 0 ] || { echo "missing root (the files that other users' processes hold are hidden)"; exit 69; }
links=$(find /proc/[0-9]*/fd -lname '/dev/nvidia*' -printf '%p %l\n' | head -n 2000)
printf '%s\n' "$links" | sed -n 's|^/proc/\([0-9]*\)/fd/[0-9]* |fd \1 |p' | sort -u
work=
for p in $(printf '%s\n' "$links" | sed -n 's|^/proc/\([0-9]*\)/.*|\1|p' | sort -un | head -n 200); do
  words=$(tr '\0' '\n' <"/proc/$p/cmdline" | head -n 3 | sed '/^-.*[=:]/,$d' | tr '\n' ' ' | cut -c 1-200)
  read -r comm <"/proc/$p/comm"
  echo "process $p $(stat -c %U "/proc/$p") ${words:-[$comm]}"
  paths=
  while IFS=: read -r number controllers path; do
    case "$paths " in *" $path "*) ;; *) paths="$paths $path" ;; esac
  done <"/proc/$p/cgroup"
  echo "cgroup $p$paths"
  case $comm in nvidia-persiste*|nv-fabricmanage*|nv-hostengine|dcgm-exporter|nvidia-device-p*|nvidia-smi) ;; *) work=1 ;; esac
done
[ -n "$work" ] && have nvidia-smi || exit 0
{
  { timeout -k 1 8 nvidia-smi --query-compute-apps=pid,used_gpu_memory --format=csv,noheader,nounits && echo listed; } &
} | timeout -k 1 10 cat | head -n 1000 | tag memory
exit 0
"""

_UID = r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32}"
_POD = re.compile(rf"kubepods.*[/-]pod({_UID})(?![0-9a-f])")
_JOB = re.compile(r"/slurm\S*/job_(\d+)")
_CONTAINER = re.compile(r"[/-]([0-9a-f]{64})(?![0-9a-f])")
_LXC = re.compile(r"/lxc\.payload\.([^/\s]+)")
_UNIT = re.compile(r"/([^/\s]+\.service)(?=[/\s]|$)")
# Managers of sessions and of containers, which hold nothing themselves: to name one of these would mislead.
_NOT_A_PLACE = re.compile(r"(?:user@|sshd?[@.]|docker\.|containerd\.|slurmd\.)")


def parse(text: str) -> tuple[Process, ...]:
    """By process id, each with the devices that it holds."""
    tagged = Tagged(text)
    devices: dict[int, set[str]] = {}
    for pid, path in tagged.words("fd", 2):
        if (number := integer(pid)) is not None and path.startswith("/dev/"):
            devices.setdefault(number, set()).add(path.strip())
    who = {integer(pid): (user, command.strip()) for pid, user, command in tagged.words("process", 3)}
    cgroups = {integer(pid): paths.strip() for pid, paths in tagged.words("cgroup", 2)}
    memory = _memory(tagged)
    return tuple(
        _process(pid, who.get(pid), paths, memory.get(pid), cgroups.get(pid, ""))
        for pid, paths in sorted(devices.items())
    )


def _process(pid: int, who: tuple[str, str] | None, paths: set[str], memory: int | None, cgroup: str) -> Process:
    user, command = who or (None, None)
    return Process(pid, user, command, tuple(sorted(paths)), memory, cgroup, place(cgroup))


def _memory(tagged: Tagged) -> dict[int, int]:
    """MiB by process, over all GPUs; nothing where nvidia-smi did not come to its end, or does not know ("[N/A]")."""
    rows = tagged.all("memory")
    if "listed" not in rows:
        return {}
    total: dict[int, int] = {}
    for row in rows:
        pid, _, used = row.partition(",")
        number, mib = integer(pid), integer(used)
        if number is not None and mib is not None:
            total[number] = total.get(number, 0) + mib
    return total


def place(cgroup: str, containers: Mapping[str, str] | None = None, pods: Mapping[str, str] | None = None) -> str:
    """What a process with these cgroups is part of, in words; names of containers by id, of pods by uid, as far as they are known."""
    if found := _POD.search(cgroup):
        uid = found[1].replace("_", "-")
        return f"pod {(pods or {}).get(uid, uid)}"
    if found := _CONTAINER.search(cgroup):
        return f"container {(containers or {}).get(found[1], found[1][:12])}"
    if found := _JOB.search(cgroup):
        return f"Slurm job {found[1]}"
    if found := _LXC.search(cgroup):
        return f"container {found[1]}"
    units = [unit for unit in _UNIT.findall(cgroup) if not _NOT_A_PLACE.match(unit)]
    return f"unit {units[-1]}" if units else ""


def named(
    processes: tuple[Process, ...], containers: Mapping[str, str], pods: Mapping[str, str]
) -> tuple[Process, ...]:
    """The same processes, with the names that other subjects know."""
    return tuple(replace(p, place=place(p.cgroup, containers, pods)) for p in processes)


_NONE: tuple[Process, ...] = ()
# Not beside the others: a tool of NVIDIA's that another section starts must not pass for a user of the GPUs.
SUBJECT = Subject("holders", _SCRIPT, parse, _NONE, limit=200_000)


class DeviceHolders(SubjectFact[tuple[Process, ...]]):
    """Processes that hold /dev/nvidia* open; nvidia-persistenced is one of them."""

    subject = SUBJECT
