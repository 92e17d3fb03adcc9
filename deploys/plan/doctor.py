"""DECIDE: which known trouble the traces of a host speak of, with its cause and its repair. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deploys.knowledge.symptoms import SYMPTOMS, Symptom


@dataclass(frozen=True)
class Diagnosis:
    """A symptom, where its words stood, the latest line with them and how many there were."""

    symptom: Symptom
    place: str
    line: str
    count: int


def diagnose(traces: Mapping[str, tuple[str, ...]]) -> tuple[Diagnosis, ...]:
    """Every symptom in the traces (place -> lines, oldest first), in the order of its row; each once, with its latest line."""
    found = []
    for symptom in SYMPTOMS:
        pattern = re.compile(symptom.words, re.IGNORECASE)
        hits = [(place, line) for place, lines in traces.items() for line in lines if pattern.search(line)]
        if hits:
            place, line = hits[-1]
            found.append(Diagnosis(symptom, place, " ".join(line.split())[:300], len(hits)))
    return tuple(found)


def describe_diagnoses(name: str, found: tuple[Diagnosis, ...], places: tuple[str, ...]) -> str:
    """What was found, as a page; `places` are those that could be read."""
    where = ", ".join(places) or "nothing could be read"
    if not found:
        return f"{name}: no known symptom (looked at: {where})"
    lines = [f"{name}: {len(found)} of the known symptoms (looked at: {where})"]
    for diagnosis in found:
        symptom = diagnosis.symptom
        lines += [
            f"    {symptom.name}",
            f"        said    {diagnosis.line} ({diagnosis.place}{f', {diagnosis.count} times' if diagnosis.count > 1 else ''})",
            f"        cause   {symptom.cause}",
            f"        repair  {symptom.repair}",
        ]
    return "\n".join(lines)
