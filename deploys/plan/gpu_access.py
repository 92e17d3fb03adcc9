"""DECIDE: how containers of a host get their GPU and keep it, and the words for docker run and for Compose.

A container that got its GPU behind runc's back loses it when systemd rewrites the device rules of its cgroup, which any
`systemctl daemon-reload` makes it do ("Failed to initialize NVML: Unknown Error"). So the way is one that runc knows about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploys.knowledge.gpu_access import (
    CDI_DEFAULT,
    CDI_OPT_IN,
    CDI_REFRESH,
    CDI_SCHEMA,
    CGROUP_2,
    CONTROL_NODES,
    GPUS_OPTION,
    LOST_GPU,
)
from deploys.plan.machine import Machine
from deploys.plan.reason import OWN, Reason
from deploys.plan.versions import below

Way = Literal["cdi", "runtime", "devices", "gpus", ""]
ALL = "all"


@dataclass(frozen=True)
class Engine:
    """What decides on a host: cgroup version and driver ("systemd" | "cgroupfs", None unknown), versions of Docker and the toolkit.

    `gpus` is how many GPUs the host has (0 unknown), `runtime` whether Docker knows the runtime nvidia, `cdi_enabled` whether
    the engine reads CDI specifications (or, where it does not run, will do so because daemon.json says so).
    """

    docker: str
    toolkit: str
    cgroup: int | None = None
    cgroup_driver: str | None = None
    gpus: int = 0
    runtime: bool = True
    cdi_enabled: bool = False


@dataclass(frozen=True)
class Access:
    """The way, or (`problem` not empty) why there is none, with what is `needed` and the `fix`.

    `feature`: daemon.json must hold {"features": {"cdi": true}}.
    """

    way: Way = ""
    feature: bool = False
    rules: tuple[Reason, ...] = ()
    problem: str = ""
    needed: str = ""
    fix: str = ""


def engine_of(machine: Machine) -> Engine:
    """What decides, as the probe has read it."""
    docker = machine.docker
    return Engine(
        docker=docker.engine or "",
        toolkit=machine.toolkit.version or "",
        cgroup=machine.platform.cgroup,
        cgroup_driver=docker.cgroup_driver,
        gpus=len(machine.gpus),
        runtime="nvidia" in docker.runtimes,
        cdi_enabled=docker.cdi
        if docker.cdi is not None
        else _switched_on(docker.daemon_json.content if docker.daemon_json else None),
    )


def _switched_on(text: str | None) -> bool:
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return False
    features = document.get("features") if isinstance(document, dict) else None
    return isinstance(features, dict) and features.get("cdi") is True


def choose_access(engine: Engine) -> Access:
    """CDI where engine and toolkit have it, else the runtime that makes a specification for each container, else the devices by name."""
    refusal = _no_way(engine)
    if refusal:
        return refusal
    rules: list[Reason] = []
    why_not = _no_cdi(engine)
    opt_in = bool(below(engine.docker, CDI_DEFAULT[0]))
    just_in_time = engine.runtime and not below(engine.toolkit, CDI_REFRESH[0])
    if not why_not and (not opt_in or engine.cdi_enabled or not just_in_time):
        told = (
            f"Docker {engine.docker} reads CDI specifications {'when daemon.json says so' if opt_in else 'by itself'}"
        )
        rules.append(Reason("access", told, (CDI_OPT_IN if opt_in else CDI_DEFAULT)[1]))
        text = f"toolkit {engine.toolkit} writes them anew after every change of the driver"
        return Access("cdi", opt_in and not engine.cdi_enabled, (*rules, Reason("access", text, CDI_REFRESH[1])))
    late = f"Docker {engine.docker} would read CDI specifications only after a restart"
    rules.append(why_not or Reason("access", late, CDI_OPT_IN[1]))
    if just_in_time:
        text = f"the runtime of toolkit {engine.toolkit} makes a specification for each container, so runc knows the devices"
        return Access("runtime", rules=(*rules, Reason("access", text, CDI_REFRESH[1])))
    if engine.cgroup_driver == "cgroupfs":
        text = "the cgroup driver cgroupfs: systemd does not touch the device rules of containers"
        return Access("gpus", rules=(*rules, Reason("access", text, LOST_GPU)))
    text = f"the cgroup driver {engine.cgroup_driver or 'is unknown'}: systemd would take away devices that runc does not know"
    return Access("devices", rules=(*rules, Reason("access", text, LOST_GPU)))


def _no_way(engine: Engine) -> Access | None:
    if not engine.docker or below(engine.docker, GPUS_OPTION[0]) is not False:
        return Access(
            problem=f"Docker {engine.docker or 'is not there'}",
            needed=f"{GPUS_OPTION[0]} or newer, the first with --gpus",
            fix="upgrade Docker",
            rules=(Reason("access", f"--gpus came with Docker {GPUS_OPTION[0]}", GPUS_OPTION[1]),),
        )
    if not engine.toolkit:
        return Access(
            problem="no NVIDIA Container Toolkit",
            needed="the toolkit, which brings the driver's libraries into a container",
            fix='set gpu_container_runtime = "nvidia" and run again',
            rules=(Reason("access", "device nodes alone give a container no driver", OWN),),
        )
    if engine.cgroup == 2 and below(engine.toolkit, CGROUP_2[0]):
        return Access(
            problem=f"toolkit {engine.toolkit} on cgroup v2: containers do not start (cgroup subsystem devices not found)",
            needed=f"toolkit {CGROUP_2[0]} or newer",
            fix="upgrade the NVIDIA Container Toolkit",
            rules=(Reason("access", f"cgroup v2 is known to toolkit {CGROUP_2[0]} and newer", CGROUP_2[1]),),
        )
    return None


def _no_cdi(engine: Engine) -> Reason | None:
    """Why CDI does not serve, or None where it does."""
    new, needs, source = CDI_SCHEMA
    if below(engine.docker, CDI_OPT_IN[0]):
        return Reason("access", f"Docker {engine.docker} reads no CDI specifications", CDI_OPT_IN[1])
    if below(engine.toolkit, CDI_REFRESH[0]):
        return Reason("access", f"nothing of toolkit {engine.toolkit} keeps CDI specifications fresh", CDI_REFRESH[1])
    if not below(engine.toolkit, new) and below(engine.docker, needs):
        return Reason("access", f"specifications of toolkit {engine.toolkit} need Docker {needs}", source)
    return None


def docker_arguments(access: Access, gpus: str = "0", count: int = 1) -> tuple[str, ...]:
    """Words for `docker run`. `gpus`: "all", or numbers with commas; `count`: how many GPUs "all" is, where they are named one by one."""
    if access.way == "cdi":
        return tuple(word for gpu in gpus.split(",") for word in ("--device", f"nvidia.com/gpu={gpu}"))
    if access.way == "runtime":
        return ("--runtime", "nvidia", *_environment_words(gpus))
    if access.way in ("devices", "gpus"):
        return (
            "--gpus",
            ALL if gpus == ALL else f'"device={gpus}"',
            *(w for n in _nodes(access, gpus, count) for w in ("--device", n)),
        )
    return ()


def _environment(gpus: str) -> dict[str, str]:
    return {"NVIDIA_VISIBLE_DEVICES": gpus, "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}


def _environment_words(gpus: str) -> tuple[str, ...]:
    return tuple(word for key, value in _environment(gpus).items() for word in ("-e", f"{key}={value}"))


def _nodes(access: Access, gpus: str, count: int) -> tuple[str, ...]:
    if access.way != "devices":
        return ()
    numbers = range(count) if gpus == ALL else gpus.split(",")
    return (*(f"/dev/nvidia{number}" for number in numbers), *CONTROL_NODES)


def compose_keys(access: Access, gpus: str = "0", count: int = 1) -> dict[str, Any]:
    """The same as keys of a Compose service."""
    if access.way == "runtime":
        return {"runtime": "nvidia", "environment": _environment(gpus)}
    if not access.way:
        return {}
    cdi = access.way == "cdi"
    names = [f"nvidia.com/gpu={gpu}" if cdi else gpu for gpu in gpus.split(",")]
    which: dict[str, Any] = {"count": ALL} if gpus == ALL and not cdi else {"device_ids": names}
    reservation = {"driver": "cdi" if cdi else "nvidia", **which, "capabilities": ["gpu"]}
    keys: dict[str, Any] = {"deploy": {"resources": {"reservations": {"devices": [reservation]}}}}
    nodes = _nodes(access, gpus, count)
    return {**keys, "devices": [f"{node}:{node}" for node in nodes]} if nodes else keys


def compose_fragment(access: Access, gpus: str = "0", count: int = 1) -> str:
    """The same as YAML, indented as below `services: NAME:`."""
    return "".join(f"    {line}\n" for line in _yaml(compose_keys(access, gpus, count)))


def _yaml(value: Mapping[str, Any]) -> list[str]:
    """YAML for the few shapes that `compose_keys` has; texts are quoted as JSON does it."""
    lines = []
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            lines += [f"{key}:", *(f"  {line}" for line in _yaml(inner))]
        elif isinstance(inner, list) and inner and isinstance(inner[0], Mapping):
            first, *more = (line for item in inner for line in _yaml(item))
            lines += [f"{key}:", f"  - {first}", *(f"    {line}" for line in more)]
        elif isinstance(inner, list) and any(item.startswith("/") for item in inner):
            lines += [f"{key}:", *(f"  - {item}" for item in inner)]
        elif isinstance(inner, list):
            lines.append(f"{key}: [{', '.join(map(json.dumps, inner))}]")
        else:
            lines.append(
                f"{key}: {inner if inner.isalpha() and key != 'NVIDIA_VISIBLE_DEVICES' else json.dumps(inner)}"
            )
    return lines
