"""Our edits in the host's own files are taken back, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.plan import daemon_json
from deploys.plan.apt_sources import enable_components
from deploys.plan.daemon_json import Wanted
from deploys.plan.edits import json_edits, read_edits, text_edits, undo_json, undo_text
from deploys.plan.machine import TextFile

LIST = "/etc/apt/sources.list"
STANZAS = "/etc/apt/sources.list.d/debian.sources"
ONE_LINE = "# mirror\ndeb http://m/debian bookworm main\ndeb http://m/debian bookworm-updates main contrib\n\n"
DEB822 = "Types: deb\nURIs: http://m/debian\nSuites: trixie\nComponents: main\n\nTypes: deb\nURIs: http://s\nSuites: trixie-security\nComponents: main\n"


def enabled(path: str, text: str, codename: str) -> str:
    (found,) = enable_components([TextFile(path, text)], codename, ("contrib", "non-free"))
    return found.content or ""


@pytest.mark.parametrize(("path", "text", "codename"), [(LIST, ONE_LINE, "bookworm"), (STANZAS, DEB822, "trixie")])
def test_components_are_taken_back_to_the_last_byte(path: str, text: str, codename: str) -> None:
    after = enabled(path, text, codename)
    edits = read_edits(text_edits(path, text, after), path)
    assert undo_text(path, after, edits) == (text, ())
    assert undo_text(path, f"{after}\n# a later line\n", edits) == (f"{text}\n# a later line\n", ())


def test_line_that_somebody_has_changed_since_stays_and_is_named() -> None:
    after = enabled(LIST, ONE_LINE, "bookworm")
    edits = read_edits(text_edits(LIST, ONE_LINE, after), LIST)
    changed = after.replace("bookworm main contrib non-free", "bookworm main contrib non-free mine")
    text, left = undo_text(LIST, changed, edits)
    assert "bookworm main contrib non-free mine\n" in text
    assert "bookworm-updates main contrib\n" in text
    assert left == ("deb http://m/debian bookworm main contrib non-free",)


def test_edits_of_several_runs_are_taken_back_in_turn() -> None:
    first = enabled(LIST, ONE_LINE, "bookworm")
    admin = first.replace("# mirror\n", "# mirror\ndeb http://x/debian bookworm main\n")
    second = enabled(LIST, admin, "bookworm")
    lines = [*text_edits(LIST, ONE_LINE, first), "damaged", *text_edits(LIST, admin, second)]
    text, left = undo_text(LIST, second, read_edits(lines, LIST))
    assert (text, left) == (ONE_LINE.replace("# mirror\n", "# mirror\ndeb http://x/debian bookworm main\n"), ())


def undone(before: str | None, wanted: Wanted, change: Any = lambda document: document) -> tuple[Any, tuple[str, ...]]:
    after = daemon_json.merge(before, wanted) or before or ""
    edits = read_edits(json_edits("f", before, after), "f")
    return undo_json(change(json.loads(after)), edits)


def test_file_that_we_made_goes_and_one_that_was_there_is_as_before() -> None:
    assert undone(None, Wanted(live_restore=True, cdi=True)) == (None, ())
    assert undone("{}", Wanted(cdi=True)) == ({}, ())
    before = {"live-restore": False, "runtimes": {"mine": {"path": "/x"}}, "features": {"buildkit": True}}
    assert undone(json.dumps(before), Wanted(live_restore=True, cdi=True)) == (before, ())


def test_values_that_somebody_has_changed_since_stay_and_are_named() -> None:
    def change(document: dict[str, Any]) -> dict[str, Any]:
        document["live-restore"] = False
        document["runtimes"]["mine"] = {"path": "/x"}
        return document

    assert undone(None, Wanted(live_restore=True), change) == (
        {"live-restore": False, "runtimes": {"mine": {"path": "/x"}}},
        ("live-restore",),
    )


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["debug", "x"]), _VALUES, max_size=2),
    st.dictionaries(st.text("ab", min_size=1, max_size=2), st.dictionaries(st.just("path"), st.just("/x"), min_size=1)),
    st.booleans() | st.none(),
    st.booleans() | st.none(),
)
def test_any_foreign_document_comes_back(
    others: dict[str, Any], runtimes: dict[str, Any], live: bool | None, cdi: bool | None
) -> None:
    before = {**others, **({"runtimes": runtimes} if runtimes else {})}
    assert undone(json.dumps(before), Wanted(live_restore=live, cdi=cdi or None)) == (before, ())


@given(st.lists(st.text(max_size=40), max_size=5), st.text(max_size=60))
def test_damaged_records_take_nothing_back(lines: list[str], text: str) -> None:
    assert undo_text(LIST, text, read_edits(lines, LIST)) == (text, ())
