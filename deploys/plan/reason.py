"""Why something was decided: one sentence and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.records import Source


@dataclass(frozen=True)
class Reason:
    """One rule that led to a decision. `subject` says which decision: gpu, branch, modules, kernel, cuda ..."""

    subject: str
    text: str
    source: Source

    def __str__(self) -> str:
        return f"{self.text} [{self.source.title}, {self.source.as_of}]"


@dataclass(frozen=True)
class Verdict:
    """A rule that is not satisfied, as a finding says it: `level` is "stop" or "warn"."""

    level: str
    found: str
    needed: str
    fix: str
    source: Source


# The rules that are this toolkit's own.
OWN = Source("rule of this toolkit", "2026-11-23")
