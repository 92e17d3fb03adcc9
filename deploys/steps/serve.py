"""Model services: each as one container or one unit, with its GPU."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import containers
from deploys.plan.gpu_access import Access
from deploys.plan.settings import Settings


@deploy("Services")
def serve(settings: Settings, access: Access, count: int) -> None:
    """Containers first, then units."""
    services = tuple(settings.services.values())
    containers.containers_run(name="Containers run as wanted", services=services, access=access, count=count)
    containers.units_run(name="Units run as wanted", services=services, count=count)
