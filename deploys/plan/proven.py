"""KNOW: the record that a host keeps of its last proof, `/var/lib/gpu-host/proven.json`, and of the proof of the set before (`proven-before.json`).

One JSON object, whose keys are `"schema": 1` and the fields of `ProvenSet`: strings, lists of strings, and objects whose values are strings.
Written after a proof that said `ready`, and only when anything but `time` and `boot_id` differs; then the older record moves on to
`proven-before.json`. Whoever reads it gets a whole `ProvenSet` or a ValueError: names and versions in it are safe to be used in commands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from deploys.plan.record import Record

SCHEMA = 1

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*", re.ASCII)
# As dpkg, rpm and pacman write them: "1:535.309.01-0+deb12u1", "3:580.82.07-1.el9".
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~^_-]*", re.ASCII)


@dataclass(frozen=True)
class ProvenSet(Record):
    """What a host consisted of when it was proven.

    `time` is that of the first proof of this very set (UTC, "2026-11-27T20:41:34Z"), `boot_id` that of its boot. `kernel` is the running
    release; `driver`, `flavour` ("proprietary" | "open") those of the loaded module, `branch` the driver's. `packages` maps each
    package of the set (driver and its libraries, fabric, CUDA, Docker, toolkit; no headers, no compilers) to its full version as `manager` writes it.
    `gpus` maps PCI address to id ("10de:2330"). `files` maps each file of ours to its sha256, "" where only root may read it. `daemon_json`
    maps each key of ours in Docker's configuration ("runtimes.nvidia") to its value as JSON. `services` were active, `holds` are the packages that we hold.
    `engine` and `toolkit` are the versions of dockerd and the container toolkit, "" without them.
    """

    time: str = ""
    boot_id: str = ""
    kernel: str = ""
    driver: str = ""
    flavour: str = ""
    branch: str = ""
    manager: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    gpus: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    daemon_json: Mapping[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    engine: str = ""
    toolkit: str = ""

    def is_same_set(self, other: ProvenSet | None) -> bool:
        """Do they differ in nothing but the moment?"""
        return other is not None and replace(self, time=other.time, boot_id=other.boot_id) == other

    def text(self) -> str:
        """The file's content."""
        return json.dumps({"schema": SCHEMA, **self.to_json()}, indent=2) + "\n"


def read_proven(text: str | None) -> ProvenSet:
    """The record in a file's text (None: it could not be read). Raises ValueError, and nothing else, where it is not a whole record of ours."""
    if text is None:
        raise ValueError("no text, or too long")
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - one error for every kind of damage
    if document.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {str(document.get('schema'))[:20]!r}, known here is {SCHEMA}")
    values: dict[str, Any] = {f.name: _value(f.name, f.type, document.get(f.name)) for f in fields(ProvenSet)}
    found = ProvenSet(**values)
    if not _TIME.fullmatch(found.time):
        raise ValueError("its time is none")
    wrong = [n for n, v in found.packages.items() if not (_NAME.fullmatch(n) and _VERSION.fullmatch(v))]
    wrong += [n for n in found.holds if not _NAME.fullmatch(n)]
    if wrong:
        raise ValueError(f"no package is called, or has a version, like {wrong[0][:40]!r}")
    return found


def _value(name: str, kind: object, value: object) -> object:
    """A field's value; the annotation says which kind it must be."""
    if kind == "str" and _is_text(value):
        return value
    if str(kind).startswith("tuple") and isinstance(value, list) and all(map(_is_text, value)):
        return tuple(value)
    if str(kind).startswith("Mapping") and isinstance(value, dict) and all(map(_is_text, (*value, *value.values()))):
        return value
    raise ValueError(f"its {name} is damaged or missing")


def _is_text(value: object) -> bool:
    """Fit to be shown on a terminal."""
    return isinstance(value, str) and value.isprintable()
