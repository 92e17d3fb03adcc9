"""Monitoring: the network of this toolkit, or one of the user's own."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import monitoring
from deploys.plan.files import Packed
from deploys.plan.gpu_access import Access, Engine
from deploys.plan.monitoring import Monitoring, Stack


@deploy("Monitoring")
def watch(stack: Stack, wanted: Monitoring) -> None:
    """Prometheus, Grafana and an exporter."""
    monitoring.network_up(name="The monitoring runs as wanted", stack=stack, wanted=wanted)


@deploy("Compose network")
def run_own(packed: Packed, engine: Engine, access: Access) -> None:
    """A folder with a Compose file."""
    monitoring.own_network_up(name="The Compose network runs as wanted", packed=packed, engine=engine, access=access)
