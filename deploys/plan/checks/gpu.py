"""Checks of the GPUs and of drivers that are already there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deploys.knowledge.distros import find_distro
from deploys.knowledge.foreign import FOREIGN_ANYWHERE, FOREIGN_DRIVER_PACKAGES, FOREIGN_ORIGINS
from deploys.knowledge.managers import manager
from deploys.plan.driver import DriverChoice
from deploys.plan.driver_branch import judge_branch
from deploys.plan.driver_fabric import plan_fabric
from deploys.plan.driver_kernel import judge_kernels
from deploys.plan.driver_source import choose_driver, origin, source_label
from deploys.plan.finding import Finding, stop, warn
from deploys.plan.machine import Machine
from deploys.plan.plan import make_plan
from deploys.plan.reboot import busy, reboot_reasons
from deploys.plan.settings import Settings


def nvidia_gpu_present(machine: Machine, _settings: Settings) -> Finding | None:
    """Without a GPU there is nothing to drive."""
    if machine.gpus:
        return None
    found = (
        "the PCI bus could not be read" if machine.pci is None else "no NVIDIA display or 3D controller on the PCI bus"
    )
    return stop(
        "nvidia_gpu_present",
        found,
        "at least one NVIDIA GPU",
        "check the slot, the power cables or the pass-through of this machine; or leave it out of the inventory",
    )


def gpu_count_as_expected(machine: Machine, settings: Settings) -> Finding | None:
    """A GPU that fell off the bus is found before the work, not after."""
    count, want = len(machine.gpus), settings.expected_gpus
    if want is None or (machine.pci is not None and count == want):
        return None
    found = f"{count} GPU{'' if count == 1 else 's'} on the PCI bus"
    fix = f"set gpu_expected_gpus = {count} in this host's data, where that is right"
    if machine.pci is None:
        found, fix = "the PCI bus could not be read", "look at the output of: ls /sys/bus/pci/devices"
    elif count < want:
        fix = f"power-cycle the host, reseat the missing GPU or check its pass-through; or {fix}"
    return stop("gpu_count_as_expected", found, f"{want} (gpu_expected_gpus)", fix)


def not_vgpu_guest(machine: Machine, _settings: Settings) -> Finding | None:
    """A vGPU guest needs the guest driver that matches its hypervisor."""
    unit = machine.units.get("nvidia-gridd.service")
    shared = [g.address for g in machine.gpus if g.vgpu]
    if not shared and (not unit or unit.load != "loaded"):
        return None
    return stop(
        "not_vgpu_guest",
        f"the hypervisor shares {', '.join(shared)} as vGPU"
        if shared
        else "the vGPU licence daemon nvidia-gridd is installed",
        "a GPU of its own (bare metal or pass-through)",
        "keep the vGPU guest driver that your hypervisor's version asks for",
    )


def gpu_not_bound_to_vfio(machine: Machine, _settings: Settings) -> Finding | None:
    """A GPU that is passed through to virtual machines is not this host's to use."""
    bound = [g.address for g in machine.gpus if g.driver and g.driver.startswith("vfio")]
    if not bound:
        return None
    return stop(
        "gpu_not_bound_to_vfio",
        f"vfio-pci holds {', '.join(bound)}",
        "GPUs that the host itself may use",
        "run this inside the virtual machine that gets the GPU, or take the device out of the vfio-pci configuration and reboot",
    )


def _choice(machine: Machine, settings: Settings) -> DriverChoice | None:
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    return choose_driver(machine, settings, distro) if distro and machine.gpus else None


def driver_fits_gpus(machine: Machine, settings: Settings) -> Finding | None:
    """The driver must carry every GPU, in a flavour that each allows, as one consistent set."""
    choice = _choice(machine, settings)
    if choice is None or not choice.problem:
        return None
    return stop("driver_fits_gpus", choice.problem, choice.needed, choice.fix)


def gpus_known(machine: Machine, settings: Settings) -> Finding | None:
    """A GPU that is newer than the chip table gets the newest production branch, which is an assumption that is said."""
    choice = _choice(machine, settings)
    if choice is None or choice.problem or not choice.warnings:
        return None
    return warn(
        "gpus_known",
        "; ".join(choice.warnings),
        "a branch that is known to carry every GPU",
        "nothing, where the proof holds; else a version of this toolkit that knows the GPU, or gpu_driver_branch",
    )


