"""Helpers for reading the probe's text. Pure and total: strange input gives None or nothing, never an exception.

Every section of the probe is made of tagged lines, `tag rest of the line`. A whole file travels as a line
`file PATH SIZE plain|base64` that is followed by its content, each line behind `> `.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from deploys.plan.machine import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# More digits than any number a kernel prints; longer ones are damage, and int() refuses them above 4300.
_MAX_DIGITS = 20
_FILE = re.compile(r"(?P<path>/.*) (?P<size>\d{1,9}) (?P<how>plain|base64)")


class Tagged:
    """The lines of one section by tag, in order."""

    def __init__(self, text: str) -> None:
        self.lines: list[tuple[str, str]] = []
        for line in text.split("\n"):
            tag, _, rest = line.partition(" ")
            if tag:
                self.lines.append((tag, rest))

    def __contains__(self, tag: str) -> bool:
        return any(known == tag for known, _ in self.lines)

    def all(self, tag: str) -> list[str]:
        """What follows `tag`, for each of its lines."""
        return [rest for known, rest in self.lines if known == tag]

    def first(self, tag: str) -> str | None:
        """What follows the first line of `tag`; None where there is none or nothing follows."""
        return next((rest.strip() for known, rest in self.lines if known == tag and rest.strip()), None)

    def words(self, tag: str, count: int) -> Iterator[list[str]]:
        """Lines of `tag` that have at least `count` words, cut into `count` parts (the last keeps its spaces)."""
        for rest in self.all(tag):
            parts = rest.split(None, count - 1)
            if len(parts) == count:
                yield parts

    def files(self) -> tuple[TextFile, ...]:
        """The files that the section carries; `content` is None for one that is unreadable, too big or damaged."""
        found: list[TextFile] = []
        for number, (tag, rest) in enumerate(self.lines):
            if tag == "file":
                found.append(_text_file(rest, self._body(number + 1)))
            elif tag == "nocontent" and rest.startswith("/"):
                found.append(TextFile(path=rest))
        return tuple(found)

    def _body(self, start: int) -> Iterator[str]:
        for tag, rest in self.lines[start:]:
            if tag != ">":
                return
            yield rest


def _text_file(header: str, body: Iterable[str]) -> TextFile:
    match = _FILE.fullmatch(header)
    if not match:
        return TextFile(path=header.split(" ", maxsplit=1)[0])
    size, lines = int(match["size"]), list(body)
    content: str | None
    if match["how"] == "base64":
        content = _decode("".join(lines), size)
    else:
        content = "".join(f"{line}\n" for line in lines)
        content = content[:-1] if len(content) == size + 1 else content
        content = content if len(content) == size else None
    return TextFile(path=match["path"], content=content)


def _decode(encoded: str, size: int) -> str | None:
    try:
        raw = base64.b64decode(encoded, validate=True)
        return raw.decode("utf-8") if len(raw) == size else None
    except (binascii.Error, ValueError):
        return None


def integer(word: str | None, base: int = 10) -> int | None:
    """A non-negative number in the given base ("0x" allowed for 16), else None."""
    digits = (word or "").strip().lower()
    if base == 16:
        digits = digits.removeprefix("0x")
    if not re.fullmatch(r"[0-9a-f]+" if base == 16 else r"[0-9]+", digits) or len(digits) > _MAX_DIGITS:
        return None
    return int(digits, base)


def decimal(word: str | None) -> float | None:
    """A plain decimal number such as `/proc/uptime` has, else None."""
    return float(word) if word and re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,9})?", word) else None


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key for kernel releases: runs of digits compare as numbers, and `6.1.0-rc1` comes before `6.1.0`."""
    parts = re.findall(r"\d+|[a-zA-Z]+|~", version)
    key = [_part_key(part) for part in parts]
    return (*key, (1, 0, ""))


def _part_key(part: str) -> tuple[int, int, str]:
    if part.isdigit() and part.isascii():
        return (2, int(part[:_MAX_DIGITS]), "")
    return (0, 0, part) if part in {"~", "rc"} else (1, 0, part)


def version_in(text: str | None, pattern: str = r"\d+(?:\.\d+)+[^\s,]*") -> str | None:
    """The first thing in the text that looks like a version, else None."""
    match = re.search(pattern, text or "", flags=re.ASCII)
    return match.group(match.lastindex or 0) if match else None
