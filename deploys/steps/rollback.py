"""The way back to the set that was proven."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import proof, reboot, rollback, services
from deploys.operations.needed import begin_work, when_needed
from deploys.plan.reboot import UNTRIED
from deploys.plan.rollback import GoingBack
from deploys.plan.settings import Settings


@deploy("Rollback")
def go_back(settings: Settings, units: tuple[str, ...], asked: GoingBack | None = None) -> None:
    """Rehearsed, installed, put to work, proven. Without `asked` only where the proof has just failed and the settings let it."""
    if asked is None and not rollback.may_be_needed():
        return
    begin_work()
    limit, gone = settings.operation_timeout, rollback.has_gone_back(asked=asked is not None)
    rollback.rehearsed(name="The way back is rehearsed in an overlay", limit=limit, asked=asked, proxy=settings.proxy)
    rollback.installed(
        name="The proven packages are installed in one transaction", limit=limit, asked=asked, proxy=settings.proxy
    )
    services.driver_reloaded(name="A driver that nobody uses makes room for the proven one", _if=gone)
    reboot.rebooted_when_needed(
        name="Rebooted, where the state of the host needs it",
        allowed=settings.reboot == "when-needed",
        timeout=settings.reboot_timeout,
        consent="gpu_idle_before_driver_change" in settings.accept,
        untried=UNTRIED in settings.accept,
        _if=gone,
    )
    services.driver_loaded(name="The proven driver is loaded", _if=gone)
    services.running(name="Services are enabled and running", units=units, _if=gone)
    proof.proven_again(name="The host is what it was", settings=settings)


@deploy("Rollback")
def settle() -> None:
    """Last: the work of a host that serves again has been called back by then."""
    when_needed(rollback.settled, "The wanted set is the one that runs")
