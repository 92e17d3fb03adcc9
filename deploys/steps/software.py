"""All packages in one transaction, with Docker's configuration in place before the engine starts for the first time."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import docker, holds, packages
from deploys.plan.plan import Plan


@deploy("Software")
def install(plan: Plan, limit: int) -> None:
    """Headers, driver, CUDA, Docker, Compose and the container toolkit, as far as the plan has them."""
    docker.configured(name="Docker is configured as wanted", wanted=plan.daemon)
    packages.installed(name="All packages are installed in one transaction", plan=plan, limit=limit)
    holds.kept(name="The driver is held at its version", plan=plan)
    docker.configured(name="Docker knows what was installed", wanted=plan.daemon)
