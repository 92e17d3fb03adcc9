"""Reading and editing the framed text of a probe. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from facts.subject import MISSING, PROBE

_MARKER = re.compile(r"### (?P<name>[a-z_-]+) (?P<kind>begin|end) (?P<number>\d{1,9})")


class ProbeError(ValueError):
    """The text is not a whole probe: its beginning or its end marker is not there."""


@dataclass(frozen=True)
class Section:
    """What one subject printed. `code` is its exit status, None when the section was cut off; `limit` its cap in bytes."""

    name: str
    text: str
    code: int | None
    limit: int

    @property
    def problem(self) -> str:
        """Why this section cannot be trusted, "" when it can."""
        if len(self.text) >= self.limit:
            return f"the answer is longer than {self.limit} bytes"
        if self.code is None:
            return "the answer was cut off"
        if self.code in (124, 137):
            return "no answer within its time limit"
        if self.code == MISSING:
            missing = re.search(r"^missing (.+)", self.text, flags=re.MULTILINE)
            return f"{missing.group(1)} is not there" if missing else "a tool is not there"
        return f"exit status {self.code}" if self.code else ""


def split_sections(text: str) -> dict[str, Section]:
    """The sections of a probe by name; the first of a name counts.

    Raises ProbeError when the end marker is missing, which means that the connection or the shell ended early.
    """
    sections: dict[str, Section] = {}
    name, limit, lines, began, ended = "", 0, [""], False, False
    for line in text.split("\n"):
        if line.startswith("|"):
            lines.append(line[1:])
            continue
        marker = _MARKER.fullmatch(line)
        if not marker:
            continue
        if name:
            code = int(marker["number"]) if (marker["kind"], marker["name"]) == ("end", name) else None
            sections.setdefault(name, Section(name, "".join(f"{x}\n" for x in lines), code, limit))
        name = ""
        if marker["name"] == PROBE:
            began, ended = began or marker["kind"] == "begin", marker["kind"] == "end"
        elif marker["kind"] == "begin":
            name, limit, lines = marker["name"], int(marker["number"]), []
    if not (began and ended):
        raise ProbeError(
            f"found a probe without its {'end' if began else 'first'} marker, needed the whole text: "
            "the shell on the host ended early or something else answered; run again with -vvv to see its output"
        )
    return sections


def join_sections(sections: dict[str, Section]) -> str:
    """The framed text of these sections, as the host would have printed it."""
    parts = [f"### {PROBE} begin 1"]
    for section in sections.values():
        parts.append(f"### {section.name} begin {section.limit}")
        parts += [f"|{line}" for line in section.text.split("\n")[: -1 if section.text.endswith("\n") else None]]
        if section.code is not None:
            parts.append(f"### {section.name} end {section.code}")
    return "\n".join([*parts, f"### {PROBE} end 0", ""])


def replace_section(text: str, subject: str, new_output: str, code: int = 0) -> str:
    """The same recording with another answer for one subject: how recorded hosts are made out of a base recording.

    Raises ProbeError for a text that is no probe, ValueError for a subject that it does not have.
    """
    sections = split_sections(text)
    if subject not in sections:
        raise ValueError(f"found no section {subject!r}, needed one of: {', '.join(sorted(sections))}")
    output = new_output if new_output.endswith("\n") or not new_output else f"{new_output}\n"
    sections[subject] = Section(subject, output, code, sections[subject].limit)
    return join_sections(sections)
