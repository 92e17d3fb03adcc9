"""The end of a run."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import lease


@deploy("End")
def finish() -> None:
    """Other runs need not wait until this one is forgotten."""
    lease.released(name="The host is free for other runs")
