"""Checks of packages that are kept at their versions."""

from __future__ import annotations

from deploys.knowledge.distros import find_distro
from deploys.knowledge.managers import manager
from deploys.plan.finding import Finding, stop, warn
from deploys.plan.holds import OWNER, in_the_way, oldest
from deploys.plan.machine import Machine
from deploys.plan.plan import make_plan
from deploys.plan.settings import Settings


def no_foreign_hold_in_the_way(machine: Machine, settings: Settings) -> Finding | None:
    """What somebody else keeps at its version is not moved, whatever the plan needs."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not machine.gpus or not any(not h.ours for h in machine.packages.holds):
        return None
    held = in_the_way(make_plan(machine, settings, distro), machine)
    if not held:
        return None
    return stop(
        "no_foreign_hold_in_the_way",
        f"{', '.join(held)} must move, and somebody else holds it at its version",
        "packages of the plan that nobody but gpu-host holds",
        f"ask whoever holds it, then {manager(distro.manager).free.format(packages=' '.join(held))}, and run again",
    )


def holds_not_expired(machine: Machine, settings: Settings) -> Finding | None:
    """A hold keeps security fixes away as well, so that an old one is looked at by a person."""
    days = oldest(machine)
    if days is None or days <= settings.hold_days:
        return None
    return warn(
        "holds_not_expired",
        f"the driver's packages have been held by {OWNER} for {days} days",
        f"a driver that somebody has looked at within {settings.hold_days} days (gpu_hold_days): fixes of its security holes wait behind the hold",
        "deploys/release_holds.py, upgrade the driver's packages, then deploys/gpu_host.py, which proves and holds them anew",
    )
