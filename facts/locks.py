"""Who holds a package manager's lock now (source: proc(5), /proc/locks: device and inode of each locked file)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from deploys.plan.machine import Lock
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, integer

# dpkg, apt and rpm take fcntl locks; for pacman the file itself is the lock.
_SCRIPT = r"""
[ -r /proc/locks ] || { echo 'missing /proc/locks'; exit 69; }
need stat
files=$(stat -c 'file %d %i %n' /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock \
  /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock)
found=$(printf '%s\n' "$files" | awk '
  $1 == "file" { file[$3] = 1; print; next }
  NF > 6 { split($(NF - 2), id, ":"); if (!(id[3] in file)) next; print "lock " $0; if ($2 != "->") pids = pids " " $5 }
  END { print "pids" pids }' - /proc/locks) || exit
pids=${found##*pids}
printf '%s\n' "${found%pids*}"
[ -e /var/lib/pacman/db.lck ] && echo 'exists /var/lib/pacman/db.lck'
# zypper and dnf note the process that works in a file of theirs; where no newline ends it, `read` fails and has read nevertheless.
for f in /run/zypp.pid /var/lib/dnf/metadata_lock.pid /var/lib/dnf/rpmdb_lock.pid /var/lib/dnf/download_lock.pid /var/cache/dnf/metadata_lock.pid; do
  p=; [ -r "$f" ] && read -r p <"$f"
  [ -n "$p" ] && [ -d "/proc/$p" ] || continue
  echo "held $p $f"
  pids="$pids $p"
done
for p in $pids; do
  [ -d "/proc/$p" ] || { echo "gone $p"; continue; }
  [ -r "/proc/$p/cmdline" ] && echo "process $p $(tr '\0' '\n' <"/proc/$p/cmdline" | head -n 4 | tr '\n' ' ' | cut -c 1-200)"
  [ -r "/proc/$p/cgroup" ] && while IFS= read -r line; do
    case $line in */gpu-host-*.service*) line=${line##*/gpu-host-}; echo "step $p ${line%%.service*}"; break ;; esac
  done <"/proc/$p/cgroup"
done
exit 0
"""

# 1: POSIX  ADVISORY  WRITE 1234 08:01:131147 0 EOF; a line with `->` is a process that waits.
_LOCK = re.compile(r"\d+:\s+\S+\s+\S+\s+\S+\s+(\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s.*", flags=re.ASCII)
_MANAGERS = re.compile(r"apt|dpkg|unattended|aptitude|synaptic|packagekit|rpm|dnf|yum|zypp")


class _File(NamedTuple):
    device: int
    inode: int
    path: str


def parse(text: str) -> tuple[Lock, ...]:
    """Held locks; none of a process that had ended when it was looked at. Where device numbers differ (btrfs), the inode decides if a package manager holds it."""
    tagged = Tagged(text)
    commands = {integer(pid): command.strip() for pid, command in tagged.words("process", 2)}
    files = [
        _File(device, inode, path)
        for a, b, path in tagged.words("file", 3)
        if (device := integer(a)) is not None and (inode := integer(b)) is not None
    ]
    found = {lock: None for rest in tagged.all("lock") for lock in _held(rest, files, commands)}
    found.update({Lock(path=path): None for path in tagged.all("exists") if path.startswith("/")})
    for word, path in tagged.words("held", 2):
        pid = integer(word)
        if pid is not None and _MANAGERS.search(commands.get(pid) or ""):
            found[Lock(path=path.strip(), pid=pid, command=commands.get(pid))] = None
    steps = {integer(pid): step.strip() for pid, step in tagged.words("step", 2)}
    gone = set(map(integer, tagged.all("gone")))
    named = [replace(lock, step=steps.get(lock.pid, "")) for lock in found if lock.pid is None or lock.pid not in gone]
    return tuple(sorted(named, key=lambda lock: (lock.path, lock.pid or 0)))


def _held(line: str, files: list[_File], commands: dict[int | None, str]) -> list[Lock]:
    match = _LOCK.fullmatch(line)
    if not match:
        return []
    pid, inode = integer(match.group(1)), integer(match.group(4))
    device = (integer(match.group(2), 16), integer(match.group(3), 16))
    command = commands.get(pid)
    return [
        Lock(path=file.path, pid=pid, command=command)
        for file in files
        if file.inode == inode and (_split_device(file.device) == device or _MANAGERS.search(command or ""))
    ]


def _split_device(number: int) -> tuple[int, int]:
    """Major and minor number of `st_dev`, as the C library packs them (source: gnu_dev_major, gnu_dev_minor)."""
    major = (number >> 8 & 0xFFF) | (number >> 32 & ~0xFFF)
    minor = (number & 0xFF) | (number >> 12 & ~0xFF & 0xFFFFFFFF)
    return major, minor


_NONE: tuple[Lock, ...] = ()
SUBJECT = Subject("locks", _SCRIPT, parse, _NONE)


class PackageLocks(SubjectFact[tuple[Lock, ...]]):
    """Processes that hold a lock of the package manager."""

    subject = SUBJECT
