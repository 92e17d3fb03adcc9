"""Every parser is total: whatever a host prints, it gives a record, and damage never travels further."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.plan.machine import Machine
from facts.probe import SUBJECTS, ProbeError, parse_machine, split_sections
from facts.subject import Subject
from tests.parse.host import recording

BARE, CONVERGED = recording("debian-12-bare"), recording("debian-13-converged")
by_name = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)

# Lines that look like the real ones, so that the search gets past the first test of a parser.
_words = sorted({word for text in (BARE, CONVERGED) for word in text.replace("|", " ").split()})
_line = st.lists(st.sampled_from(_words) | st.text(max_size=8), max_size=9).map(" ".join)
_lines = st.lists(_line, max_size=25).map("\n".join)


@by_name
@given(text=st.text() | _lines)
@settings(max_examples=40, deadline=None)
def test_any_text_gives_a_record(subject: Subject[Any], text: str) -> None:
    subject.parse(text)


@by_name
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_damaged_answer_gives_a_record(subject: Subject[Any], data: st.DataObject) -> None:
    text = split_sections(CONVERGED)[subject.name].text
    subject.parse(_damaged(text, data))


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_damaged_probe_gives_a_machine_or_the_one_named_error(data: st.DataObject) -> None:
    base = data.draw(st.sampled_from([BARE, CONVERGED]))
    try:
        machine = parse_machine(_damaged(base, data))
    except ProbeError:
        return
    assert isinstance(machine, Machine)


@pytest.mark.parametrize(
    "text",
    ["", "\0" * 5000, "9" * 30000, "x" * 500_000, "Datei nicht gefunden: Größe \u0663\u0662", "\n" * 5000, "²³ ¹/٣.٤"],
    ids=["empty", "nul", "digits", "huge", "german", "blank", "other digits"],
)
@by_name
def test_hostile_answers_are_unknown_not_wrong(subject: Subject[Any], text: str) -> None:
    """A tag never appears in these, so no field may claim to know something that a host did not say."""
    record = subject.parse(text)
    assert record == subject.parse("")


def _damaged(text: str, data: st.DataObject) -> str:
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, max(len(text) - 1, 0)))
        gone = data.draw(st.integers(0, 40))
        text = text[:start] + data.draw(st.text(max_size=6)) + text[start + gone :]
    return text
