"""The host put to work: a reboot where its state needs one, the driver loaded, services running."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import kernel_gate, reboot, services
from deploys.plan.plan import Plan


@deploy("Activate")
def activate(plan: Plan, reboot_timeout: int, consent: bool) -> None:
    """Load the driver anew or reboot by state, load the driver, start the services."""
    kernel_gate.default_kernel_fit(name="The next boot starts a kernel that can drive the GPUs")
    services.driver_reloaded(name="A driver that nobody uses makes room for the one on disk")
    reboot.rebooted_when_needed(
        name="Rebooted, where the state of the host needs it",
        allowed=plan.reboot.allowed,
        timeout=reboot_timeout,
        consent=consent,
        new_kernel=plan.reboot.new_kernel,
        untried=plan.reboot.untried,
    )
    services.driver_loaded(name="The driver is loaded")
    kernel_gate.default_kernel_fit(name="A kernel that proved itself on trial is the default", rebooted=True)
    services.running(name="Services are enabled and running", units=plan.services)
