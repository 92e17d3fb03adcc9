"""Running the probe's fragments against a folder that stands in for a host's root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facts.sections import Section, split_sections
from facts.subject import Subject, build_command

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDINGS = Path(__file__).parents[2] / "inventories" / "recordings"
SHELLS = [name for name in ("sh", "dash", "busybox") if shutil.which(name)]

# Absolute paths in a fragment that are the host's files, not its programs.
_HOST_PATH = re.compile(
    r"(?<![\w}$*./-])/(boot|efi|etc|lib/mod|lib64|proc|run|sys|usr/lib|usr/bin/nv|usr/local/(?:cuda|lib)|opt|var|dev/nv|dev/dxg|\.dock)"
)


def recording(name: str) -> str:
    """The text of a recorded host."""
    return (RECORDINGS / f"{name}.txt").read_text(encoding="ascii")


def run(subjects: Iterable[Subject[Any]], shell: str = "sh", path: str | None = None) -> str:
    """What the probe of these subjects prints on this machine."""
    words = [shell, "sh"] if shell == "busybox" else [shell]
    environment = {**os.environ, **({"PATH": path} if path else {})}
    done = subprocess.run(
        [*words, "-c", build_command(list(subjects))],
        capture_output=True,
        check=True,
        timeout=300,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == b""
    return done.stdout.decode("ascii")


def section(subject: Subject[Any], shell: str = "sh", path: str | None = None) -> Section:
    return split_sections(run([subject], shell, path))[subject.name]


def at_root(subject: Subject[Any], root: Path) -> Subject[Any]:
    """The same subject, reading a folder in place of the host's own."""
    return replace(subject, script=_HOST_PATH.sub(lambda match: f"{root}/{match.group(1)}", subject.script))


def read_root(subject: Subject[Any], root: Path, path: str | None = None) -> Any:
    """What a subject makes of a root folder. Paths in its record are those of a host again."""
    found = section(at_root(subject, root), path=path)
    assert found.problem == ""
    return subject.parse(found.text.replace(str(root), ""))


def write(root: Path, path: str, content: str | bytes = "") -> Path:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def link(root: Path, path: str, target: str) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(f"{root}{target}" if target.startswith("/") else target)


def program(root: Path, name: str, body: str) -> str:
    """A stand-in program; returns a PATH that finds it first."""
    file = write(root, f"/stubs/{name}", f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return f"{file.parent}:{os.environ['PATH']}"


def cpio(files: dict[str, bytes]) -> bytes:
    """A newc archive, padded to whole blocks (source: Linux, buffer-format.rst)."""
    out = b""
    for number, (name, data) in enumerate([*files.items(), ("TRAILER!!!", b"")]):
        fields = [number, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out + b"\0" * (-len(out) % 512)
