"""daemon.json: our runtime comes in, nothing else moves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.plan.daemon_json import RUNTIME, RUNTIME_PATH, DaemonJsonError, merge, read

ENTRY = {"args": [], "path": RUNTIME_PATH}
KEYS = st.text(max_size=8) | st.sampled_from(["runtimes", "nvidia", "log-driver", "default-runtime"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)
DOCUMENTS = st.builds(
    lambda document, runtimes: {**document, **runtimes},
    OBJECTS.map(lambda document: {k: v for k, v in document.items() if k != "runtimes"}),
    st.just({}) | OBJECTS.map(lambda runtimes: {"runtimes": runtimes}),
)


def without_ours(document: dict[str, Any]) -> dict[str, Any]:
    runtimes = {k: v for k, v in document.get("runtimes", {}).items() if k != RUNTIME}
    rest = {k: v for k, v in document.items() if k != "runtimes"}
    return {**rest, "runtimes": runtimes}


@pytest.mark.parametrize("text", [None, "", " \n\t", "{}", '{"runtimes": {}}'])
def test_nothing_there_gives_our_entry_alone(text: str | None) -> None:
    merged = merge(text)
    assert merged is not None
    assert json.loads(merged) == {"runtimes": {RUNTIME: ENTRY}}
    assert merged.endswith("}\n")


@pytest.mark.parametrize("path", [RUNTIME_PATH, "nvidia-container-runtime"])
def test_a_registered_runtime_needs_no_edit(path: str) -> None:
    text = json.dumps({"runtimes": {RUNTIME: {"path": path, "args": ["--debug"]}}, "debug": True})
    assert merge(text) is None


@pytest.mark.parametrize("entry", [{"path": "/opt/other"}, {"args": []}, {}, None, [], "nvidia-container-runtime", 1])
def test_an_entry_that_leads_elsewhere_is_put_right(entry: object) -> None:
    merged = merge(json.dumps({"runtimes": {RUNTIME: entry}, "debug": True}))
    assert merged is not None
    assert json.loads(merged) == {"runtimes": {RUNTIME: ENTRY}, "debug": True}


def test_foreign_keys_keep_their_order() -> None:
    text = '{"log-driver": "journald", "runtimes": {"crun": {"path": "/usr/bin/crun"}}, "default-runtime": "crun", "bip": ""}'
    merged = merge(text)
    assert merged is not None
    assert list(json.loads(merged)) == ["log-driver", "runtimes", "default-runtime", "bip"]
    assert list(json.loads(merged)["runtimes"]) == ["crun", RUNTIME]
    assert json.loads(merged)["default-runtime"] == "crun"


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_everything_else_stays(document: dict[str, Any]) -> None:
    merged = merge(json.dumps(document))
    if merged is None:
        assert document["runtimes"][RUNTIME]["path"].endswith("nvidia-container-runtime")
        return
    assert without_ours(json.loads(merged)) == without_ours(document)
    assert [k for k in json.loads(merged) if k != "runtimes"] == [k for k in document if k != "runtimes"]
    before = document.get("runtimes", {}).get(RUNTIME)
    kept = {k: v for k, v in before.items() if k not in ENTRY} if isinstance(before, dict) else {}
    entry = json.loads(merged)["runtimes"][RUNTIME]
    assert {k: v for k, v in entry.items() if k not in ENTRY} == kept
    assert entry["path"] == RUNTIME_PATH
    assert merge(merged) is None


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | VALUES.map(json.dumps) | DOCUMENTS.map(lambda d: json.dumps(d)[:-1]))
def test_any_text_is_merged_or_refused(text: str) -> None:
    try:
        document = read(text)
    except DaemonJsonError as error:
        with pytest.raises(DaemonJsonError):
            merge(text)
        assert str(error)  # noqa: PT017 - the text is what the finding shows
    else:
        assert without_ours(document) == without_ours(json.loads(text) if text.strip() else {})
        merge(text)


def test_the_error_says_where() -> None:
    with pytest.raises(DaemonJsonError, match="line 3 column 5"):
        read('{\n  "debug": true\n    "bip": ""\n}')
