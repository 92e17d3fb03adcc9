"""Validators of single settings: `(key, value, context) -> clean value`, or `SettingsError` with every problem found.

Every string is matched against a whitelist, so that nothing from an inventory can leave the file or the command line
that it is written into.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from deploys.knowledge.floors import find_floor
from deploys.plan.versions import below

_DRIVER = re.compile(r"[1-9]\d{2,3}(\.\d{1,3}(\.\d{1,2})?)?", re.ASCII)
_CUDA = re.compile(r"[1-9]\d?\.\d{1,2}", re.ASCII)
_PATH = re.compile(r"[\w./~ @%+=:,-]+", re.ASCII)
_LONGEST = 300


@dataclass(frozen=True)
class Problem:
    """One setting that cannot be used: what was found, what is needed, and what to write instead."""

    key: str
    found: str
    needed: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key}\n    found   {self.found}\n    needed  {self.needed}\n    fix     {self.fix}"


class SettingsError(Exception):
    """Settings that cannot be used; `problems` holds all of them, never only the first."""

    def __init__(self, *problems: Problem) -> None:
        self.problems: tuple[Problem, ...] = problems
        count = "1 setting" if len(problems) == 1 else f"{len(problems)} settings"
        super().__init__("\n".join((f"{count} cannot be used", *map(str, problems))))


@dataclass(frozen=True)
class Context:
    """What validators may know beyond the value: the names of the checks, and how to read a file on the controller."""

    checks: frozenset[str] = frozenset()
    waivable: frozenset[str] = frozenset()
    read_file: Callable[[str], str | None] = field(default=lambda _: None)


Validator = Callable[[str, object, Context], object]


def show(value: object) -> str:
    """A value for a message: one short line without control characters, with its type where that may be the mistake."""
    try:
        text = ascii(value)
    except Exception:  # noqa: BLE001 - the value is anything at all, and so is what its repr() does
        return f"a value of type {type(value).__name__}"
    text = text if len(text) <= 80 else f"{text[:77]}..."
    return text if isinstance(value, str) or value is None else f"{text} ({type(value).__name__})"


def suggest(word: object, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    close = difflib.get_close_matches(word[:_LONGEST], sorted(known), n=1) if isinstance(word, str) else []
    return close[0] if close else None


def choice(*words: str, none: bool = False) -> Validator:
    """One of the words; with `none`, also None."""
    listed = [f'"{w}"' for w in words] + (["None"] if none else [])

    def validate(key: str, value: object, _context: Context) -> object:
        if (none and value is None) or (isinstance(value, str) and value in words):
            return value
        likely = suggest(value, words) or words[0]
        raise SettingsError(Problem(key, show(value), " or ".join(listed), f'{key} = "{likely}"'))

    return validate


def switch(*values: bool) -> Validator:
    """One of the truth values, or None to leave things as they are."""
    needed = " or ".join([*map(str, values), "None"])

    def validate(key: str, value: object, _context: Context) -> object:
        if value is None or (isinstance(value, bool) and value in values):
            return value
        raise SettingsError(Problem(key, show(value), needed, f"{key} = {values[0]}"))

    return validate


def command(key: str, value: object, _context: Context) -> str | None:
    """A shell command for the host, or None."""
    if value is None or (isinstance(value, str) and value.strip() and "\0" not in value):
        return value
    raise SettingsError(Problem(key, show(value), "a shell command, or None", f'{key} = "scontrol update ..."'))


def whole_number(low: int, high: int | None, unit: str, *, none: bool = False) -> Validator:
    """An int within the limits; True and False are no numbers here."""
    limits = f"{low} or more" if high is None else f"{low} to {high}"
    needed = f"a whole number of {unit}, {limits}" + (", or None" if none else "")

    def validate(key: str, value: object, _context: Context) -> object:
        if none and value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value >= low and (high is None or value <= high):
            return value
        fix = f"{key} = {low}, or the number that is meant" + ("; None does not check" if none else "")
        raise SettingsError(Problem(key, show(value), needed, fix))

    return validate


def driver_branch(key: str, value: object, _context: Context) -> str | None:
    """None, a branch ("580") or a full version ("580.159.03"). A number is refused: 570.10 would arrive as 570.1."""
    if value is None or (isinstance(value, str) and _DRIVER.fullmatch(value)):
        return value
    needed = 'a string with a branch ("580") or a full version ("580.159.03"), or None'
    if isinstance(value, int | float) and not isinstance(value, bool):
        fix = f'put the version in quotes, {key} = "570.10": as a number 570.10 becomes 570.1'
        raise SettingsError(Problem(key, show(value), needed, fix))
    raise SettingsError(Problem(key, show(value), needed, f'{key} = "580", or None for what the source offers'))


def cuda(key: str, value: object, _context: Context) -> object:
    """Either "auto", None, or one or more versions as a tuple without repetitions."""
    if value is None or (isinstance(value, str) and value == "auto"):
        return value
    if not isinstance(value, list | tuple):
        return (_cuda_version(key, value),)
    if not value:
        fix = f'{key} = None for no CUDA toolkit, "auto" for the newest that fits'
        raise SettingsError(Problem(key, show(value), "at least one version in the list", fix))
    problems: list[Problem] = []
    versions: list[str] = []
    for version in value:
        try:
            versions.append(_cuda_version(key, version))
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(*problems)
    return tuple(dict.fromkeys(versions))


def _cuda_version(key: str, value: object) -> str:
    needed = 'a version as a string, MAJOR.MINOR such as "12.4"'
    if not isinstance(value, str):
        fix = f'put the version in quotes, {key} = "12.10": as a number 12.10 becomes 12.1'
        raise SettingsError(Problem(key, show(value), needed, fix))
    if not _CUDA.fullmatch(value):
        raise SettingsError(Problem(key, show(value), needed, _cuda_fix(key, value)))
    floor = find_floor("cuda")
    if floor and below(value, floor.refuse):
        fix = f'{key} = "auto" for the newest that fits, or a newer version'
        raise SettingsError(Problem(key, show(value), f"CUDA newer than 11.3: {floor.why}", fix))
    return value


def _cuda_fix(key: str, value: str) -> str:
    inside = re.search(r"(?<![\d.])\d{1,2}\.\d{1,2}(?!\d)", value)
    if inside:
        return f'{key} = "{inside.group()}"'
    return f'{key} = "auto" for the newest that fits, "12.4" for one version, None for no CUDA toolkit'


def accept(key: str, value: object, context: Context) -> tuple[str, ...]:
    """Names of checks that may be waived."""
    if not isinstance(value, list | tuple | set | frozenset):
        fix = f"{key} = [{show(value)}]" if isinstance(value, str) else f'{key} = ["NAME OF A CHECK"]'
        raise SettingsError(Problem(key, show(value), "a list of check names", fix))
    problems = [p for p in (_acceptable(key, name, context) for name in value) if p]
    if problems:
        raise SettingsError(*problems)
    return tuple(sorted({str(name) for name in value}))


def _acceptable(key: str, name: object, context: Context) -> Problem | None:
    if isinstance(name, str) and name in context.waivable:
        return None
    if isinstance(name, str) and name in context.checks:
        needed = "a check that may be accepted; accepting this one could break the host"
        return Problem(key, show(name), needed, f"remove {show(name)} from {key} and solve what the check reports")
    likely = suggest(name, context.checks)
    fix = f'write "{likely}"' if likely else "remove it; a refusal prints the name of the check that made it"
    return Problem(key, show(name), "the name of a check", fix)


def folder(key: str, value: object, _context: Context) -> str | None:
    """None or the path of a folder on the controller."""
    if value is None or (isinstance(value, str) and is_path(value)):
        return value
    needed = "a folder's path from letters, digits, spaces and ./~@%+=:,_- or None"
    raise SettingsError(Problem(key, show(value), needed, f'{key} = "reports", or None to write nothing'))


def is_path(text: str) -> bool:
    """Is the text a path without line breaks, quotes and anything that a shell would interpret?"""
    return bool(_PATH.fullmatch(text)) and len(text) <= _LONGEST and text == text.strip()
