"""Checks of the work that is done on a host while its driver would change."""

from __future__ import annotations

from deploys.knowledge.distros import find_distro
from deploys.plan.finding import Finding, stop, warn
from deploys.plan.machine import Machine
from deploys.plan.plan import make_plan
from deploys.plan.reboot import busy, reboot_reasons
from deploys.plan.scheduling import describe_scheduler, drain_hint
from deploys.plan.settings import Settings


def _disturbance(machine: Machine, settings: Settings) -> str:
    """Why the GPUs must be idle, as far as can be seen before the run; "" where nothing disturbs them."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None:
        return ""
    plan = make_plan(machine, settings, distro)
    if plan.moves_driver(machine.packages):
        return "the driver changes"
    # A new kernel can wait on a host that serves: its reboot is put off, and nothing else.
    return f"a reboot is needed: {plan.reboot.why}" if reboot_reasons(machine) and plan.reboot.allowed else ""


def gpu_idle_before_driver_change(machine: Machine, settings: Settings) -> Finding | None:
    """Nobody's work is killed: a driver change or a reboot waits until the GPUs are idle."""
    users = busy(machine)
    why = _disturbance(machine, settings) if users and not settings.drain else ""
    if not why:
        return None
    fix = "; ".join(["stop these (or wait for them), then run again", *(f"or set {h}" for h in drain_hint(machine))])
    return stop("gpu_idle_before_driver_change", f"the GPUs are in use by {users}", f"idle GPUs, because {why}", fix)


def scheduler_sends_no_work(machine: Machine, settings: Settings) -> Finding | None:
    """An idle node of a cluster may be sent work at any moment, also in the middle of a driver change."""
    why = _disturbance(machine, settings) if machine.schedulers and not settings.drain and not busy(machine) else ""
    if not why:
        return None
    found = "; ".join(describe_scheduler(s) for s in machine.schedulers)
    needed = f"a node that is sent no work for now, because {why}"
    return warn("scheduler_sends_no_work", found, needed, "; ".join(f"set {h}" for h in drain_hint(machine)))
