"""Our edits in files of the host, written down so that they can be taken back: only what is ours, and only where it is as we left it. Pure.

A record is a line of JSON. Of a text file it holds a part before and after: a line, or a stanza of a deb822 file. Of a JSON file it
holds one value by its path; without "before" there was none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

_STANZAS = re.compile(r"(\n(?:[ \t\r]*\n|\Z))")
_LINES = re.compile(r"(\n)")


def text_edits(path: str, before: str, after: str) -> tuple[str, ...]:
    """Records of the parts that differ. An edit of ours keeps the number of parts."""
    old, new = (_separator(path).split(text) for text in (before, after))
    if len(old) != len(new):
        old, new = [before], [after]
    return tuple(json.dumps({"file": path, "before": b, "after": a}) for b, a in zip(old, new, strict=True) if a != b)


def json_edits(path: str, before: str | None, after: str) -> tuple[str, ...]:
    """Records of the values that differ; `before` None: the file was not there. Both are objects that have been judged already."""
    rows = list(_values(json.loads(before) if before and before.strip() else {}, json.loads(after), ()))
    if before is None:
        rows.insert(0, {"key": []})
    return tuple(json.dumps({"file": path, **row}) for row in rows)


def _values(before: dict[str, Any], after: dict[str, Any], path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for key, value in after.items():
        there = before.get(key, {} if isinstance(value, dict) else None)
        if isinstance(value, dict) and isinstance(there, dict):
            yield from _values(there, value, (*path, key))
        elif key not in before or json.dumps(before[key]) != json.dumps(value):
            yield {"key": [*path, key], "after": value, **({"before": before[key]} if key in before else {})}


def read_edits(lines: Sequence[str], path: str) -> list[dict[str, Any]]:
    """The records of that file, oldest first; a damaged line is none."""
    found = []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and row.get("file") == path:
            found.append(row)
    return found


def undo_text(path: str, text: str, edits: Sequence[dict[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """The text with our edits taken back, and the parts of ours that somebody has changed since: these stay."""
    parts, left = _separator(path).split(text), []
    for edit in reversed(edits):
        before, after = edit.get("before"), edit.get("after")
        if not isinstance(before, str) or not isinstance(after, str):
            continue
        if text == after:
            parts = [before]
        elif after in parts:
            parts[parts.index(after)] = before
        else:
            left.append(after)
        text = "".join(parts)
        parts = _separator(path).split(text)
    return text, tuple(left)


def undo_json(
    document: dict[str, Any], edits: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The document with our values taken back, None where the file was made by us and nothing else is in it; and the paths that

    somebody has changed since: these stay.
    """
    document, left, made = json.loads(json.dumps(document)), [], False
    for edit in reversed(edits):
        key = edit.get("key")
        if not isinstance(key, list) or "after" not in edit:
            made = made or key == []
            continue
        if not _undo_value(document, [str(k) for k in key], edit):
            left.append(".".join(map(str, key)))
    return (None if made and not document else document), tuple(dict.fromkeys(left))


def _undo_value(document: dict[str, Any], key: list[str], edit: dict[str, Any]) -> bool:
    """Put one value back; objects that are empty then leave with it. False where the value is not the one that we wrote."""
    chain = [document]
    for name in key[:-1]:
        inner = chain[-1].get(name)
        if not isinstance(inner, dict):
            return False
        chain.append(inner)
    if key[-1] not in chain[-1] or json.dumps(chain[-1][key[-1]]) != json.dumps(edit["after"]):
        return False
    if "before" in edit:
        chain[-1][key[-1]] = edit["before"]
        return True
    del chain[-1][key[-1]]
    for outer, name in zip(reversed(chain[:-1]), reversed(key[:-1]), strict=True):
        if not outer[name]:
            del outer[name]
    return True


def _separator(path: str) -> re.Pattern[str]:
    return _STANZAS if path.endswith(".sources") else _LINES
