"""All packages in one transaction, with Docker's configuration in place before the engine starts for the first time."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import docker, holds, packages
from deploys.operations.needed import when_needed
from deploys.plan.plan import Plan


@deploy("Software")
def install(plan: Plan, limit: int) -> None:
    """Headers, driver, CUDA, Docker, Compose and the container toolkit, as far as the plan has them."""
    when_needed(docker.configured, "Docker is configured as wanted", wanted=plan.daemon)
    when_needed(packages.installed, "All packages are installed in one transaction", plan=plan, limit=limit)
    when_needed(holds.kept, "The driver is held at its version", plan=plan)
    when_needed(docker.configured, "Docker knows what was installed", wanted=plan.daemon)
