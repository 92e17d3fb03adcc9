"""The host put to work: a reboot where its state needs one, the driver loaded, services running."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import kernel_gate, reboot, services
from deploys.operations.needed import when_needed
from deploys.plan.plan import Plan


@deploy("Activate")
def activate(plan: Plan, reboot_timeout: int, consent: bool) -> None:
    """Load the driver anew or reboot by state, load the driver, start the services."""
    when_needed(kernel_gate.default_kernel_fit, "The next boot starts a kernel that can drive the GPUs")
    when_needed(services.driver_reloaded, "A driver that nobody uses makes room for the one on disk")
    when_needed(
        reboot.rebooted_when_needed,
        "Rebooted, where the state of the host needs it",
        allowed=plan.reboot.allowed,
        timeout=reboot_timeout,
        consent=consent,
        new_kernel=plan.reboot.new_kernel,
        untried=plan.reboot.untried,
    )
    when_needed(services.driver_loaded, "The driver is loaded")
    when_needed(kernel_gate.default_kernel_fit, "The kernel that comes next can drive the GPUs", rebooted=True)
    when_needed(services.running, "Services are enabled and running", units=plan.services)
