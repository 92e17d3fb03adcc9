"""JUDGE: a user's own Compose network, as `docker compose config` prints it: who has a GPU, and who would lose it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from deploys.knowledge.gpu_access import CDI_REFRESH
from deploys.plan.gpu_access import ALL, Access, Engine, Way, compose_fragment
from deploys.plan.versions import below


@dataclass(frozen=True)
class ComposeFinding:
    """What is wrong with a service ("" the whole network). `fix` may be lines of YAML."""

    level: Literal["stop", "warn"]
    service: str
    found: str
    fix: str


def check_compose(document: Mapping[str, Any], engine: Engine, access: Access) -> tuple[ComposeFinding, ...]:
    """Everything there is to say about the network, for a host with that engine and that way to its GPUs."""
    services = document.get("services")
    services = services if isinstance(services, dict) else {}
    found: list[ComposeFinding] = []
    asking = {name: _ways(service) for name, service in sorted(services.items()) if isinstance(service, dict)}
    for name, ways in asking.items():
        service = services[name]
        found += _exposed(name, service)
        if ways and not service.get("privileged") and not any(_keeps(way, service, engine, access) for way in ways):
            found.append(_loses(name, service, ways, engine, access))
    if services and not any(asking.values()):
        fragment = compose_fragment(access, ALL, engine.gpus)
        found.append(
            ComposeFinding("warn", "", "no service of it has a GPU", f"add to the service that computes:\n{fragment}")
        )
    return tuple(found)


def _ways(service: Mapping[str, Any]) -> tuple[Way, ...]:
    """Each way by which the service asks for a GPU."""
    names = [_device(d) for d in _list(service.get("devices"))]
    reservations = _list(_path(service, "deploy", "resources", "reservations", "devices"))
    drivers = [r.get("driver") for r in reservations if isinstance(r, dict) and _is_gpu(r)]
    found: list[Way] = []
    if "cdi" in drivers or any(n.startswith("nvidia.com/gpu") for n in names):
        found.append("cdi")
    if service.get("runtime") == "nvidia":
        found.append("runtime")
    if [d for d in drivers if d != "cdi"] or service.get("gpus"):
        found.append("gpus")
    if not found and any(n.startswith("/dev/nvidia") for n in names):
        found.append("devices")
    return tuple(found)


def _is_gpu(reservation: Mapping[str, Any]) -> bool:
    capabilities = {c for c in _list(reservation.get("capabilities")) if isinstance(c, str)}
    return bool(capabilities & {"gpu", "nvidia"}) or reservation.get("driver") in ("nvidia", "cdi")


def _keeps(way: Way, service: Mapping[str, Any], engine: Engine, access: Access) -> bool:
    """Does a container that asks this way keep its GPU when systemd reads its units again?"""
    if way == "cdi":
        return access.way == "cdi" or bool(engine.cdi_enabled)
    if way == "runtime":
        return engine.runtime and not below(engine.toolkit, CDI_REFRESH[0])
    names = {_device(d) for d in _list(service.get("devices"))}
    by_name = any(n.startswith("/dev/nvidia") and n[11:].isdigit() for n in names) and "/dev/nvidiactl" in names
    return access.way == "gpus" or (by_name and "/dev/nvidia-uvm" in names and way == "gpus")


def _loses(
    name: str, service: Mapping[str, Any], ways: tuple[Way, ...], engine: Engine, access: Access
) -> ComposeFinding:
    if ways == ("devices",):
        text = "it gets device nodes and no libraries of the driver"
    elif ways == ("cdi",):
        text = f"it asks for a CDI device, and Docker {engine.docker} does not read CDI specifications"
    else:
        text = "it would lose its GPU at the next systemctl daemon-reload: systemd does not know of it"
    fragment = compose_fragment(access, _gpus(service), engine.gpus)
    return ComposeFinding("stop", name, text, f"in place of what it has:\n{fragment}")


def _gpus(service: Mapping[str, Any]) -> str:
    """The GPUs that the service asks for by number; all of them where it does not say."""
    for reservation in _list(_path(service, "deploy", "resources", "reservations", "devices")):
        numbers = (
            [str(n).rpartition("=")[2] for n in _list(reservation.get("device_ids"))]
            if isinstance(reservation, dict)
            else []
        )
        if numbers and all(n.isdecimal() for n in numbers):
            return ",".join(numbers)
    return ALL


def _exposed(name: str, service: Mapping[str, Any]) -> list[ComposeFinding]:
    found = []
    for port in _list(service.get("ports")):
        if isinstance(port, dict) and port.get("published") and _is_everywhere(str(port.get("host_ip") or "")):
            text = f"port {port['published']} is open to the network"
            fix = f'"127.0.0.1:{port["published"]}:{port.get("target")}" keeps it to the host'
            found.append(ComposeFinding("warn", name, text, fix))
    image = str(service.get("image") or "")
    if image and "@" not in image and image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
        found.append(ComposeFinding("warn", name, f"the image {image} is whatever is newest", "a version or a digest"))
    return found


def _is_everywhere(address: str) -> bool:
    try:
        return not address or ip_address(address).is_unspecified
    except ValueError:
        return False


def _path(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _device(value: Any) -> str:
    """Path on the host, or name, of an entry of `devices`, in either form."""
    if isinstance(value, dict):
        value = value.get("source")
    return value.partition(":")[0] if isinstance(value, str) else ""


def describe_compose(name: str, found: tuple[ComposeFinding, ...]) -> str:
    """The findings as a page."""
    lines = []
    for finding in found:
        place = f"service {finding.service}" if finding.service else "the network"
        first, *more = finding.fix.rstrip("\n").split("\n")
        lines += [f"{name}  {finding.level.upper()}  {place}", f"    found   {finding.found}", f"    fix     {first}"]
        lines += [f"            {line}" for line in more]
    return "\n".join(lines)
