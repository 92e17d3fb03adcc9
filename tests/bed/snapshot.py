"""What a host looks like at one moment, so that a test can prove that nothing changed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.bed.host import Host

FOLDERS = ("boot", "etc", "opt", "root", "usr", "var/lib")
# What a running system writes by itself, and the disguise's own state (modules are compared as /proc/modules).
VOLATILE = frozenset({
    "etc/hostmask",
    "var/lib/containerd",
    "var/lib/docker",
    "var/lib/private",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/timers",
    "var/lib/systemd/timesync",
})  # fmt: skip
# Services that start on demand or for a session.
PASSING = (
    "dpkg-db-backup",
    "logrotate",
    "man-db",
    "packagekit",
    "run-",
    "session-",
    "ssh@",
    "systemd-hostnamed",
    "systemd-localed",
    "systemd-timedated",
    "systemd-tmpfiles-clean",
    "user-runtime-dir@",
    "user@",
)


class Entry(NamedTuple):
    """`kind` is file, folder, link, other; or package, service, modules (then only `digest` says something).

    `digest` is the sha256 of a file, the target of a link; below /usr (gigabytes) the time of the last inode change,
    and nothing for a kernel's own modules, whose inodes all hosts share.
    """

    kind: str
    mode: int = 0
    owner: str = ""
    mtime_ns: int = 0
    size: int = 0
    digest: str = ""


Snapshot = Mapping[str, Entry]


def _digest(path: Path, status: os.stat_result, *, read: bool) -> str:
    if "/usr/lib/modules/" in str(path) and "/kernel/" in str(path):
        return ""
    if stat.S_ISLNK(status.st_mode):
        return str(path.readlink())
    if not stat.S_ISREG(status.st_mode):
        return ""
    if not read:
        return f"inode changed at {status.st_ctime_ns}"
    with path.open("rb") as file:
        found = hashlib.sha256()
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))
    return next((name for test, name in kinds if test(mode)), "other")


def _entry(path: Path, *, read: bool) -> Entry:
    status = path.lstat()
    owner = f"{status.st_uid}:{status.st_gid}"
    mode = stat.S_IMODE(status.st_mode)
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return Entry(_kind(status.st_mode), mode, owner, status.st_mtime_ns, size, _digest(path, status, read=read))


def _walk(root: Path, name: str) -> Iterator[tuple[str, Entry]]:
    if name in VOLATILE:
        return
    path = root / name
    try:
        entry = _entry(path, read=not name.startswith("usr/"))
    except FileNotFoundError:
        return
    yield f"/{name}", entry
    if entry.kind == "folder":
        for child in sorted(entry.name for entry in os.scandir(path)):
            yield from _walk(root, f"{name}/{child}")


def _packages(root: Path) -> Iterator[tuple[str, Entry]]:
    status = root / "var/lib/dpkg/status"
    # A host of another family: its package database is among the files.
    if not status.exists():
        return
    for stanza in status.read_text(errors="replace").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if "Package" in fields:
            text = f"{fields.get('Status', '')}, {fields.get('Version', '')}"
            yield f"package {fields['Package']}:{fields.get('Architecture', '')}", Entry("package", digest=text)


def _services(host: Host) -> Iterator[tuple[str, Entry]]:
    """Services that run, with the moment each began to, and those that failed: a restart shows."""
    shown = host.nsenter("systemctl show '*.service' -p Id,ActiveState,ActiveEnterTimestampMonotonic,UnitFileState")
    for block in shown.stdout.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name = fields.get("Id", "")
        # systemd also shows what does not run and what it merely remembers.
        if not name or name.startswith(PASSING) or fields.get("ActiveState") == "inactive":
            continue
        since = fields["ActiveEnterTimestampMonotonic"] if fields.get("ActiveState") == "active" else "-"
        text = f"{fields.get('ActiveState')} since {since}, {fields.get('UnitFileState')}"
        yield f"service {name}", Entry("service", digest=text)


def entry_of(root: Path, name: str) -> Entry | None:
    """One file of a root, as a snapshot has it; None where there is none."""
    try:
        return _entry(root / name.lstrip("/"), read=not name.startswith("/usr/"))
    except (FileNotFoundError, NotADirectoryError):
        return None


def snapshot(host: Host, layer: Path | None = None) -> Snapshot:
    """Files of the root (without what is mounted over it inside), packages and, while it runs, services and modules.

    Of a root that is an overlay only the upper `layer` may be walked: hundreds of files instead of tens of thousands. Nothing is
    asked over SSH, so it is not counted among the remote commands.
    """
    found: dict[str, Entry] = {}
    for folder in FOLDERS:
        found.update(_walk(layer or host.root, folder))
    found.update(_packages(host.root))
    modules = host.root / "etc/hostmask/root/proc/modules"
    if modules.exists():
        found["kernel modules"] = Entry("modules", digest=modules.read_text())
    if host.leader is not None:
        found.update(_services(host))
    return found


def _changes(before: Entry, after: Entry) -> str:
    pairs = zip(Entry._fields, before, after, strict=True)
    return ", ".join(f"{name} {old!r} -> {new!r}" for name, old, new in pairs if old != new)


def diff(before: Snapshot, after: Snapshot) -> list[str]:
    """One line per difference: "+ NAME", "- NAME", "~ NAME: FIELD OLD -> NEW"; empty when nothing changed."""
    lines = []
    for name in sorted({*before, *after}):
        if name not in before:
            lines.append(f"+ {name} ({after[name].kind}) {after[name].digest[:80]}".rstrip())
        elif name not in after:
            lines.append(f"- {name} ({before[name].kind})")
        elif before[name] != after[name]:
            lines.append(f"~ {name}: {_changes(before[name], after[name])}")
    return lines
