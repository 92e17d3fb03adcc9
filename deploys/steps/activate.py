"""The host put to work: a reboot where its state needs one, the driver loaded, services running."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import reboot, services
from deploys.plan.plan import Plan


@deploy("Activate")
def activate(plan: Plan, reboot_timeout: int, consent: bool) -> None:
    """Load the driver anew or reboot by state, load the driver, start the services."""
    services.driver_reloaded(name="A driver that nobody uses makes room for the one on disk")
    reboot.rebooted_when_needed(
        name="Rebooted, where the state of the host needs it",
        allowed=plan.reboot.allowed,
        timeout=reboot_timeout,
        consent=consent,
    )
    services.driver_loaded(name="The driver is loaded")
    services.running(name="Services are enabled and running", units=plan.services)
