"""What a check says when it is not satisfied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["stop", "warn"]


@dataclass(frozen=True)
class Finding:
    """A check's verdict. `check` is the name of its function; `fix` is never empty."""

    level: Level
    check: str
    found: str
    needed: str
    fix: str
    accepted: bool = False

    def __post_init__(self) -> None:
        if not (self.fix and self.found and self.needed):
            raise ValueError(f"{self.check}: found, needed and fix must all be said")

    @property
    def stops(self) -> bool:
        return self.level == "stop" and not self.accepted


def stop(check: str, found: str, needed: str, fix: str) -> Finding:
    """A finding that refuses the host."""
    return Finding("stop", check, found, needed, fix)


def warn(check: str, found: str, needed: str, fix: str) -> Finding:
    """A finding that is reported and does not refuse the host."""
    return Finding("warn", check, found, needed, fix)
