"""Components enabled in the host's own apt sources: one-line and deb822 files alike, their mirrors untouched.

Source: sources.list(5) of apt 2.6 and 3.0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from deploys.plan.machine import TextFile

_ONE_LINE = re.compile(
    r"^(?P<head>\s*deb\s+(?:\[[^\]]*\]\s+)?)(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#\n]*?)(?P<tail>\s*(?:#.*)?)$"
)
# What apt takes for "no" (source: apt, StringToBool).
_NO = frozenset({"no", "false", "without", "off", "disable", "0"})
_FIELD = re.compile(r"^(?P<name>[A-Za-z][A-Za-z0-9-]*):(?P<value>.*)$")
_SIGNED_BY = re.compile(r"[\[\s]signed-by=(?P<keys>[^\s\]]+)", re.IGNORECASE)
# A component that no archive has: an entry that would get it is the one that is looked for.
_PROBE = "gpu-host-probe"


@dataclass(frozen=True)
class Wanted:
    """Which entries get which components: those of these suites, signed by keyrings whose names begin with `keys`."""

    suites: frozenset[str]
    components: tuple[str, ...]
    keys: str = ""

    def merge(self, suites: Sequence[str], present: list[str], signed_by: str) -> list[str]:
        """The components that an entry shall have; `present` where the entry is none of the release's."""
        named = {suite.rstrip("/") for suite in suites}
        signers = [PurePosixPath(path).name for path in re.split(r"[,\s]+", signed_by) if path]
        ours = not signers or any(name.startswith(self.keys) for name in signers)
        if "main" not in present or not named & self.suites or not ours:
            return present
        return present + [c for c in self.components if c not in present]


def release_suites(codename: str) -> frozenset[str]:
    """The suites of a release that carry its packages; backports and proposed updates stay as the admin left them."""
    return frozenset({codename, f"{codename}-updates", f"{codename}-security"})


def enable_components(
    sources: Sequence[TextFile], codename: str, components: Sequence[str], archive_keys: str = ""
) -> tuple[TextFile, ...]:
    """The files that must change, with their new text. A file that could not be read is left alone.

    `archive_keys` is how the names of the archive's keyrings begin: an entry that names another keyring is a vendor's,
    even where its suite is called like the release. Where all do, a mirror has signed the archive anew.
    """
    suites = release_suites(codename)
    archive = Wanted(suites, ("main", _PROBE), archive_keys)
    return _enable(sources, Wanted(suites, tuple(components), archive_keys if _enable(sources, archive) else ""))


def _enable(sources: Sequence[TextFile], wanted: Wanted) -> tuple[TextFile, ...]:
    changed = []
    for source in sources:
        if source.content is None:
            continue
        edit = _edit_deb822 if source.path.endswith(".sources") else _edit_one_line
        text = edit(source.content, wanted)
        if text != source.content:
            changed.append(TextFile(source.path, text))
    return tuple(changed)


def has_release(sources: Sequence[TextFile], codename: str) -> bool:
    """Does any source line name the release's archive with component main?"""
    return bool(_enable(sources, Wanted(frozenset({codename}), ("main", _PROBE))))


def _edit_one_line(text: str, wanted: Wanted) -> str:
    lines = []
    for line in text.split("\n"):
        match = _ONE_LINE.match(line)
        if match:
            signer = _SIGNED_BY.search(match["head"])
            present = match["components"].split()
            merged = wanted.merge([match["suite"]], present, signer["keys"] if signer else "")
            if merged != present:
                line = f"{match['head']}{match['uri']} {match['suite']} {' '.join(merged)}{match['tail']}"  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines)


def _edit_deb822(text: str, wanted: Wanted) -> str:
    parts = re.split(r"(\n[ \t\r]*\n)", text)
    return "".join(_edit_stanza(part, wanted) if i % 2 == 0 else part for i, part in enumerate(parts))


def _edit_stanza(stanza: str, wanted: Wanted) -> str:
    fields = _fields(stanza)
    if fields.get("enabled", "yes").lower() in _NO or "deb" not in fields.get("types", "").split():
        return stanza
    present = fields.get("components", "").split()
    merged = wanted.merge(fields.get("suites", "").split(), present, fields.get("signed-by", ""))
    if merged == present:
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
            end = "\r" if line.endswith("\r") else ""
            lines.append(f"{match['name']}: {value}{end}" if inside else line)
        elif not (inside and line[:1] in (" ", "\t")):
            lines.append(line)
    return "\n".join(lines)
