"""JUDGE: the state of a host's driver by name, what it is seen by, and the least disturbing repair. Pure.

Compared are the module in the kernel, the modules on disk for the running and the next kernel, and the libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deploys.plan.kernel_gate import gate, on_trial, unproven
from deploys.plan.machine import Kernel, Machine
from deploys.plan.reboot import busy, reboot_reasons, rebooted_in_vain, reloadable

Name = Literal[
    "unknown",
    "bare",
    "ready",
    "load-pending",
    "reload-pending",
    "reboot-pending",
    "unproven-kernel",
    "mismatch",
    "broken",
]


@dataclass(frozen=True)
class DriverState:
    """`why` says what was compared, `repair` what a run will do ("" nothing)."""

    name: Name
    why: str
    repair: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.why}" + (f"; {self.repair}" if self.repair else "")


def driver_state(machine: Machine) -> DriverState:
    """The first that holds, the worst first: what is broken on disk is mended before anything is loaded or rebooted for."""
    kernels, libraries = machine.kernels, machine.driver.user_space
    running = kernels.get(kernels.running)
    if running is None or libraries is None or machine.driver.loaded is None:
        return DriverState("unknown", "the running kernel, the libraries or the loaded module could not be read")
    if not libraries and not any(k.nvidia_modules for k in kernels.installed):
        return DriverState("bare", "no NVIDIA driver on disk", "install")
    return _on_disk(machine, running, libraries) or _loaded(machine, running)


def _on_disk(machine: Machine, running: Kernel, libraries: str) -> DriverState | None:
    """What is wrong with the files, or None."""
    others = [k for k in map(machine.kernels.get, machine.kernels.served) if k and k is not running]
    found = gate(machine)
    if not libraries:
        return DriverState("broken", "modules without the driver's libraries", "reinstall the driver")
    version = running.nvidia_version
    if not running.nvidia_modules and not any(k.nvidia_modules for k in others):
        return DriverState("broken", f"no module for kernel {running.release}", "headers, then a build")
    if version and version != libraries:
        return DriverState("mismatch", f"module {version} on disk, libraries {libraries}", "reinstall both as one set")
    lacking = [k.release for k in others if not k.nvidia_modules]
    if running.nvidia_modules and ((found.unfit and not on_trial(machine)) or lacking):
        text = unproven(machine) or f"kernel {', '.join(lacking)} comes next and has no module"
        stays = f"{found.pin} stays installed and the default" if found.pin else "the running kernel stays installed"
        mends = "" if machine.kernels.loader.trial else "headers for it, then a build; "
        return DriverState("unproven-kernel", text, f"{mends}{stays}")
    return None


def _loaded(machine: Machine, running: Kernel) -> DriverState:
    """What the kernel has loaded of it."""
    reasons = "; ".join(reboot_reasons(machine))
    users = busy(machine)
    if version := reloadable(machine):
        return DriverState("reload-pending", reasons, f"load {version} anew: nobody uses the GPUs")
    if reasons and rebooted_in_vain(machine):
        return DriverState("broken", f"{reasons}, and a reboot for it has not helped", "see the kernel log")
    if reasons:
        return DriverState("reboot-pending", reasons, f"waits for {users}" if users else "one reboot")
    if not machine.driver.loaded:
        return DriverState("load-pending", f"module {running.nvidia_version or 'on disk'}, none loaded", "load it")
    return DriverState("ready", f"module and libraries {machine.driver.loaded}, next kernel too")
