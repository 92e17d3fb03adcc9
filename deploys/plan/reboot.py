"""DECIDE: does a host need a reboot, as it is now, and may it have one?"""

from __future__ import annotations

from dataclasses import dataclass

from deploys.plan.machine import Machine, Process
from deploys.plan.settings import Settings

# Processes that hold the device files by design and let go when the driver is replaced.
_TOLERATED_HOLDERS = ("nvidia-persiste", "nvidia-persistenced")


@dataclass(frozen=True)
class RebootPlan:
    """Whether a reboot will be needed as far as can be seen now; it is decided again from state after the steps.

    `local`: the machine that runs this, which is never rebooted by it.
    """

    needed: bool = False
    allowed: bool = True
    local: bool = False
    why: str = ""


def plan_reboot(machine: Machine, settings: Settings, *, local: bool = False) -> RebootPlan:
    """Reboot by state: nouveau loaded or bound, or a loaded driver of another version than the one on disk."""
    reasons = reboot_reasons(machine)
    return RebootPlan(bool(reasons), settings.reboot == "when-needed", local, "; ".join(reasons))


def reboot_reasons(machine: Machine) -> tuple[str, ...]:
    """Why this host, as it is now, needs a reboot before its GPUs can work; empty when it does not."""
    reasons = []
    bound = [g.address for g in machine.gpus if g.driver == "nouveau"]
    if bound:
        reasons.append(f"nouveau holds {', '.join(bound)}")
    elif machine.nouveau.loaded:
        reasons.append("nouveau is loaded")
    running = machine.kernels.get(machine.kernels.running)
    on_disk = running.nvidia_version if running else None
    loaded = machine.driver.loaded
    if loaded and on_disk and loaded != on_disk:
        reasons.append(f"driver {loaded} is loaded, {on_disk} is on disk")
    after = machine.kernels.get(machine.kernels.default)
    if running and after and not running.nvidia_modules and after.nvidia_version:
        reasons.append(
            f"kernel {running.release} has no NVIDIA module, {after.release} (next boot) has {after.nvidia_version}"
        )
    return tuple(reasons)


def working(machine: Machine) -> tuple[Process, ...]:
    """Processes that use the GPUs; the persistence daemon is none of them."""
    return tuple(p for p in machine.driver.holders if _program(p) not in _TOLERATED_HOLDERS)


def _program(process: Process) -> str:
    return (process.command or "").split(" ", 1)[0].rsplit("/", 1)[-1]


def name_processes(processes: tuple[Process, ...]) -> str:
    """The first five in words."""
    names = [f"{p.command or '?'} (pid {p.pid}, {p.user or '?'})" for p in processes]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
