"""DECIDE: what a host needs beside its driver because of the system that its GPUs are part of."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.fabric import (
    BOARDS,
    BY_GPU,
    BY_SWITCH,
    FABRIC_MANAGER,
    MIG_CHIPS,
    MIG_IDS,
    MIG_SOURCE,
    NAMES,
    RENAMED_AT,
    UNKNOWN_SWITCH,
    UNSWITCHED,
    Board,
    Component,
    System,
)
from deploys.knowledge.gpus import find_chip
from deploys.knowledge.managers import manager
from deploys.plan.machine import Machine
from deploys.plan.reason import Reason


@dataclass(frozen=True)
class FabricComponent:
    """One component: `package` as NVIDIA's repository names it; `version` is the driver's, or "" where it need not agree."""

    name: str
    package: str
    version: str
    unit: str
    why: str


@dataclass(frozen=True)
class FabricPlan:
    """The system and what it needs; no `components` where the driver is enough. `architecture` "" where any will do."""

    system: str = ""
    components: tuple[FabricComponent, ...] = ()
    kernel_modules: tuple[str, ...] = ()
    architecture: str = ""
    rules: tuple[Reason, ...] = ()

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(c.unit for c in self.components if c.unit)


def find_system(machine: Machine) -> System | None:
    """The kind of system by its GPUs, else by its switches; None where the driver is all it needs."""
    chips = [chip for gpu in machine.gpus if (chip := find_chip(gpu.device))]
    for system in BY_GPU:
        if any(c.system == system.system and c.code.startswith(system.chips) for c in chips):
            elsewhere = FABRIC_MANAGER in system.components and any(g.switched is False for g in machine.gpus)
            return UNSWITCHED if elsewhere else system
    switches = {s.device for s in machine.nvswitches}
    if not switches:
        return None
    return next((s for s in BY_SWITCH if switches & set(s.switches)), UNKNOWN_SWITCH)


def plan_fabric(machine: Machine, branch: str, version: str) -> FabricPlan:
    """What the host needs beside driver `version` of `branch`; Fabric Manager and its like at exactly that version."""
    system = find_system(machine)
    if system is None:
        return FabricPlan()
    form = manager(machine.packages.manager).form
    components = tuple(_component(c, branch, version, form) for c in system.components)
    rules = [Reason("fabric", f"{system.name}: {system.why}", system.source)]
    rules += [
        Reason("fabric", f"{c.name} ({p.package}): {c.why}", NAMES)
        for c, p in zip(system.components, components, strict=True)
    ]
    return FabricPlan(system.name, components, system.kernel_modules, system.architecture, tuple(rules))


def _component(component: Component, branch: str, version: str, form: str) -> FabricComponent:
    new = form not in RENAMED_AT or (branch.isdecimal() and int(branch) >= RENAMED_AT[form])
    package = component.package if new else component.old.get(form, component.package).format(branch=branch)
    return FabricComponent(component.name, package, version if component.exact else "", component.unit, component.why)


def find_board(kernel: str | None) -> Board | None:
    """The kind of computer that a kernel's flavour tells, where it does not use NVIDIA's PCI driver."""
    return next((b for b in BOARDS if (kernel or "").endswith(b.suffix)), None)


def mig_rule(machine: Machine) -> Reason | None:
    """Which GPUs can be cut into instances. It stays as it is: switching needs idle GPUs and is the owner's choice."""
    ids = []
    for gpu in machine.gpus:
        chip = find_chip(gpu.device)
        if gpu.device in MIG_IDS or (chip and chip.code in MIG_CHIPS and chip.data_centre):
            ids.append(gpu.id)
    if not ids:
        return None
    return Reason(
        "mig", f"{', '.join(dict.fromkeys(ids))} can be cut into instances (MIG); the mode is left as it is", MIG_SOURCE
    )
