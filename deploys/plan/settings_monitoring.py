"""Validator of `gpu_monitoring`: Prometheus, Grafana and an exporter of the GPUs, or a Compose directory of the user's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from deploys.plan.monitoring import Monitoring
from deploys.plan.settings_values import Context, Problem, SettingsError, show, suggest

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,250}")
_PATH = re.compile(r"/[A-Za-z0-9._/@%+=,-]*")
_JOB = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,60}")
_TARGET = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}(/[A-Za-z0-9._/-]*)?")
_TIME = re.compile(r"[1-9]\d{0,4}[hdwy]")
_EXAMPLE = '{} for everything as it comes, or {"exporter": "nvml", "scrape": {"app": "127.0.0.1:8080/metrics"}}'
_FIELDS = tuple(Monitoring.__dataclass_fields__)


def monitoring(key: str, value: object, _context: Context) -> Monitoring | None:
    """None (no monitoring), or a mapping with what differs from the defaults."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise SettingsError(Problem(key, show(value), "a mapping, or None", f"{key} = {_EXAMPLE}"))
    clean: dict[str, Any] = {}
    problems: list[Problem] = []
    for field, entry in value.items():
        where = f"{key}[{show(field)}]"
        if field not in _FIELDS:
            fix = f'write "{suggest(field, _FIELDS) or "scrape"}" or remove it'
            problems.append(Problem(where, show(field), f"one of {', '.join(_FIELDS)}", fix))
        elif (found := _VALIDATORS[field](entry)) is None:
            problems.append(Problem(where, show(entry), *_NEEDED[field]))
        else:
            clean[field] = found
    problems = problems or _together(key, Monitoring(**clean))
    if problems:
        raise SettingsError(*problems)
    return Monitoring(**clean)


def _together(key: str, wanted: Monitoring) -> list[Problem]:
    ports = (wanted.prometheus_port, wanted.grafana_port, wanted.exporter_port)
    if len(set(ports)) < len(ports):
        return [Problem(key, f"ports {', '.join(map(str, ports))}", "three different ports", '"grafana_port": 3001')]
    return []


def _text(pattern: re.Pattern[str]) -> Callable[[object], str | None]:
    return lambda value: value if isinstance(value, str) and pattern.fullmatch(value) else None


def _port(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536 else None


def _scrape(value: object) -> dict[str, str] | None:
    """A target without a path is asked for /metrics. The job "gpu" is the exporter's."""
    if not isinstance(value, Mapping):
        return None
    found = {}
    for job, target in value.items():
        good = isinstance(job, str) and _JOB.fullmatch(job) and job != "gpu"
        if not good or not isinstance(target, str) or not _TARGET.fullmatch(target):
            return None
        found[job] = target if "/" in target else f"{target}/metrics"
    return found


_VALIDATORS: Mapping[str, Callable[[object], Any]] = {
    "exporter": _text(re.compile("auto|dcgm|nvml")),
    **dict.fromkeys(("prometheus_image", "grafana_image", "exporter_image"), _text(_IMAGE)),
    **dict.fromkeys(("prometheus_port", "grafana_port", "exporter_port"), _port),
    "archive": _text(_PATH),
    "retention": _text(_TIME),
    "scrape": _scrape,
    "directory": lambda value: value if isinstance(value, str) and value and "\0" not in value else None,
}
_NEEDED: Mapping[str, tuple[str, str]] = {
    "exporter": ('"auto", "dcgm" or "nvml"', '"auto"'),
    **dict.fromkeys(
        ("prometheus_image", "grafana_image", "exporter_image"),
        ("an image by digest or tag", '"registry.example/image:1.2"'),
    ),
    **dict.fromkeys(("prometheus_port", "grafana_port", "exporter_port"), ("a port, 1 to 65535", "3001")),
    "archive": ("the absolute path of a tar on the host", '"/srv/images/monitoring.tar"'),
    "retention": ("a number of hours, days, weeks or years", '"15d"'),
    "scrape": ('a mapping of jobs (not "gpu") to HOST:PORT/PATH', '{"app": "127.0.0.1:8080/metrics"}'),
    "directory": ("a folder on this machine with a Compose file", '"compose/llm"'),
}
