"""The package sources of the host, whole: the mirror that its owner chose is kept (source: sources.list(5))."""

from __future__ import annotations

from deploys.plan.machine import TextFile
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

_SCRIPT = r"""
set --
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
  /etc/yum.repos.d/*.repo /etc/zypp/repos.d/*.repo /etc/pacman.conf; do
  [ -f "$f" ] && set -- "$@" "$f"
done
show 32000 "$@"
exit 0
"""


def parse(text: str) -> tuple[TextFile, ...]:
    """Source files by path; `content` is None for one that could not be read exactly."""
    return tuple(sorted({f.path: f for f in Tagged(text).files()}.values(), key=lambda f: f.path))


_NONE: tuple[TextFile, ...] = ()
SUBJECT = Subject("sources", _SCRIPT, parse, _NONE, limit=200_000)


class PackageSources(SubjectFact[tuple[TextFile, ...]]):
    """Files that name the host's package repositories, with their text."""

    subject = SUBJECT
