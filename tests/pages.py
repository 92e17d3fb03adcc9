"""The pages that an operator reads, as the tests read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = "README.md"
DOCS = tuple(sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")))
PAGES = (README, *DOCS)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """What stands under a heading of second rank, up to the next one."""
    return read(page).split(f"\n## {heading}\n")[1].split("\n## ")[0]


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [text for found, text in _FENCE.findall(read(page)) if found == language]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", read(page))


def commands(*pages: str) -> list[str]:
    """Lines of the shell blocks that start one of our commands, without their comments."""
    lines = (line.split(" #")[0].strip() for page in pages for text in blocks(page, "sh") for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line.startswith("./")))
