"""The proof that the host is a GPU host."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import kernel_gate, proof, record
from deploys.operations.needed import when_needed
from deploys.plan.plan import Plan
from deploys.plan.proven import ProvenSet
from deploys.plan.settings import Settings


@deploy("Proof")
def prove(settings: Settings, compare: bool = False, may_go_back: bool = False) -> None:
    """The chain of proof, read from the world as it is now; `compare`: with what was proven last, too."""
    proof.proven(name="The host is ready", settings=settings, compare=compare, may_go_back=may_go_back)


@deploy("Record")
def remember(plan: Plan | None = None, target: ProvenSet | None = None) -> None:
    """After the proof, never instead of it."""
    when_needed(record.remembered, "The host remembers what was proven", plan=plan, target=target)
    when_needed(record.boot_images_noted, "The host remembers what is inside its boot images")


@deploy("Keep")
def keep() -> None:
    """After a proof that held."""
    when_needed(
        kernel_gate.default_kernel_fit,
        "A kernel that proved itself on trial is the default",
        rebooted=True,
        proven=True,
    )
    when_needed(kernel_gate.proven_kernel_kept, "The kernel that proved itself stays installed")
