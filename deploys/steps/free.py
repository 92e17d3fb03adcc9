"""The holds of this toolkit, released."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import holds


@deploy("Holds")
def release() -> None:
    """Ours, and no one else's."""
    holds.released(name="Nothing is held by this toolkit")
