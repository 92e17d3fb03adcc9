"""Ansible's INI inventories, and plain lists, which are the same without sections. Pure.

Source: Ansible's documentation of the plugin `ansible.builtin.ini`. A host of a list may be written USER@HOST:PORT.
"""

from __future__ import annotations

import ast
import re
import shlex

from deploys.plan.inventory.records import InventoryError, Tree, Value, Variables, expand, group

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:[#;].*)?$")
_HOST = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?P<name>\[[0-9a-fA-F:.]+\]|[^\s:@]+(?:\[[^\]]*\][^\s:@]*)*)(?::(?P<port>\d+))?$"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")


def parse_ini(text: str, file: str) -> Tree:
    """Groups of the file; hosts before the first section are `ungrouped`. Raises InventoryError."""
    tree: Tree = {}
    name, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        line, place = raw.strip(), Value(None, file, number)
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and not re.match(r"\[[0-9a-fA-F]*:[0-9a-fA-F:.]*\]", line):
            name, kind = _section(line, place)
            group(tree, name, place)
        elif kind == "hosts":
            _hosts(tree, name, line, place)
        elif kind == "children":
            child = _words(line, place)[0]
            group(tree, name, place).children.append(Value(child, file, number))
        else:
            key, value = _pair(line, place)
            group(tree, name, place).variables[key] = value
    return tree


def _section(line: str, place: Value) -> tuple[str, str]:
    found = _SECTION.match(line)
    if not found or found[2] not in (None, "children", "vars", "hosts"):
        raise place.error(
            line, "a section that means nothing", "[GROUP], [GROUP:children] or [GROUP:vars]", "correct it"
        )
    return found[1], found[2] or "hosts"


def _words(line: str, place: Value) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise place.error(
            "", f"a line that cannot be read ({error})", "every quote closed", "close the quote"
        ) from None


def _hosts(tree: Tree, name: str, line: str, place: Value) -> None:
    """`PATTERN[:PORT] KEY=VALUE ...`."""
    pattern, *words = _words(line, place)
    variables: Variables = {}
    found = _HOST.match(pattern)
    if "=" in pattern or not found:
        raise place.error(
            pattern.partition("=")[0], "no name of a host", "HOST, USER@HOST or HOST:PORT", "correct the line"
        )
    for key, value in (("ansible_user", found["user"]), ("ansible_port", found["port"])):
        if value:
            variables[key] = Value(value, place.file, place.line, text=True)
    for word in words:
        key, value = _pair(word, place)
        variables[key] = value
    for host in expand(found["name"], place):
        group(tree, name, place).hosts.setdefault(host.strip("[]"), {}).update(variables)


def _pair(word: str, place: Value) -> tuple[str, Value]:
    """`KEY=VALUE`; as for Ansible a comment after a value is part of it, unless the value is a number or in quotes."""
    key, equals, value = (part.strip() for part in word.partition("="))
    if not equals or not _NAME.match(key):
        raise _no_pair(key if equals else "", place)
    return key, Value(_text(value), place.file, place.line, text=True)


def _text(value: str) -> str:
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
    if isinstance(found, str):
        return found
    return re.sub(r"\s+#.*$", "", value) if isinstance(found, int) else value


def _no_pair(shown: str, place: Value) -> InventoryError:
    # A word alone is not shown: it may be part of a secret.
    return place.error(
        shown, "something that is no KEY=VALUE", "KEY=VALUE, values with spaces in quotes", "correct the line"
    )
