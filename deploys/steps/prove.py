"""The proof that the host is a GPU host."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import proof
from deploys.plan.settings import Settings


@deploy("Proof")
def prove(settings: Settings) -> None:
    """The chain of proof, read from the world as it is now."""
    proof.proven(name="The host is ready", settings=settings)
