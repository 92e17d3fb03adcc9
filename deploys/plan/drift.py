"""JUDGE: what of a host is no longer what it was when it was proven, thing by thing. Pure.

A host that was never proven has nothing to drift from. What could not be read counts as drifted: nobody can say that it has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deploys.knowledge.paths import PROVEN_RECORD
from deploys.plan.daemon_json import DaemonJsonError, managed_value
from deploys.plan.daemon_json import read as read_daemon_json
from deploys.plan.holds import ours
from deploys.plan.machine import Machine, ProvenSet

_AGAIN = "deploys/gpu_host.py puts back what is ours, proves the rest as it is now and remembers it"


@dataclass(frozen=True)
class Drift:
    """One thing: `name` says which ("package docker.io"), `fix` what to do."""

    name: str
    found: str
    needed: str
    fix: str = _AGAIN

    def __str__(self) -> str:
        return f"{self.name}: found {self.found}; needed {self.needed}; fix: {self.fix}"


def drifted(machine: Machine) -> tuple[Drift, ...]:
    """Everything that differs from the last proof, what disturbs most first."""
    was = machine.proven
    if was is None:
        problem = machine.unknown.get("record")
        return (Drift("record", problem, f"{PROVEN_RECORD} as it was written"),) if problem else ()
    return tuple(drift for look in _LOOKS for drift in look(machine, was))


def _gpus(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    fix = (
        "look for it: lspci -nn, the kernel log, the slot; a change that was meant is taken over by deploys/gpu_host.py"
    )
    if machine.pci is None:
        yield _unread("gpu", "pci", machine)
        return
    now = {gpu.address: gpu.id for gpu in machine.gpus}
    for address in sorted({*now, *was.gpus}):
        found, needed = now.get(address, "none"), was.gpus.get(address, "none")
        if found != needed:
            yield Drift(f"gpu {address}", found, needed, fix)
    if len(now) != len(was.gpus):
        yield Drift("gpu count", str(len(now)), str(len(was.gpus)), fix)


def _nouveau(machine: Machine, _was: ProvenSet) -> Iterator[Drift]:
    bound = [gpu.address for gpu in machine.gpus if gpu.driver == "nouveau"]
    if machine.nouveau.loaded or bound:
        yield Drift("nouveau", f"loaded{' and holds ' + ', '.join(bound) if bound else ''}", "not loaded")


def _kernel(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    running = machine.kernels.running or "unknown"
    if running != was.kernel:
        yield Drift("kernel", running, was.kernel)


def _driver(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    """Loaded module, module on disk and libraries: at the proof they were of one version."""
    driver, running = machine.driver, machine.kernels.get(machine.kernels.running)
    seen = {
        "loaded module": (driver.loaded, was.driver),
        "kind of modules": (driver.loaded_flavour if driver.loaded else was.flavour, was.flavour),
        "module on disk": (running.nvidia_version if running else None, was.driver),
        "libraries": (driver.user_space, was.driver),
    }
    for name, (found, needed) in seen.items():
        if (found or "") != needed:
            yield Drift(name, "unknown" if found is None else found or "none", needed)


def _packages(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    if "packages" in machine.unknown:
        yield _unread("packages", "packages", machine)
        return
    for name, needed in was.packages.items():
        found = machine.packages.version(name)
        if found != needed:
            yield Drift(f"package {name}", found or "not installed", needed)


def _holds(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    if was.holds and "holds" in machine.unknown:
        yield _unread("holds", "holds", machine)
        return
    held = {hold.name for hold in ours(machine)}
    for name in was.holds:
        if name not in held:
            yield Drift(f"hold {name}", "not held by gpu-host", "held", "deploys/gpu_host.py holds it anew")


def _files(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    for path, needed in was.files.items():
        state = machine.files.get(path)
        if state is None:
            yield Drift(f"file {path}", "it could not be read", "as written by gpu-host")
        elif not state.sha256:
            yield Drift(f"file {path}", "it is gone", "as written by gpu-host")
        elif needed and state.sha256 != needed:
            yield Drift(f"file {path}", "it was edited", "as written by gpu-host")


def _daemon_json(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    file = machine.docker.daemon_json
    try:
        document = read_daemon_json(file.content if file else None)
    except DaemonJsonError as error:
        if was.daemon_json:
            yield Drift("daemon.json", str(error), "one JSON object with the keys of gpu-host")
        return
    for key, needed in was.daemon_json.items():
        found = managed_value(document, key)
        if found != needed:
            yield Drift(f"daemon.json {key}", found or "no such key", needed)


def _services(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    for unit in was.services:
        state = machine.units[unit].active if unit in machine.units else "unknown"
        if state != "active":
            yield Drift(f"service {unit.removesuffix('.service')}", state or "unknown", "active")


def _engine(machine: Machine, was: ProvenSet) -> Iterator[Drift]:
    """The running engine may be older than its package; one that does not run is told by its service."""
    for name, found, needed in (
        ("docker engine", machine.docker.engine, was.engine),
        ("container toolkit", machine.toolkit.version, was.toolkit),
    ):
        if found and needed and found != needed:
            yield Drift(name, found, needed)


_LOOKS: tuple[Callable[[Machine, ProvenSet], Iterator[Drift]], ...] = (
    _gpus,
    _nouveau,
    _kernel,
    _driver,
    _packages,
    _holds,
    _files,
    _daemon_json,
    _services,
    _engine,
)


def _unread(name: str, subject: str, machine: Machine) -> Drift:
    why = machine.unknown.get(subject, "no answer")
    return Drift(
        name, f"could not be read: {why}", "an answer of the host", "look on the host for what keeps it from answering"
    )
