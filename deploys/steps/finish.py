"""The end of a run."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import lease
from deploys.operations.needed import when_needed


@deploy("End")
def finish() -> None:
    """Other runs need not wait until this one is forgotten."""
    when_needed(lease.released, "The host is free for other runs")
