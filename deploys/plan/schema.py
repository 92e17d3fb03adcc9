"""JUDGE: does a JSON document keep to a JSON Schema? As much of draft 2020-12 as our own schema uses; any other word in it is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
_SAID = frozenset({"$schema", "$id", "$defs", "title", "description", "format"})


def problems(
    value: object, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None, at: str = ""
) -> Iterator[str]:
    """What is wrong with `value`, each with the place. Raises ValueError for a schema that holds what is not understood here."""
    root = root or schema
    if "$ref" in schema:
        yield from problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
        return
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        yield f"{at or 'document'}: {' or '.join(kinds)} expected"
        return
    for word, wanted in schema.items():
        if word not in _SAID and word != "type":
            rule = _RULES.get(word)
            if rule is None:
                raise ValueError(f"{word} is not understood here")
            yield from rule(value, wanted, schema, root, at)


def _const(value: object, wanted: Any, *rest: Any) -> Iterator[str]:
    if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
        yield f"{rest[-1]}: {wanted!r} expected"


def _enum(value: object, wanted: Any, *rest: Any) -> Iterator[str]:
    if value not in wanted:
        yield f"{rest[-1]}: one of {', '.join(map(str, wanted))} expected"


def _minimum(value: object, wanted: Any, *rest: Any) -> Iterator[str]:
    if isinstance(value, int | float) and value < wanted:
        yield f"{rest[-1]}: at least {wanted} expected"


def _pattern(value: object, wanted: Any, *rest: Any) -> Iterator[str]:
    if isinstance(value, str) and not re.search(wanted, value, re.ASCII):
        yield f"{rest[-1]}: {wanted} expected"


def _required(value: object, wanted: Any, *rest: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{rest[-1]}.{name}: missing".removeprefix(".") for name in wanted if name not in value)


def _properties(value: object, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in wanted:
                yield from problems(item, wanted[name], root, f"{at}.{name}".removeprefix("."))


def _additional(value: object, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for name in value.keys() - schema.get("properties", {}).keys():
        place = f"{at}.{name}".removeprefix(".")
        if wanted is False:
            yield f"{place}: not known"
        elif isinstance(wanted, dict):
            yield from problems(value[name], wanted, root, place)


def _items(value: object, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(item, wanted, root, f"{at}[{index}]")


def _any_of(value: object, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    tries = [list(problems(value, one, root, at)) for one in wanted]
    if all(tries):
        # Of a value of the right type what is wrong inside says more than that it might have been null.
        yield from min(tries, key=lambda found: found[0].startswith(f"{at}: "))


_RULES: Mapping[str, Callable[..., Iterator[str]]] = {
    "const": _const,
    "enum": _enum,
    "minimum": _minimum,
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _any_of,
}
