"""Components enabled in the host's own apt sources: one-line and deb822 files alike, their mirrors untouched.

Source: sources.list(5) of apt 2.6 and 3.0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deploys.plan.machine import TextFile

_ONE_LINE = re.compile(
    r"^(?P<head>\s*deb\s+(?:\[[^\]]*\]\s+)?)(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#\n]*?)(?P<tail>\s*(?:#.*)?)$"
)
_FIELD = re.compile(r"^(?P<name>[A-Za-z][A-Za-z0-9-]*):(?P<value>.*)$")


def release_suites(codename: str) -> frozenset[str]:
    """The suites of a release that carry its packages; backports and proposed updates stay as the admin left them."""
    return frozenset({codename, f"{codename}-updates", f"{codename}-security"})


def enable_components(sources: Sequence[TextFile], codename: str, components: Sequence[str]) -> tuple[TextFile, ...]:
    """The files that must change, with their new text. A file that could not be read is left alone."""
    changed = []
    for source in sources:
        if source.content is None:
            continue
        edit = _edit_deb822 if source.path.endswith(".sources") else _edit_one_line
        text = edit(source.content, release_suites(codename), tuple(components))
        if text != source.content:
            changed.append(TextFile(source.path, text))
    return tuple(changed)


def has_release(sources: Sequence[TextFile], codename: str) -> bool:
    """Does any source line name the release's archive with component main?"""
    probe = "gpu-host-probe"
    return bool(enable_components(sources, codename, ("main", probe)))


def _with(present: list[str], wanted: Sequence[str]) -> list[str]:
    return present + [c for c in wanted if c not in present] if "main" in present else present


def _edit_one_line(text: str, suites: frozenset[str], components: Sequence[str]) -> str:
    lines = []
    for line in text.split("\n"):
        match = _ONE_LINE.match(line)
        if match and match["suite"].rstrip("/") in suites:
            present = match["components"].split()
            merged = _with(present, components)
            if merged != present:
                line = f"{match['head']}{match['uri']} {match['suite']} {' '.join(merged)}{match['tail']}"  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines)


def _edit_deb822(text: str, suites: frozenset[str], components: Sequence[str]) -> str:
    parts = re.split(r"(\n[ \t]*\n)", text)
    return "".join(_edit_stanza(part, suites, components) if i % 2 == 0 else part for i, part in enumerate(parts))


def _edit_stanza(stanza: str, suites: frozenset[str], components: Sequence[str]) -> str:
    fields = _fields(stanza)
    if "no" in fields.get("enabled", "yes").lower().split() or "deb" not in fields.get("types", "").split():
        return stanza
    named = {suite.rstrip("/") for suite in fields.get("suites", "").split()}
    present = fields.get("components", "").split()
    merged = _with(present, components)
    if not named & suites or merged == present:
        return stanza
    return _replace_field(stanza, "components", " ".join(merged))


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.split("\n"):
        match = _FIELD.match(line)
        if match:
            name = match["name"].lower()
            fields[name] = match["value"].strip()
        elif line[:1] in (" ", "\t") and name:
            fields[name] += " " + line.strip()
    return fields


def _replace_field(stanza: str, name: str, value: str) -> str:
    lines: list[str] = []
    inside = False
    for line in stanza.split("\n"):
        match = _FIELD.match(line)
        if match:
            inside = match["name"].lower() == name
            lines.append(f"{match['name']}: {value}" if inside else line)
        elif not (inside and line[:1] in (" ", "\t")):
            lines.append(line)
    return "\n".join(lines)
