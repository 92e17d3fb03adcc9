"""What the host itself remembers of its last proof, and of the set that was proven before."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.paths import PROVEN_BEFORE, PROVEN_RECORD
from deploys.plan.machine import ProvenSet, Record, read_proven
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

_SCRIPT = f"echo looked\nshow 60000 {PROVEN_RECORD} {PROVEN_BEFORE}\nexit 0"


@dataclass(frozen=True)
class Remembered(Record):
    """Both records; None where there is none. `problem` says why a record that is there is none ("" it is fine)."""

    proven: ProvenSet | None = None
    before: ProvenSet | None = None
    problem: str = ""


def parse(text: str) -> Remembered:
    """A file that is damaged or not ours is as good as none, and the reason is told."""
    found: dict[str, ProvenSet] = {}
    problems = []
    for file in Tagged(text).files():
        if file.path not in (PROVEN_RECORD, PROVEN_BEFORE):
            continue
        try:
            found[file.path] = read_proven(file.content)
        except ValueError as error:
            problems.append(f"{file.path} is no record of a proof: {error}")
    return Remembered(found.get(PROVEN_RECORD), found.get(PROVEN_BEFORE), "; ".join(problems))


SUBJECT = Subject("record", _SCRIPT, parse, Remembered(), limit=180_000)


class LastProof(SubjectFact[Remembered]):
    """The set that was proven last, and the one before."""

    subject = SUBJECT
