"""The work of a host, moved away and called back."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import drain as operations
from deploys.operations.needed import when_needed
from deploys.plan.plan import Plan
from deploys.plan.settings import Settings


@deploy("Drain")
def drain(plan: Plan, settings: Settings) -> None:
    """Before anything that disturbs it."""
    when_needed(
        operations.drained,
        "Nobody uses the GPUs",
        plan=plan,
        drain=settings.drain,
        undrain=settings.undrain,
        timeout=settings.drain_timeout,
    )


@deploy("Undrain")
def undrain(settings: Settings) -> None:
    """After the proof: a host that is not ready stays drained."""
    when_needed(operations.undrained, "Its work is back", undrain=settings.undrain, timeout=settings.drain_timeout)
