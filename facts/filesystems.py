"""Free space and inodes where packages, kernels and builds need them (source: df(1), POSIX format)."""

from __future__ import annotations

import re
from dataclasses import replace

from deploys.plan.machine import Filesystem
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, integer

PATHS = ("/", "/boot", "/usr", "/var", "/tmp")  # noqa: S108 - measured, not written to

_SCRIPT = f"""
need df
paths=; for d in {" ".join(PATHS)}; do [ -d "$d" ] && paths="$paths $d"; done
rows() {{
  kind=$1 option=$2; shift 2
  answer=$(df "$option" "$@") || return
  printf '%s\n' "$answer" | {{ read -r header; for d; do read -r row && printf 'path %s\n%s %s\n' "$d" "$kind" "$row"; done; }}
}}
# All at a time, a row for each; where df stumbles over one, each alone.
rows space -kP $paths || for p in $paths; do rows space -kP "$p"; done
rows inodes -iP $paths || for p in $paths; do rows inodes -iP "$p"; done
exit 0
"""

_ROW = re.compile(r".*?\s(\d+)\s+(\d+|-)\s+(\d+|-)\s+(?:\d+%|-)\s+(/.*)", flags=re.ASCII)


def parse(text: str) -> tuple[Filesystem, ...]:
    """One record a path that exists, in the order asked. Free space is what is left to ordinary processes."""
    found: dict[str, Filesystem] = {}
    path = ""
    for tag, rest in Tagged(text).lines:
        if tag == "path":
            path = rest if rest in PATHS else ""
            if path:
                found.setdefault(path, Filesystem(path=path))
        elif path and tag in ("space", "inodes") and (row := _ROW.fullmatch(rest.strip())):
            found[path] = _filled(found[path], tag, row)
    return tuple(found.values())


def _filled(filesystem: Filesystem, tag: str, row: re.Match[str]) -> Filesystem:
    total, free = integer(row.group(1)), integer(row.group(3))
    if tag == "inodes":
        return replace(filesystem, free_inodes=free if total else None)
    if total is None or free is None:
        return filesystem
    return replace(filesystem, mount=row.group(4), free_bytes=free * 1024, size_bytes=total * 1024)


_NONE: tuple[Filesystem, ...] = ()
SUBJECT = Subject("filesystems", _SCRIPT, parse, _NONE, limit=16_000)


class FreeSpace(SubjectFact[tuple[Filesystem, ...]]):
    """Free bytes and inodes at the places that an installation fills."""

    subject = SUBJECT
