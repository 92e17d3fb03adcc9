"""Processes that hold a device file of NVIDIA open (source: proc(5), /proc/PID/fd). Only root sees all of them."""

from __future__ import annotations

from deploys.plan.machine import Process
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, integer

# One find for all processes. Of a command line only the first words travel: options may carry secrets.
_SCRIPT = r"""
found=; for f in /dev/nvidia*; do [ -e "$f" ] && found=1; done
[ -n "$found" ] || exit 0
[ "$(id -u)" -eq 0 ] || { echo "missing root (the files that other users' processes hold are hidden)"; exit 69; }
links=$(find /proc/[0-9]*/fd -lname '/dev/nvidia*' -printf '%p %l\n' | head -n 2000)
printf '%s\n' "$links" | sed -n 's|^/proc/\([0-9]*\)/fd/[0-9]* |fd \1 |p' | sort -u
for p in $(printf '%s\n' "$links" | sed -n 's|^/proc/\([0-9]*\)/.*|\1|p' | sort -un | head -n 200); do
  words=$(tr '\0' '\n' <"/proc/$p/cmdline" | head -n 3 | sed '/^-.*[=:]/,$d' | tr '\n' ' ' | cut -c 1-200)
  read -r comm <"/proc/$p/comm"
  echo "process $p $(stat -c %U "/proc/$p") ${words:-[$comm]}"
done
exit 0
"""


def parse(text: str) -> tuple[Process, ...]:
    """By process id, each with the devices that it holds."""
    tagged = Tagged(text)
    devices: dict[int, set[str]] = {}
    for pid, path in tagged.words("fd", 2):
        if (number := integer(pid)) is not None and path.startswith("/dev/"):
            devices.setdefault(number, set()).add(path.strip())
    who = {integer(pid): (user, command.strip()) for pid, user, command in tagged.words("process", 3)}
    return tuple(_process(pid, who.get(pid), paths) for pid, paths in sorted(devices.items()))


def _process(pid: int, who: tuple[str, str] | None, paths: set[str]) -> Process:
    user, command = who or (None, None)
    return Process(pid=pid, user=user, command=command, devices=tuple(sorted(paths)))


_NONE: tuple[Process, ...] = ()
SUBJECT = Subject("holders", _SCRIPT, parse, _NONE)


class DeviceHolders(SubjectFact[tuple[Process, ...]]):
    """Processes that hold /dev/nvidia* open; nvidia-persistenced is one of them."""

    subject = SUBJECT
