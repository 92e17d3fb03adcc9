"""Docker's `daemon.json`: our keys merged into whatever is there. Pure; never invents or drops a foreign key."""

from __future__ import annotations

import json
import math
from typing import Any

from deploys.plan.software import Docker

RUNTIME = "nvidia"
RUNTIME_PATH = "/usr/bin/nvidia-container-runtime"


_KINDS = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}


class DaemonJsonError(ValueError):
    """The file is not one JSON object; the text says where."""


def read(text: str | None) -> dict[str, Any]:
    """The object in `text`; an absent (None) or blank file is an empty one. Raises `DaemonJsonError`."""
    if text is None or not text.strip():
        return {}
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise DaemonJsonError("nested too deeply") from error
    except ValueError as error:
        raise DaemonJsonError(f"not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise DaemonJsonError(f"holds {_KINDS.get(type(document), 'a number')}, not an object")
    if not isinstance(document.get("runtimes", {}), dict):
        raise DaemonJsonError('its key "runtimes" is not an object')
    return document


def _finite(text: str) -> float:
    """What Python would take, and write, as NaN or Infinity is no JSON."""
    if not math.isfinite(float(text)):
        raise ValueError(f"{text} is no number that can be written again")
    return float(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"the key {twice[0]!r} stands there twice")
    return dict(pairs)


def merge(text: str | None) -> str | None:
    """The file with the NVIDIA runtime registered, or None when it already is. Raises `DaemonJsonError`."""
    document = read(text)
    runtimes = document.get("runtimes", {})
    entry = runtimes.get(RUNTIME)
    if isinstance(entry, dict) and entry.get("path") in (RUNTIME_PATH, "nvidia-container-runtime"):
        return None
    merged = {**document, "runtimes": {**runtimes, RUNTIME: {"args": [], "path": RUNTIME_PATH}}}
    try:
        return json.dumps(merged, indent=4) + "\n"
    except RecursionError as error:
        raise DaemonJsonError("nested too deeply") from error


def registered(docker: Docker) -> bool:
    """Will dockerd know the runtime after its next start? A reload that drops the key leaves it in memory, so the file counts.

    With the flag in its unit it must not be in the file too: dockerd refuses a directive that is given twice.
    """
    if docker.runtime_flag:
        return True
    file = docker.daemon_json
    if not docker.daemon_json_exists or file is None or file.content is None:
        return False
    try:
        return merge(file.content) is None
    except DaemonJsonError:
        return False
