"""Validator of `gpu_aur`: the recipes of the Arch User Repository that a person has read, each by commit and PKGBUILD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deploys.plan.settings_values import Context, Problem, SettingsError, show, suggest

_FIELDS = {"commit": 40, "pkgbuild_sha256": 64}
_NAME = re.compile(r"[a-z0-9@_+][a-z0-9@._+-]{0,80}")
_EXAMPLE = '{"nvidia-580xx-utils": {"commit": "40 HEX DIGITS", "pkgbuild_sha256": "64 HEX DIGITS"}}'


@dataclass(frozen=True)
class AurPin:
    """One recipe as it was read: the full commit, and the SHA-256 of its PKGBUILD."""

    commit: str
    pkgbuild_sha256: str


def aur(key: str, value: object, _context: Context) -> dict[str, AurPin]:
    """Name of a recipe (its `pkgbase`) -> its pin."""
    if not isinstance(value, Mapping):
        raise SettingsError(Problem(key, show(value), "a mapping of recipes to what pins them", f"{key} = {_EXAMPLE}"))
    problems: list[Problem] = []
    found: dict[str, AurPin] = {}
    for name, entry in value.items():
        place = f"{key}[{show(name)}]"
        wrong = _problems(place, name, entry)
        problems += wrong
        if not wrong:
            found[name] = AurPin(*(str(entry[field]).lower() for field in _FIELDS))
    if problems:
        raise SettingsError(*problems)
    return found


def _problems(place: str, name: object, entry: object) -> list[Problem]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return [Problem(place, show(name), "the name of a recipe", _EXAMPLE)]
    if not isinstance(entry, Mapping):
        return [Problem(place, show(entry), "a mapping with commit and pkgbuild_sha256", _EXAMPLE)]
    problems = []
    for field in entry:
        if field not in _FIELDS:
            likely = suggest(field, _FIELDS) or "commit"
            problems.append(Problem(place, show(field), "commit and pkgbuild_sha256", f'write "{likely}" or remove it'))
    for field, digits in _FIELDS.items():
        text = entry.get(field)
        if not isinstance(text, str) or not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", text):
            source = "git rev-parse HEAD" if field == "commit" else "sha256sum PKGBUILD"
            needed = f"{digits} hexadecimal digits, all of them"
            problems.append(Problem(f"{place}[{field!r}]", show(text), needed, f"{source} in the recipe prints it"))
    return problems
