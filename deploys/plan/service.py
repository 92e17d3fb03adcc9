"""DECIDE: what a model service is on a host, a container or a unit, and whether the one that runs is the one that is wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from deploys.knowledge.gpu_access import CONTROL_NODES
from deploys.knowledge.paths import SERVICE_LABEL, SERVICES_FOLDER
from deploys.plan.files import FileChange
from deploys.plan.gpu_access import ALL, Access, docker_arguments
from deploys.plan.machine import ServiceContainer

FOLDER = SERVICES_FOLDER
# A model server that prints or reads text in the "C" locale fails at the first character that is not ASCII.
LOCALE = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Health:
    """How a container is asked whether it serves: a shell command; times in seconds."""

    command: str
    interval: int = 30
    timeout: int = 10
    retries: int = 3
    start_period: int = 60


@dataclass(frozen=True)
class Service:
    """A service as it is wanted. `kind` "container" has an image, "raw" is a command under systemd.

    `ports` maps a port of the container to "ADDRESS:PORT" of the host; `volumes` a path of the host to the container's
    ("/models:ro"). `gpus`: "0,1", "all" or "" (none). `archive`: a tar on the host that holds the image.
    `metrics`: "PORT/PATH" inside, for Prometheus.
    """

    name: str
    kind: Literal["container", "raw"] = "container"
    image: str = ""
    archive: str = ""
    pull: Literal["missing", "always", "never"] = "missing"
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[int, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    gpus: str = "0"
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = "unless-stopped"
    health: Health | None = None
    user: str = ""
    working_directory: str = ""
    shm_size: str = ""
    metrics: str = ""

    @property
    def full_environment(self) -> dict[str, str]:
        return {**LOCALE, **self.environment}

    @property
    def unit(self) -> str:
        return f"gpu-service-{self.name}.service"


def environment_file(service: Service) -> FileChange:
    """The environment, for root only: no process list shows a token."""
    lines = [f"{key}={value}" for key, value in sorted(service.full_environment.items())]
    return FileChange(f"{FOLDER}/{service.name}.env", "\n".join(lines) + "\n", "environment of the service", "600")


def config_of(service: Service, access: Access, count: int) -> str:
    """A digest of everything that makes two containers differ, the image's content apart."""
    # Who reads its metrics is no business of the container.
    text = json.dumps([asdict(replace(service, metrics="")), container_words(service, access, count)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def container_words(service: Service, access: Access, count: int) -> tuple[str, ...]:
    """Words of `docker create` that come before the image."""
    words = ["--name", service.name, "--restart", service.restart, "--label", f"{SERVICE_LABEL}={service.name}"]
    words += ["--env-file", environment_file(service).path]
    for port, address in sorted(service.ports.items()):
        words += ["--publish", f"{address}:{port}"]
    for host, inside in sorted(service.volumes.items()):
        words += ["--volume", f"{host}:{inside}"]
    if service.user:
        words += ["--user", service.user]
    if service.working_directory:
        words += ["--workdir", service.working_directory]
    if service.shm_size:
        words += ["--shm-size", service.shm_size]
    if service.health:
        health = service.health
        words += ["--health-cmd", health.command, "--health-retries", str(health.retries)]
        for option, seconds in (
            ("interval", health.interval),
            ("timeout", health.timeout),
            ("start-period", health.start_period),
        ):
            words += [f"--health-{option}", f"{seconds}s"]
    return (*words, *(docker_arguments(access, service.gpus, count) if service.gpus else ()))


def is_wanted(config: str, running: ServiceContainer | None, image: str) -> bool:
    """Does the container that is there serve as it is? `image` is the id that the wanted image has on the host."""
    return running is not None and (running.config, running.image) == (config, image) and bool(image)


def unit_file(service: Service, count: int) -> FileChange:
    """A raw service as a unit that may open its GPUs and no other device."""
    numbers = range(count) if service.gpus == ALL else service.gpus.split(",") if service.gpus else ()
    nodes = [f"/dev/nvidia{number}" for number in numbers]
    allowed = [f"DeviceAllow={node} rw" for node in (*nodes, *CONTROL_NODES)] if nodes else []
    restart = "always" if service.restart == "unless-stopped" else service.restart
    lines = [
        "# Written by gpu-host",
        "[Unit]",
        f"Description=Model service {service.name}",
        "Wants=network-online.target",
        "After=network-online.target nvidia-persistenced.service",
        "",
        "[Service]",
        f"ExecStart={' '.join(_quoted(word) for word in service.command)}",
        f"EnvironmentFile={environment_file(service).path}",
        *([f"User={service.user}"] if service.user else ["DynamicUser=yes"]),
        *([f"WorkingDirectory={service.working_directory}"] if service.working_directory else []),
        f"Restart={restart}",
        "RestartSec=5",
        "DevicePolicy=closed",
        *allowed,
        "NoNewPrivileges=yes",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return FileChange(f"/etc/systemd/system/{service.unit}", "\n".join(lines) + "\n", "unit of the service")


def _quoted(word: str) -> str:
    """A word as systemd reads it back (source: systemd.service(5), command lines)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
