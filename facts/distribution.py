"""Which distribution this is: `/etc/os-release` (source: os-release(5)), older release files where there is none."""

from __future__ import annotations

import re

from deploys.plan.machine import Distribution
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, version_in

_SCRIPT = r"""
for f in /etc/os-release /usr/lib/os-release; do
  if [ -r "$f" ]; then tag os <"$f"; exit 0; fi
done
for f in /etc/system-release /etc/redhat-release; do
  if [ -r "$f" ]; then tag release <"$f"; exit 0; fi
done
echo 'missing os-release'; exit 69
"""


def parse(text: str) -> Distribution:
    """The fields of os-release; from an old release file, its first word and first version."""
    tagged = Tagged(text)
    fields = dict(filter(None, map(_assignment, tagged.all("os"))))
    if not fields:
        return _from_release(tagged.first("release"))
    return Distribution(
        id=fields.get("ID"),
        version=fields.get("VERSION_ID"),
        codename=fields.get("VERSION_CODENAME"),
        like=tuple(fields.get("ID_LIKE", "").split()),
        name=fields.get("PRETTY_NAME") or fields.get("NAME"),
    )


def _assignment(line: str) -> tuple[str, str] | None:
    match = re.fullmatch(r"""\s*([A-Z][A-Z0-9_]*)=(["']?)(.*?)\2\s*""", line, flags=re.ASCII)
    if not match or not match.group(3):
        return None
    return match.group(1), re.sub(r"\\(.)", r"\1", match.group(3))


def _from_release(line: str | None) -> Distribution:
    word = re.match(r"[A-Za-z]+", line or "")
    if not word:
        return Distribution()
    return Distribution(id=word.group().lower(), version=version_in(line, r"\d+(?:\.\d+)*"), name=line)


SUBJECT = Subject("distribution", _SCRIPT, parse, Distribution(), limit=8_000)


class LinuxDistribution(SubjectFact[Distribution]):
    """The distribution with its version, code name and relatives."""

    subject = SUBJECT
