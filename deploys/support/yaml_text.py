"""YAML and JSON as values that know their lines. PyYAML is used where it is there; it is no requirement of this toolkit."""

from __future__ import annotations

import json
from typing import Any

from deploys.plan.inventory.records import VAULT, InventoryError, Value

try:
    import yaml  # type: ignore[import-untyped]
except ImportError:  # pragma: no cover - it is there for the tests
    yaml = None


def read_yaml(text: str, file: str) -> Value:
    """The document of a YAML file; only plain types are made of it. Raises InventoryError."""
    if yaml is None:
        raise InventoryError(
            file,
            "",
            "YAML, and no PyYAML to read it with",
            "JSON, or PyYAML beside this toolkit",
            "ansible-inventory -i INVENTORY --list >fleet.json, and use that file; or .venv/bin/pip install pyyaml",
        )
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return Value(None, file, 1) if node is None else _value(loader, node, file)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        # Only the parser's own words: the text that it shows with them may be a secret.
        problem = str(getattr(error, "problem", "") or "no YAML")
        raise InventoryError(
            where, "", problem, "YAML", "correct the line; tabs and unquoted colons are common causes"
        ) from None
    except InventoryError:
        raise
    except (ValueError, RecursionError):
        # Such as 2026-99-99, which looks like a date and is none.
        raise InventoryError(
            file, "", "a value that cannot be read", "YAML", "put what looks like a date or a number into quotes"
        ) from None
    finally:
        if loader is not None:
            loader.dispose()


def _value(loader: Any, node: Any, file: str) -> Value:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        return Value(_entries(loader, node, file), file, line)
    if isinstance(node, yaml.SequenceNode):
        return Value([_value(loader, item, file) for item in node.value], file, line)
    if node.tag == "!vault":
        return Value(VAULT, file, line)
    if node.tag == "!unsafe":
        return Value(node.value, file, line)
    return Value(loader.construct_object(node, deep=True), file, line)


def _entries(loader: Any, node: Any, file: str) -> dict[str, Value]:
    entries: dict[str, Value] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        if not name or name in entries:
            where = f"{file}:{key.start_mark.line + 1}"
            raise InventoryError(
                where,
                name,
                "a key that is there twice" if name else "a key that is no text",
                "each name once",
                "remove one of both",
            )
        entries[name] = _value(loader, value, file)
        # An error about a host or a variable names the line of its name.
        entries[name] = Value(entries[name].value, file, key.start_mark.line + 1)
    return entries


def read_json(text: str, file: str) -> Value:
    """The document of a JSON file. JSON tells no lines but that of an error. Raises InventoryError."""
    try:
        return _placed(json.loads(text), file)
    except json.JSONDecodeError as error:
        raise InventoryError(f"{file}:{error.lineno}", "", f"no JSON ({error.msg})", "JSON", "print it anew") from None
    except RecursionError:
        raise InventoryError(file, "", "JSON that is nested too deeply", "JSON", "print it anew") from None


def _placed(document: object, file: str) -> Value:
    if isinstance(document, dict):
        if "__ansible_vault" in document:
            return Value(VAULT, file)
        if set(document) == {"__ansible_unsafe"}:
            return Value(document["__ansible_unsafe"], file)
        return Value({str(key): _placed(value, file) for key, value in document.items()}, file)
    return (
        Value([_placed(item, file) for item in document], file) if isinstance(document, list) else Value(document, file)
    )
