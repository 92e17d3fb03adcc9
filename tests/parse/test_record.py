"""The record of a proof as a host has it: read whole, or unknown with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploys.knowledge.paths import PROVEN_BEFORE, PROVEN_RECORD
from deploys.plan.proven import ProvenSet
from facts import record
from facts.probe import parse_machine, replace_section
from tests.parse.host import at_root, read_root, recording, section, write

SET = ProvenSet(time="2026-11-27T20:41:34Z", kernel="6.12.107", packages={"libcuda1": "550.163.01-2"}, holds=("x",))


def test_record_and_the_one_before_are_read(tmp_path: Path) -> None:
    assert read_root(record.SUBJECT, tmp_path) == record.Remembered()
    write(tmp_path, PROVEN_RECORD, SET.text())
    write(tmp_path, PROVEN_BEFORE, ProvenSet(time="2026-01-01T00:00:00Z").text())
    found = read_root(record.SUBJECT, tmp_path)
    assert (found.proven, found.problem) == (SET, "")
    assert found.before.time == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Expecting value"),
        (SET.text().encode()[:80], "proven.json is no record of a proof: "),
        (b'{"schema": 7}', "its schema is '7', known here is 1"),
        (b"\xff\x00\xfe", "no text, or too long"),
        (b"x" * 70_000, "no text, or too long"),
    ],
    ids=["empty", "cut off", "later schema", "binary", "huge"],
)
def test_damaged_record_is_unknown_with_its_reason_and_costs_nothing_else(
    tmp_path: Path, content: bytes, words: str
) -> None:
    write(tmp_path, PROVEN_RECORD, content)
    write(tmp_path, PROVEN_BEFORE, SET.text())
    text = section(at_root(record.SUBJECT, tmp_path)).text.replace(str(tmp_path), "")
    whole = recording("debian-13-converged")
    machine = parse_machine(replace_section(whole, "record", text))
    assert machine.proven is None
    assert machine.proven_before == SET
    assert words in machine.unknown["record"]
    assert machine.packages == parse_machine(whole).packages
