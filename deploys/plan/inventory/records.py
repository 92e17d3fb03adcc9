"""KNOW: an inventory as it was written: hosts, groups and variables, each with the line that it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# Stands for a value that Ansible has encrypted.
VAULT = object()


class InventoryError(ValueError):
    """Something in an inventory that cannot be used; the text names file, line and key, and says what would do. It never shows a value that may be secret."""

    def __init__(self, where: str, key: str, found: str, needed: str, fix: str) -> None:
        head = f"{where}: {key}" if key else where
        super().__init__(f"{head}\n    found   {found}\n    needed  {needed}\n    fix     {fix}")


@dataclass(frozen=True)
class Value:
    """A value and its place; `line` 0 where the format tells none. `text`: from a format that knows text only.

    The value of a mapping is a `dict[str, Value]`, that of a list a `list[Value]`.
    """

    value: object
    file: str
    line: int = 0
    text: bool = False

    def error(self, key: str, found: str, needed: str, fix: str) -> InventoryError:
        return InventoryError(self.where, key, found, needed, fix)

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def kind(self) -> str:
        """What it is, in words that show nothing of it."""
        if self.value is VAULT:
            return "a value in Ansible's vault"
        return {dict: "a mapping", list: "a list", str: "a text", bool: "a boolean", int: "a number"}.get(
            type(self.value), "nothing" if self.value is None else "something else"
        )

    def mapping(self, key: str, needed: str) -> Mapping[str, Value]:
        """Its entries; nothing at all is an empty mapping. Raises InventoryError."""
        if self.value is None:
            return {}
        if isinstance(self.value, dict):
            return self.value
        raise self.error(key, self.kind, needed, "see inventories/examples/ for the form")

    def plain(self) -> object:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: value.plain() for key, value in self.value.items()}
        return [value.plain() for value in self.value] if isinstance(self.value, list) else self.value


Variables = dict[str, Value]


@dataclass
class Group:
    """`place` is where it was first named."""

    place: Value
    hosts: dict[str, Variables] = field(default_factory=dict)
    children: list[Value] = field(default_factory=list)
    variables: Variables = field(default_factory=dict)


Tree = dict[str, Group]


def group(tree: Tree, name: str, place: Value) -> Group:
    """The group of that name, made where it is not there yet."""
    return tree.setdefault(name, Group(place))


_RANGE = re.compile(r"\[([0-9]+|[a-zA-Z]):([0-9]+|[a-zA-Z])(?::([0-9]+))?\]")
_MOST = 10_000


def expand(pattern: str, place: Value) -> Iterator[str]:
    """The names that a pattern such as `gpu[01:12].example` or `node-[a:d]` means. Raises InventoryError."""
    found = _RANGE.search(pattern)
    if not found:
        if "[" in pattern and not re.match(r"\[[0-9a-fA-F:.]+\](?::[0-9]+)?$", pattern):
            raise place.error(pattern, "a range that cannot be read", "[01:12], [a:d] or [1:9:2]", "write it like that")
        yield pattern
        return
    first, last, step = found[1], found[2], int(found[3] or 1)
    letters = not first.isdigit()
    start, end = (ord(first), ord(last)) if letters and not last.isdigit() else _numbers(first, last, pattern, place)
    if end < start or step < 1 or (end - start) // step >= _MOST:
        raise place.error(pattern, "a range of no or too many names", f"1 to {_MOST} names, upwards", "correct it")
    for number in range(start, end + 1, step):
        name = chr(number) if letters else str(number).zfill(len(first))
        yield from expand(f"{pattern[: found.start()]}{name}{pattern[found.end() :]}", place)


def _numbers(first: str, last: str, pattern: str, place: Value) -> tuple[int, int]:
    if not (first.isdigit() and last.isdigit()):
        raise place.error(pattern, "a range from a letter to a number", "two letters or two numbers", "correct it")
    if first.startswith("0") and len(first) != len(last) and len(first) > 1:
        raise place.error(pattern, "ends with different numbers of digits", "[01:12], not [01:9]", "correct it")
    return int(first), int(last)
