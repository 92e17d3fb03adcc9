"""Validator of `gpu_services`: the model services of a host, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from deploys.plan.service import Health, Service
from deploys.plan.settings_values import Context, Problem, SettingsError, show, suggest

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,40}")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"/[A-Za-z0-9._/@%+=,-]*")
_INSIDE = re.compile(r"/[A-Za-z0-9._/@%+=,-]*(:ro|:rw)?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,250}")
_ADDRESS = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\]):\d{1,5}")
_SIZE = re.compile(r"\d+[bkmg]?")
_FIELDS = {f for f in Service.__dataclass_fields__ if f != "name"}
_EXAMPLE = '{"llm": {"image": "registry.example/server:1.2", "ports": {8000: 8000}}}'


def services(key: str, value: object, _context: Context) -> dict[str, Service]:
    """Every service by its name."""
    if not isinstance(value, Mapping):
        raise SettingsError(Problem(key, show(value), "a mapping of names to services", f"{key} = {_EXAMPLE}"))
    found: list[Service] = []
    problems: list[Problem] = []
    for name, entry in sorted(value.items(), key=lambda item: str(item[0])):
        place = f"{key}[{show(name)}]"
        try:
            found.append(_service(place, name, entry))
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(*problems)
    return {service.name: service for service in found}


def _service(place: str, name: object, entry: object) -> Service:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingsError(Problem(place, show(name), "lower-case letters, digits and ._-", _EXAMPLE))
    if not isinstance(entry, Mapping):
        raise SettingsError(Problem(place, show(entry), "a mapping with the service's settings", _EXAMPLE))
    clean: dict[str, Any] = {}
    problems: list[Problem] = []
    for field, value in entry.items():
        try:
            clean[field] = _field(f"{place}[{show(field)}]", field, value)
        except SettingsError as error:
            problems += error.problems
    service = Service(name, **clean) if not problems else Service(name)
    problems = problems or _incomplete(place, service)
    if problems:
        raise SettingsError(*problems)
    return service


def _field(where: str, field: object, value: object) -> object:
    if not isinstance(field, str) or field not in _FIELDS:
        fix = f'write "{suggest(field, _FIELDS) or "image"}" or remove it'
        raise SettingsError(Problem(where, show(field), f"one of {', '.join(sorted(_FIELDS))}", fix))
    return _VALIDATORS[field](where, value)


def _incomplete(place: str, service: Service) -> list[Problem]:
    if service.kind == "container" and not service.image:
        return [Problem(place, "no image", "the image of the container, by digest or tag", _EXAMPLE)]
    if service.kind == "container" and service.metrics and int(service.metrics.split("/")[0]) not in service.ports:
        port = service.metrics.split("/")[0]
        return [
            Problem(
                place,
                f"metrics on port {port}, which is not published",
                "a port of `ports`",
                f'"ports": {{{port}: {port}}}',
            )
        ]
    if service.kind == "raw" and not (service.command and service.command[0].startswith("/")):
        fix = '"command": ["/opt/venv/bin/python", "-m", "server"]'
        return [Problem(place, show(list(service.command)), "a command whose program is an absolute path", fix)]
    return []


def _wrong(where: str, value: object, needed: str, fix: str) -> SettingsError:
    return SettingsError(Problem(where, show(value), needed, fix))


def _matching(pattern: re.Pattern[str], needed: str, fix: str) -> Callable[[str, object], str]:
    def validate(where: str, value: object) -> str:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise _wrong(where, value, needed, fix)

    return validate


def _choice(*words: str) -> Callable[[str, object], str]:
    def validate(where: str, value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise _wrong(where, value, " or ".join(f'"{w}"' for w in words), f'"{suggest(value, words) or words[0]}"')

    return validate


def _plain(text: object) -> bool:
    """A string that fits into a line of a file."""
    return isinstance(text, str) and not re.search(r"[\0\r\n]", text)


def _command(where: str, value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(_plain(word) for word in value):
        return tuple(value)
    raise _wrong(where, value, "a list of words", '["--model", "/models/llama"]')


def _environment(where: str, value: object) -> dict[str, str]:
    if isinstance(value, Mapping) and all(
        isinstance(k, str) and _KEY.fullmatch(k) and _plain(v) for k, v in value.items()
    ):
        return {str(k): str(v) for k, v in value.items()}
    found = show(value) if not isinstance(value, Mapping) else "names or values that do not fit into a line NAME=VALUE"
    raise SettingsError(
        Problem(where, found, "a mapping of names to strings without line breaks", '{"MODEL": "llama"}')
    )


def _ports(where: str, value: object) -> dict[int, str]:
    """Container's port -> "ADDRESS:PORT"; a number alone is a port of the loopback address."""
    found: dict[int, str] = {}
    for port, to in value.items() if isinstance(value, Mapping) else [("", value)]:
        address = f"127.0.0.1:{to}" if isinstance(to, int) and not isinstance(to, bool) else to
        if (
            not _is_port(str(port))
            or not isinstance(address, str)
            or not _ADDRESS.fullmatch(address)
            or not _is_port(address.rsplit(":", 1)[1])
        ):
            needed = "a mapping of the container's ports to the host's (on loopback), or to ADDRESS:PORT"
            raise _wrong(where, value, needed, '{8000: 8000} or {8000: "0.0.0.0:8000"}')
        found[int(port)] = address
    return found


