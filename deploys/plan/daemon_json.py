"""Docker's `daemon.json`: our keys merged into whatever is there. Pure; never invents or drops a foreign key.

Objects are merged by key, lists by element. Which keys dockerd takes over on a reload: its reference, "Configuration reload behavior".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploys.knowledge.gpu_access import CDI_FOLDERS
from deploys.plan.software import Docker

RUNTIME = "nvidia"
RUNTIME_PATH = "/usr/bin/nvidia-container-runtime"
FOLDERS_KEY = "cdi-spec-dirs"

Takeover = Literal["", "reload", "restart", "pending"]

_KINDS = {list: "a list", dict: "an object", str: "a string", bool: "true or false", type(None): "null"}


class DaemonJsonError(ValueError):
    """The file is not one JSON object, or a key of it is not what dockerd takes; the text says where."""


@dataclass(frozen=True)
class Wanted:
    """Our part of the file. `live_restore` and `cdi` None leave what is there; `cdi` True also has dockerd look where the toolkit writes."""

    runtime: bool = True
    live_restore: bool | None = None
    cdi: bool | None = None

    @property
    def nothing(self) -> bool:
        return not self.runtime and self.live_restore is None and self.cdi is None


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
        raise DaemonJsonError(f"holds {_kind(document)}, not an object")
    for key, kind in (("runtimes", dict), ("features", dict), (FOLDERS_KEY, list)):
        if not isinstance(document.get(key, kind()), kind):
            raise DaemonJsonError(f'its key "{key}" is {_kind(document[key])}, not {_KINDS[kind]}')
    return document


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")


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


def merge(text: str | None, wanted: Wanted = Wanted()) -> str | None:
    """The file with our part in it, or None when it already is. Raises `DaemonJsonError`."""
    document = read(text)
    merged = _overlay(document, _ours(document, wanted))
    try:
        # Not the objects: to Python true and 1 are the same.
        same = json.dumps(merged) == json.dumps(document)
        return None if same else json.dumps(merged, indent=4) + "\n"
    except RecursionError as error:
        raise DaemonJsonError("nested too deeply") from error


def _ours(document: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Only what is to be laid over the document."""
    ours: dict[str, Any] = {}
    if wanted.runtime and not _leads_to_ours(document.get("runtimes", {}).get(RUNTIME)):
        ours["runtimes"] = {RUNTIME: {"args": [], "path": RUNTIME_PATH}}
    if wanted.live_restore is not None:
        ours["live-restore"] = wanted.live_restore
    if wanted.cdi is not None:
        ours["features"] = {"cdi": wanted.cdi}
    if wanted.cdi and document.get(FOLDERS_KEY):
        ours[FOLDERS_KEY] = list(CDI_FOLDERS)
    return ours


def _leads_to_ours(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("path") in (RUNTIME_PATH, "nvidia-container-runtime")


def _overlay(there: Any, ours: Any) -> Any:
    """`there` with `ours` over it. A runtime's `runtimeType` excludes a path, so it goes where ours is laid (source: dockerd)."""
    if isinstance(there, dict) and isinstance(ours, dict):
        kept = {k: v for k, v in there.items() if not (k == "runtimeType" and "path" in ours)}
        return {**kept, **{k: _overlay(there.get(k), v) for k, v in ours.items()}}
    if isinstance(there, list) and isinstance(ours, list):
        return [*there, *(v for v in ours if v not in there)]
    # True == 1 in Python, and not in JSON.
    return there if type(there) is type(ours) and there == ours else ours


def registered(docker: Docker, wanted: Wanted = Wanted()) -> bool:
    """Will dockerd know all of it after its next start? A reload that drops the key leaves it in memory, so the file counts.

    With the runtime in the flags of its unit it must not be in the file too: dockerd refuses a directive that is given twice.
    """
    wanted = in_file(docker, wanted)
    if wanted.nothing:
        return True
    file = docker.daemon_json
    if not docker.daemon_json_exists or file is None or file.content is None:
        return False
    try:
        return merge(file.content, wanted) is None
    except DaemonJsonError:
        return False


def in_file(docker: Docker, wanted: Wanted) -> Wanted:
    """What of it belongs into the file: dockerd does not start with a directive that is in its command line too."""
    return Wanted(
        wanted.runtime and not docker.runtime_flag,
        None if "live-restore" in docker.flags else wanted.live_restore,
        None if {"feature", "cdi-spec-dir"} & set(docker.flags) else wanted.cdi,
    )


def needs_start(docker: Docker, wanted: Wanted) -> bool:
    """Does the engine run with another answer about CDI than is wanted, or without having seen the hook of `--gpus`?

    Only a start changes either (source: moby, daemon/nvidia_linux.go: the hook is looked up when the daemon is made).
    """
    if wanted.runtime and docker.hook_late:
        return True
    return wanted.cdi is not None and docker.cdi is not None and docker.cdi != wanted.cdi


_MANAGED: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "runtimes.nvidia": lambda document: document.get("runtimes", {}).get(RUNTIME),
    "live-restore": lambda document: document.get("live-restore"),
    "features.cdi": lambda document: document.get("features", {}).get("cdi"),
    FOLDERS_KEY: lambda document: [f for f in document.get(FOLDERS_KEY, ()) if f in CDI_FOLDERS] or None,
}


def managed_value(document: dict[str, Any], key: str) -> str:
    """Value of a key of ours as JSON, "" where it is not there; of lists only what is ours."""
    value = _MANAGED[key](document) if key in _MANAGED else None
    return "" if value is None else json.dumps(value, sort_keys=True)


def managed(text: str | None, wanted: Wanted) -> dict[str, str]:
    """Our keys that are in the file ("runtimes.nvidia"), each with its value as JSON. Raises `DaemonJsonError`."""
    document = read(text)
    keys = ["runtimes.nvidia"] if wanted.runtime else []
    keys += ["live-restore"] if wanted.live_restore is not None else []
    keys += ["features.cdi", FOLDERS_KEY] if wanted.cdi is not None else []
    return {key: value for key in keys if (value := managed_value(document, key))}


def takeover(docker: Docker, wanted: Wanted, *, written: bool) -> Takeover:
    """How a running engine comes to know what the file says.

    Runtimes and live-restore are taken over on a reload, CDI and the hook of `--gpus` only at a start. A restart is "pending" while it would end containers.
    """
    if not docker.engine:
        return ""
    late = wanted.live_restore is not None and docker.live_restore not in (None, wanted.live_restore)
    if written or late or (wanted.runtime and RUNTIME not in docker.runtimes):
        return "reload"
    if not needs_start(docker, wanted):
        return ""
    return "restart" if docker.running == 0 or docker.live_restore else "pending"
