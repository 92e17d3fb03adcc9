"""DECIDE: what a machine that provisions itself runs, where its result goes, and whether it reboots afterwards. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deploys.knowledge.paths import PULL_CONFIG

DEPLOYS = ("gpu_host", "inference_service", "monitoring", "verify", "preflight", "doctor")
DEFAULT_RESULTS = "/var/lib/gpu-host/results"
HOST = "{host}"

_STORES: Mapping[str, tuple[str, ...]] = {
    "s3": ("aws", "s3", "cp", "--only-show-errors"),
    "gs": ("gcloud", "storage", "cp", "--quiet"),
}
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.ASCII)
_KEYS = ("data", "deploys", "results", "token_file")


class ConfigError(Exception):
    """A configuration that cannot be used; the text names the file, the key, and what to write instead."""


@dataclass(frozen=True)
class Target:
    """Where a result goes. `place` is a folder, a URL or an object of a store; it may hold `{host}`."""

    kind: Literal["folder", "http", "store"]
    place: str

    def of(self, node: str) -> str:
        """The place for the result of that machine: a file, a URL or an object."""
        if HOST in self.place:
            return self.place.replace(HOST, node)
        return self.place if self.kind == "http" else f"{self.place.rstrip('/')}/{node}.json"

    @property
    def method(self) -> str:
        """PUT where the URL names the machine, else POST."""
        return "PUT" if HOST in self.place else "POST"

    def upload(self, file: str, node: str) -> tuple[str, ...]:
        """The command that copies `file` to the store, by the store's own tool."""
        return (*_STORES[self.place.split(":", 1)[0]], file, self.of(node))


@dataclass(frozen=True)
class PullConfig:
    """`data` is a host's data as in an inventory. `token_file` holds the bearer token for HTTP results (root only)."""

    data: Mapping[str, Any] = field(default_factory=dict)
    deploys: tuple[str, ...] = ("gpu_host",)
    results: tuple[Target, ...] = (Target("folder", DEFAULT_RESULTS),)
    token_file: str | None = None


def parse_config(text: str, path: str = PULL_CONFIG) -> PullConfig:
    """The configuration in a JSON text. Raises ConfigError; the settings under `data` are judged by the run itself."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: found {type(found).__name__}, needed an object with {', '.join(_KEYS)}")
    unknown = sorted(set(found) - set(_KEYS))
    if unknown:
        hint = " (settings stand under data)" if any(k.startswith("gpu_") for k in unknown) else ""
        raise ConfigError(f"{path}: {', '.join(unknown)} means nothing here; known: {', '.join(_KEYS)}{hint}")
    data, token = found.get("data", {}), found.get("token_file")
    if not isinstance(data, dict):
        raise ConfigError(f'{path}: data: found {data!r}, needed an object such as {{"gpu_profile": "containers"}}')
    if token is not None and not (isinstance(token, str) and token.startswith("/")):
        raise ConfigError(f"{path}: token_file: found {token!r}, needed an absolute path of a file with the token")
    results = tuple(_target(r, path) for r in _words(found, "results", path, [DEFAULT_RESULTS]))
    plain = [r.place for r in results if r.place.startswith("http:")]
    if token and plain:
        raise ConfigError(f"{path}: token_file: the token would travel in the clear to {plain[0]}; write https://")
    return PullConfig(_numbers(data), _deploys(found, path), results, token)


def _words(found: Mapping[str, Any], key: str, path: str, default: list[str]) -> list[str]:
    words = found.get(key, default)
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise ConfigError(f"{path}: {key}: found {words!r}, needed a list of strings such as {json.dumps(default)}")
    return words


def _deploys(found: Mapping[str, Any], path: str) -> tuple[str, ...]:
    names = _words(found, "deploys", path, ["gpu_host"])
    for name in names:
        if name not in DEPLOYS:
            raise ConfigError(f"{path}: deploys: found {name!r}, needed some of {', '.join(DEPLOYS)}")
    return tuple(names)


def _target(place: str, path: str) -> Target:
    scheme = place.split("://", 1)[0] if "://" in place else ""
    if place.startswith("/"):
        return Target("folder", place)
    if scheme in ("http", "https"):
        return Target("http", place)
    if scheme in _STORES:
        return Target("store", place)
    stores = ", ".join(f"{s}://BUCKET/FOLDER" for s in _STORES)
    raise ConfigError(f"{path}: results: found {place!r}, needed /FOLDER, https://HOST/PATH, {stores}")


def _numbers(value: Any) -> Any:
    """JSON knows no numbers as keys, and ports are numbers."""
    if isinstance(value, dict):
        return {int(k) if k.isascii() and k.isdigit() else k: _numbers(v) for k, v in value.items()}
    return [_numbers(v) for v in value] if isinstance(value, list) else value


def named(document: Mapping[str, Any], node: str) -> dict[str, Any]:
    """The result of a run with this machine's name in it, so that the results of many can lie side by side.

    Raises ConfigError when the name could leave the folder or the URL that it is written into.
    """
    if not _NODE.fullmatch(node):
        raise ConfigError(f"the name of this machine is {node!r}; needed letters, digits, dots and dashes: hostnamectl")
    return {**document, "hosts": [{**h, "host": node} for h in document.get("hosts", [])]}


def reboots_now(document: Mapping[str, Any], record: str, boot_id: str) -> bool:
    """Does this machine reboot at the end of its run? Only where the run has written down, in this very boot, that it must.

    `record`: what the run wrote ("" nothing; what an earlier run has left there does not count).
    """
    states = {h.get("state") for h in document.get("hosts", [])}
    # A new kernel is tried from a host that is ready; one that went back may need a reboot for that.
    return (
        states <= {"reboot-pending", "ready", "rolled-back"}
        and bool(states and boot_id)
        and record.splitlines()[:1] == [boot_id]
    )
