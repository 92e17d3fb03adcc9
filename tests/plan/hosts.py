"""Records of hosts in one line per case: a recorded host, and what differs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from deploys.knowledge.distros import find_distro
from deploys.knowledge.records import Distro
from deploys.plan.machine import Filesystem, Machine, Package, PciDevice, Process, TextFile, UnitState
from facts.probe import parse_machine

RECORDINGS = Path(__file__).parents[2] / "inventories" / "recordings"
GIB = 1024**3

# PCI ids of one GPU (or bridge) per generation.
K80, GTX_980, GTX_1080, V100, T4, A100, L4, H100 = 0x102D, 0x13C0, 0x1B80, 0x1DB4, 0x1EB8, 0x20B2, 0x27B8, 0x2330
B200, GH200, RTX_5090, UNKNOWN_GPU, NVSWITCH = 0x2901, 0x2342, 0x2B85, 0x7FFF, 0x22A3


@cache
def recorded(name: str) -> Machine:
    """The record of a recording."""
    return parse_machine((RECORDINGS / f"{name}.txt").read_text(encoding="ascii"))


def debian_12_bare(**changes: Any) -> Machine:
    """Debian 12 with a T4 that nouveau holds, and nothing else. Changes as in `changed`."""
    return changed(recorded("debian-12-bare"), **changes)


def debian_13_converged(**changes: Any) -> Machine:
    """Debian 13 with an A100, everything installed and running. Changes as in `changed`."""
    return changed(recorded("debian-13-converged"), **changes)


def changed(machine: Machine, **changes: Any) -> Machine:
    """The record with other values; `docker__engine="18.09"` is `machine.docker.engine`."""
    whole: dict[str, Any] = {}
    for key, value in changes.items():
        subject, _, name = key.partition("__")
        if name:
            whole[subject] = replace(whole.get(subject, getattr(machine, subject)), **{name: value})
        else:
            whole[subject] = value
    return replace(machine, **whole)


def distro_of(machine: Machine) -> Distro:
    """The room of a supported host."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    assert distro is not None
    return distro


def gpus(*devices: int, driver: str | None = "nouveau") -> tuple[PciDevice, ...]:
    """NVIDIA devices on buses 01, 02 ...; a switch is a bridge, everything else a GPU."""
    return tuple(
        PciDevice(
            f"0000:{bus:02x}:00.0", 0x10DE, device, 0x068000 if device == NVSWITCH else 0x030200, driver=driver or ""
        )
        for bus, device in enumerate(devices, 1)
    )


def installed(machine: Machine, **versions: str) -> Machine:
    """The host with these packages installed too; `_` in a name stands for `-`."""
    packages = {n.replace("_", "-"): v for n, v in versions.items()}
    added = {n: Package(n, v, architecture="amd64") for n, v in packages.items()}
    return changed(machine, packages__installed={**machine.packages.installed, **added})


def offered(machine: Machine, **versions: str) -> Machine:
    """The host whose own index offers these packages; `_` in a name stands for `-`."""
    packages = {n.replace("_", "-"): v for n, v in versions.items()}
    return changed(machine, packages__candidates={**machine.packages.candidates, **packages})


def from_origin(machine: Machine, line: str, *names: str) -> Machine:
    """The host whose packages of these names come from that repository line."""
    return changed(machine, packages__origins={**machine.packages.origins, **dict.fromkeys(names, (line,))})


def unit(machine: Machine, name: str, active: str = "active", load: str = "loaded") -> Machine:
    """The host with a unit in this state."""
    return replace(machine, units={**machine.units, name: UnitState(name, load, active, "enabled")})


def daemon_json(text: str | None) -> dict[str, Any]:
    """Changes that put this text into daemon.json; None: the file is there and cannot be read."""
    return {"docker__daemon_json": TextFile("/etc/docker/daemon.json", text), "docker__daemon_json_exists": True}


def holders(*commands: str) -> tuple[Process, ...]:
    """Processes that hold the first GPU."""
    return tuple(Process(100 + n, "alice", command, ("/dev/nvidia0",)) for n, command in enumerate(commands))


def sources(text: str, path: str = "/etc/apt/sources.list") -> tuple[TextFile, ...]:
    """A host's package sources: one file."""
    return (TextFile(path, text),)


def space(free: int = 100 * GIB, inodes: int | None = 5_000_000, **mounts: int) -> tuple[Filesystem, ...]:
    """File systems: one for all paths with `free` bytes, or mounts of their own (`boot=MIB`), in bytes."""
    return tuple(
        Filesystem(path, path if name in mounts else "/", mounts.get(name, free), inodes)
        for name, path in [("root", "/"), *((n, f"/{n}") for n in ("boot", "usr", "var", "tmp"))]
    )
