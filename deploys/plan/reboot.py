"""DECIDE: does a host need a reboot, as it is now, and may it have one?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from deploys.plan.kernel_gate import driverless_trial, gate, obstacle, wants_trial
from deploys.plan.machine import Machine, Process
from deploys.plan.settings import Settings

# Processes that hold the device files by design and let go when the driver is replaced.
_TOLERATED_HOLDERS = (
    "nvidia-persiste",
    "nvidia-persistenced",
    "nv-fabricmanager",
    "nvlsm",
    "dcgm-exporter",
    "nv-hostengine",
    "nvidia_gpu_exporter",
    # Comes and goes with whatever watches the host, and only reads.
    "nvidia-smi",
    # Agents of Kubernetes: they tell it of the GPUs, and stay when a node is drained.
    "nvidia-device-plugin",
    "gpu-feature-discovery",
)
# Reads figures only, and comes back by itself.
_TOLERATED_CONTAINERS = ("gpu-host-exporter",)

# The check by whose acceptance a kernel is booted that cannot be tried first.
UNTRIED = "new_kernel_can_be_tried"


@dataclass(frozen=True)
class RebootPlan:
    """Whether a reboot will be needed as far as can be seen now; it is decided again from state after the steps.

    `local`: the machine that runs this, which is never rebooted by it. `tried`: a reboot for the same cause has not helped.
    `reload`: the driver is loaded anew first, which may make the reboot needless. `new_kernel`: a new kernel is a reason, `untried`: even one
    that cannot be tried first. `trial`: the kernel that is booted once, as a trial; `refused`: why there is no reboot.
    """

    needed: bool = False
    allowed: bool = True
    local: bool = False
    why: str = ""
    tried: bool = False
    reload: bool = False
    new_kernel: bool = True
    untried: bool = False
    trial: str = ""
    refused: str = ""


def plan_reboot(machine: Machine, settings: Settings, *, local: bool = False) -> RebootPlan:
    """Reboot by state: nouveau loaded or bound, or a loaded driver of another version than the one on disk."""
    new, untried = settings.new_kernel == "boot", UNTRIED in settings.accept
    reasons = reboot_reasons(machine, new_kernel=new)
    return RebootPlan(
        needed=bool(reasons),
        allowed=settings.reboot == "when-needed",
        local=local,
        why="; ".join(reasons),
        tried=rebooted_in_vain(machine, new_kernel=new),
        reload=bool(reloadable(machine)),
        new_kernel=new,
        untried=untried,
        trial=wants_trial(machine) if reasons and machine.kernels.loader.one_shot else "",
        refused="" if untried else obstacle(machine),
    )


def comes(machine: Machine, plan: RebootPlan) -> bool:
    """Has this host, as it is now, a reason for a reboot that none of its own records and settings speaks against?"""
    if not reboot_reasons(machine, new_kernel=plan.new_kernel):
        return False
    return not rebooted_in_vain(machine, new_kernel=plan.new_kernel) and (plan.untried or not obstacle(machine))


def reboot_reasons(machine: Machine, *, new_kernel: bool = False) -> tuple[str, ...]:
    """Why this host, as it is now, needs a reboot before its GPUs can work; empty when it does not.

    `new_kernel`: also where they work, and a newer kernel is ready for them.
    """
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
    elif new_kernel and running and running.nvidia_modules and (release := gate(machine).new):
        reasons.append(f"kernel {release} is installed, fit, and comes next; {running.release} is running")
    if trial := driverless_trial(machine):
        reasons.append(f"kernel {trial}, on trial, has not loaded its driver; {machine.kernels.default} is held")
    return tuple(reasons)


def rebooted_in_vain(machine: Machine, *, new_kernel: bool = False) -> bool:
    """Has a reboot of ours for this very cause already been, and changed nothing? One that never happened does not count."""
    boot, cause = machine.boot, "; ".join(reboot_reasons(machine, new_kernel=new_kernel))
    return bool(cause) and boot.rebooted_for == cause and boot.rebooted_in != (boot.boot_id or "")


def reloadable(machine: Machine) -> str:
    """Version of the driver on disk, where an older or newer one is loaded that nobody uses; "" where only a reboot helps."""
    running = machine.kernels.get(machine.kernels.running)
    on_disk = (running.nvidia_version if running else None) or ""
    loaded = machine.driver.loaded
    differs = bool(loaded) and bool(on_disk) and loaded != on_disk
    taken = machine.nouveau.loaded is not False or any(g.driver == "nouveau" for g in machine.gpus)
    return on_disk if differs and not taken and not busy(machine) and machine.driver.reload_tried != on_disk else ""


def working(machine: Machine) -> tuple[Process, ...]:
    """Processes that use the GPUs; the persistence daemon is none of them."""
    return tuple(p for p in machine.driver.holders if _program(p) not in _TOLERATED_HOLDERS)


def busy(machine: Machine) -> str:
    """Who uses the GPUs, in words ("" nobody): processes, containers that were given one, at work or not, and the jobs of schedulers."""
    holders = working(machine)
    parts = [name_processes(holders)] if holders else []
    if machine.docker.gpu_containers is None:
        parts.append("containers, perhaps: the engine could not be asked")
    named = {p.place for p in holders}
    parts += _some(
        "container", [n for n in machine.docker.gpu_containers or () if n not in _TOLERATED_CONTAINERS], named
    )
    for scheduler in machine.schedulers:
        kind = _JOBS[scheduler.kind]
        users = {job.name: f"{job.name} of {job.user}" for job in scheduler.jobs if job.user}
        parts += _some(kind, [job.name for job in scheduler.jobs], named, users)
    return "; ".join(parts)


# What a scheduler's work is called; as `Process.place` has it, so that nobody is named twice.
_JOBS = {"slurm": "Slurm job", "kubernetes": "pod"}


def _some(kind: str, names: Sequence[str], told: Collection[str], words: Mapping[str, str] | None = None) -> list[str]:
    """The first five of those that no process has told of yet, as one text, or none."""
    left = [(words or {}).get(name, name) for name in names if f"{kind} {name}" not in told]
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return [f"{kind}{'s' if len(left) > 1 else ''} {', '.join(left[:5])}{more}"] if left else []


def _program(process: Process) -> str:
    return (process.command or "").split(" ", 1)[0].rsplit("/", 1)[-1]


def name_processes(processes: tuple[Process, ...]) -> str:
    """The first five in words; those that hold the most memory first, because they are what an operator looks for."""
    most = sorted(processes, key=lambda p: -(p.memory or 0))
    more = f" and {len(most) - 5} more" if len(most) > 5 else ""
    return "; ".join(_name(p) for p in most[:5]) + more


def _name(process: Process) -> str:
    place = f" in {process.place}" if process.place else ""
    return f"{process.command or '?'}[{process.pid}] of {process.user or '?'}{place}{_memory(process.memory)}"


def _memory(mib: int | None) -> str:
    """Nothing where it is unknown; MiB below one GiB."""
    if mib is None:
        return ""
    return f", {mib / 1024:.0f} GiB" if mib >= 1024 else f", {mib} MiB"
