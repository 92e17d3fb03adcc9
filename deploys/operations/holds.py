"""Holds of ours outside of a transaction: put back where they were lost, and released by somebody's word."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pyinfra.api.operation import operation

from deploys.knowledge.managers import manager
from deploys.operations.packages import LOCK_WAIT, assemble
from deploys.plan.holds import describe_holds, lacking, ours
from deploys.plan.plan import Plan
from deploys.support.context import is_executing, this_host
from deploys.support.guard import guarded
from deploys.support.logged import logged_unit
from deploys.support.outcome import current
from deploys.support.run import say
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def script(manager_name: str, names: Sequence[str]) -> str:
    """Text of the script after which these packages are held by us, and no others."""
    return assemble(manager(manager_name), {"HOLDS": " ".join(names)}, ("hold",))


@operation()
@guarded
@changing
def kept(plan: Plan) -> Commands:
    """The driver's packages are held at their versions, whatever has become of the holds since their transaction.

    + plan: the host's plan
    """
    lost = lacking(plan.packages.holds, machine())
    if not lost:
        this_host().noop("what is to be held is held")
        return
    yield from logged_unit("holds", script(plan.distro.manager, plan.packages.holds), LOCK_WAIT + 60, may_stop=False)


@operation()
@guarded
@changing
def released() -> Commands:
    """Nothing is held by this toolkit any more; holds of others stay. The next run of deploys/gpu_host.py holds the driver anew."""
    now = machine()
    held = ours(now)
    outcome = current()
    if is_executing():
        outcome.state, outcome.detail = "passed", f"released: {', '.join(h.name for h in held)}" if held else "no holds"
    say("\n" + "\n".join([f"{this_host().name}: {outcome.detail}", *(f"    was     {t}" for t in describe_holds(now))]))
    if not held:
        this_host().noop("nothing of ours is held")
        return
    yield from logged_unit("holds", script(now.packages.manager or "", ()), LOCK_WAIT + 60, may_stop=False)