def _is_port(text: str) -> bool:
    return text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536


def _volumes(where: str, value: object) -> dict[str, str]:
    if isinstance(value, Mapping) and all(
        isinstance(k, str) and _PATH.fullmatch(k) and isinstance(v, str) and _INSIDE.fullmatch(v)
        for k, v in value.items()
    ):
        return dict(value)
    raise _wrong(
        where,
        value,
        "a mapping of absolute paths of the host to those of the container",
        '{"/srv/models": "/models:ro"}',
    )


def _gpus(where: str, value: object) -> str:
    """A number, a list of numbers, "all", or None for none."""
    if value is None:
        return ""
    numbers = value if isinstance(value, list | tuple) else [value]
    if value == "all":
        return "all"
    if numbers and all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 100 for n in numbers):
        return ",".join(str(n) for n in dict.fromkeys(numbers))
    raise _wrong(where, value, 'a number, a list of numbers, "all", or None for no GPU', "0")


def _health(where: str, value: object) -> Health:
    fields = Health.__dataclass_fields__
    numbers = {k: v for k, v in value.items() if k != "command"} if isinstance(value, Mapping) else {"": None}
    good = all(
        k in fields and isinstance(v, int) and not isinstance(v, bool) and 0 < v < 3600 for k, v in numbers.items()
    )
    if isinstance(value, Mapping) and good and _plain(value.get("command")):
        return Health(**value)
    raise _wrong(
        where,
        value,
        f"a mapping with a command and, in seconds, {', '.join(list(fields)[1:])}",
        '{"command": "curl -fs http://localhost:8000/health"}',
    )


def _metrics(where: str, value: object) -> str:
    """A port, whose path is then /metrics, or "PORT/PATH"."""
    text = f"{value}/metrics" if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and re.fullmatch(r"\d{1,5}/[A-Za-z0-9._/-]*", text) and _is_port(text.split("/")[0]):
        return text
    raise _wrong(where, value, "the port where the service tells its metrics, or PORT/PATH", "8000")


_VALIDATORS: Mapping[str, Callable[[str, object], object]] = {
    "kind": _choice("container", "raw"),
    "image": _matching(_IMAGE, "an image by digest or tag", '"registry.example/server:1.2"'),
    "archive": _matching(_PATH, "the absolute path of a tar on the host", '"/srv/images/server.tar"'),
    "pull": _choice("missing", "always", "never"),
    "command": _command,
    "environment": _environment,
    "ports": _ports,
    "volumes": _volumes,
    "gpus": _gpus,
    "restart": _choice("unless-stopped", "no", "always", "on-failure"),
    "health": _health,
    "user": _matching(re.compile(r"[a-z0-9_][a-z0-9_-]*(:[a-z0-9_-]+)?"), "a user, or USER:GROUP", '"1000:1000"'),
    "working_directory": _matching(_PATH, "an absolute path", '"/srv"'),
    "metrics": _metrics,
    "shm_size": _matching(_SIZE, "a size such as 1g", '"1g"'),
}
