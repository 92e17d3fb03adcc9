"""Services and kernel modules brought to the state that they should have, from the record of the host."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.plan.machine import Machine
from deploys.plan.plan import reboot_reasons
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]

# Starts only when there is a loaded driver to keep alive; without one it fails, which says nothing new.
NEEDS_DRIVER = "nvidia-persistenced.service"


@operation()
@guarded
@changing
def running(units: Sequence[str]) -> Commands:
    """Each unit is enabled and active. Nothing that runs is restarted.

    + units: names with their suffix
    """
    now = machine()
    touched = False
    for unit in units:
        state = now.units.get(unit)
        verbs = []
        if state is None or state.enabled not in ("enabled", "static", "alias", "indirect", "generated"):
            verbs.append("enable --quiet")
        if (state is None or state.active not in ("active", "activating")) and not (
            unit == NEEDS_DRIVER and not now.driver.loaded
        ):
            verbs.append("start")
        for verb in verbs:
            touched = True
            yield StringCommand(f"systemctl {verb} {shlex.quote(unit)}")
    if not touched:
        this_host().noop("all services are as wanted")


def can_load(now: Machine) -> bool:
    """Is there a module for the running kernel, none loaded, and nothing (such as nouveau) that a reboot must clear first?"""
    kernel = now.kernels.get(now.kernels.running)
    on_disk = bool(kernel and kernel.nvidia_version)
    return on_disk and now.driver.loaded == "" and not reboot_reasons(now) and bool(now.gpus)


@operation()
@guarded
@changing
def driver_loaded() -> Commands:
    """The driver is loaded where that needs no reboot. A failure is no failure here: verification names the driver's own error."""
    if can_load(machine()):
        yield StringCommand(
            "modprobe nvidia >/dev/null 2>&1 && modprobe nvidia-uvm >/dev/null 2>&1; nvidia-modprobe -c 0 -u >/dev/null 2>&1; true"
        )
    else:
        this_host().noop("nothing to load")