def module_flavour_kept(machine: Machine, settings: Settings) -> Finding | None:
    """Both module flavours side by side: which one loads would be chance."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    choice = _choice(machine, settings)
    if distro is None or distro.driver is None or choice is None or choice.problem or choice.origin != "distro":
        return None
    others = [
        name
        for flavour, names in distro.driver.kernel_modules.items()
        for name in names
        if flavour != choice.flavour and machine.packages.version(name)
    ]
    if not others:
        return None
    remove = manager(machine.packages.manager).remove.format(packages=" ".join(others))
    return stop(
        "module_flavour_kept",
        f"{', '.join(others)} is installed, and the plan asks for the {choice.flavour} kernel modules",
        "one flavour of kernel modules",
        f"keep the flavour with gpu_kernel_modules, or remove the other one while the GPUs are idle: {remove}",
    )


def kernel_fits_driver(machine: Machine, settings: Settings) -> Finding | None:
    """A kernel that the branch is known not to build on refuses; one that is newer than any seen is named."""
    choice = _choice(machine, settings)
    if choice is None or choice.problem:
        return None
    if choice.prebuilt:
        return None
    built = all(machine.packages.version(p) for p in choice.packages[:1])
    verdicts = judge_kernels(machine, choice.version, choice.flavour, built=built)
    if not verdicts:
        return None
    # Stops come first; both kernels may say the same.
    first = verdicts[0]
    found = "; ".join(dict.fromkeys(v.found for v in verdicts if v.level == first.level))
    say = stop if first.level == "stop" else warn
    return say("kernel_fits_driver", found, first.needed, first.fix)


def fabric_manager_available(machine: Machine, settings: Settings) -> Finding | None:
    """Without Fabric Manager at exactly the driver's version, CUDA does not start on GPUs behind NVSwitches."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or origin(machine, settings, distro) != "distro":
        return None
    fabric = plan_fabric(machine, "", "")
    if not fabric.components:
        return None
    switches = f"{len(machine.nvswitches)} NVSwitches" if machine.nvswitches else fabric.system
    manager_only = machine.nvswitches and fabric.components[0].name == "Fabric Manager"
    names = "Fabric Manager" if manager_only else ", ".join(c.name for c in fabric.components)
    return stop(
        "fabric_manager_available",
        f"{switches}; the archive of {distro.label} carries no {names}",
        f"{names} of the driver's full version",
        'set gpu_driver_source = "nvidia"; or install it yourself and accept this check',
    )


def driver_branch_alive(machine: Machine, settings: Settings) -> Finding | None:
    """A branch past its end, or below its security floor, is named with the way out."""
    choice = _choice(machine, settings)
    if choice is None or choice.problem:
        return None
    verdict = judge_branch(choice.branch, choice.version, machine, _upgrade(machine, choice))
    if verdict is None:
        return None
    say = stop if verdict.level == "stop" else warn
    return say("driver_branch_alive", verdict.found, verdict.needed, verdict.fix)


def _upgrade(machine: Machine, choice: DriverChoice) -> str:
    words = manager(machine.packages.manager)
    return f"{words.refresh} && {words.install.format(packages=' '.join(choice.packages))}"


def no_foreign_driver(machine: Machine, settings: Settings) -> Finding | None:
    """A .run installation or another repository's driver must go before the one of this source can come."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    needed = "no driver, or the one of this source's packages"
    if machine.driver.runfile:
        fix = "nvidia-uninstall --silent && reboot, then run again"
        return stop("no_foreign_driver", f"a .run installation ({machine.driver.runfile})", needed, fix)
    if machine.driver.unowned:
        found = f"driver files that no package owns: {_first(machine.driver.unowned, 3)}"
        fix = "`nvidia-uninstall --silent` where it exists, else remove these files; reboot, then run again"
        return stop("no_foreign_driver", found, needed, fix)
    where = origin(machine, settings, distro) if distro else "distro"
    foreign = [name for name in machine.packages.installed if _foreign(machine, settings, name, where)]
    if not foreign:
        return None
    fix = f"{manager(machine.packages.manager).remove.format(packages=' '.join(foreign))}; remove the repository they came from too"
    other = "nvidia" if where == "distro" else "distro"
    if not set(foreign) & FOREIGN_ANYWHERE:
        fix += f'; or keep them: gpu_driver_source = "{other}"'
    return stop(
        "no_foreign_driver",
        f"driver packages of another origin: {_first(foreign, 6)}",
        f"driver packages of {source_label(where, distro) if distro else 'the archive'} only",
        fix,
    )


def _foreign(machine: Machine, settings: Settings, name: str, where: str) -> bool:
    """Is this package part of a driver that is not the chosen source's?"""
    if machine.packages.version(name) is None:
        return False
    if name in FOREIGN_ANYWHERE:
        return True
    vendor = from_vendor(machine, settings, name)
    if where == "distro":
        return name in FOREIGN_DRIVER_PACKAGES or bool(vendor and _is_driver(machine, name))
    return vendor is False and _is_driver(machine, name)


def _is_driver(machine: Machine, name: str) -> bool:
    return re.search(manager(machine.packages.manager).may_remove, name) is not None


def from_vendor(machine: Machine, settings: Settings, name: str) -> bool | None:
    """Does NVIDIA's repository, or the operator's mirror of it, offer the installed package? None: nobody offers it any more."""
    lines = machine.packages.origins.get(name)
    if not lines:
        return None
    mirror = settings.mirrors.get("cuda")
    marks = (*FOREIGN_ORIGINS, *([mirror.url.split("://", 1)[-1]] if mirror else []))
    return any(mark in line for line in lines for mark in marks)


def _first(names: Sequence[str], count: int) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def gpu_idle_before_driver_change(machine: Machine, settings: Settings) -> Finding | None:
    """Nobody's work is killed: a driver change or a reboot waits until the GPUs are idle."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    users = busy(machine)
    if not distro or not users or settings.drain:
        return None
    plan = make_plan(machine, settings, distro)
    changes = bool(set(plan.driver.packages) & set(plan.packages.missing))
    # A new kernel can wait on a host that serves: its reboot is put off, and nothing else.
    if not changes and not (reboot_reasons(machine) and plan.reboot.allowed):
        return None
    return stop(
        "gpu_idle_before_driver_change",
        f"the GPUs are in use by {users}",
        f"idle GPUs, because {'the driver changes' if changes else 'a reboot is needed: ' + plan.reboot.why}",
        "stop these (or wait for them), then run again",
    )
