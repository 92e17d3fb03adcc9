"""What is ours leaves the host: services, packages, edits, files, in this order; the records of it last, so that a run that was cut off is taken up again."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.managers import manager
from deploys.knowledge.paths import (
    DAEMON_JSON,
    DEVICES_UNIT,
    KERNEL_GATE,
    MONITORING_FOLDER,
    PULL_UNITS,
    SERVICES_FOLDER,
    STATE_DIR,
)
from deploys.operations.files import write
from deploys.operations.holds import script as release_script
from deploys.operations.packages import LOCK_WAIT, assemble
from deploys.plan.holds import ours
from deploys.plan.machine import Footprint
from deploys.plan.reboot import busy
from deploys.plan.removal import ENGINE, Removal
from deploys.support.context import is_executing, this_host
from deploys.support.guard import guarded
from deploys.support.logged import logged_unit
from deploys.support.outcome import current
from deploys.support.run import read_footprint
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def script(found: Footprint, name: str | None, *, act: bool) -> str:
    """The text that removes (or, without `act`, only simulates to remove) what came with transactions of ours."""
    words = manager(name)
    reasons = {reason: [n for n, r in found.packages.items() if r == reason] for reason in ("wanted", "needed")}
    variables = {
        "WANTED": " ".join(reasons["wanted"]),
        "NEEDED": " ".join(reasons["needed"]),
        "ACT": "1" if act else "",
        "DATA": ENGINE,
    }
    return assemble(words, variables, ("remove",))


@operation()
@guarded
def simulated(removal: Removal, limit: int) -> Commands:
    """The removal takes nothing that is not ours; nothing has been touched so far.

    + removal: what is to leave
    + limit: seconds
    """
    if removal.packages:
        yield from logged_unit("removal", script(read_footprint(), machine().packages.manager, act=False), limit)


@operation()
@guarded
@changing
def services_gone(removal: Removal) -> Commands:
    """What provisions this host by itself; model services and monitoring of ours, where the settings say so. Images, volumes and data stay.

    + removal: what is to leave
    """
    if pull := [path.rsplit("/", 1)[1] for path in PULL_UNITS if path in removal.deleted]:
        # First of all: an uninstall that is cut off is not undone at night.
        yield StringCommand(
            f"systemctl stop gpu-host-pull.timer; systemctl disable --quiet --no-reload {shlex.join(pull)}"
        )
    if removal.containers:
        yield StringCommand(f"docker rm --force {shlex.join(removal.containers)} >/dev/null")
    for unit in removal.services:
        yield StringCommand(
            f"systemctl disable --quiet --now {shlex.quote(unit)}; rm -f /etc/systemd/system/{shlex.quote(unit)}"
        )
    if removal.containers or removal.services:
        yield StringCommand(f"rm -rf {SERVICES_FOLDER} {MONITORING_FOLDER}")


@operation()
@guarded
@changing
def packages_gone(removal: Removal, limit: int) -> Commands:
    """Packages that came with transactions of ours, in one transaction that has been simulated once more.

    + removal: what is to leave
    + limit: seconds
    """
    found = read_footprint()
    if removal.packages and found.packages:
        yield from logged_unit("removal", script(found, machine().packages.manager, act=True), limit, may_stop=False)


@operation()
@guarded
@changing
def holds_gone() -> Commands:
    """Nothing is held by us any more; holds of others stay."""
    now = machine()
    if ours(now):
        yield from logged_unit("holds", release_script(now.packages.manager or "", ()), LOCK_WAIT + 60, may_stop=False)


@operation()
@guarded
@changing
def edits_gone(removal: Removal) -> Commands:
    """Files of the host as they are without our edits, our own files deleted, units disabled that we had enabled.

    + removal: what is to leave
    """
    for change in removal.rewrites:
        yield write(change)
    for unit in removal.disabled:
        yield StringCommand(
            f"! systemctl cat {shlex.quote(unit)} >/dev/null 2>&1 || systemctl disable --quiet {shlex.quote(unit)}"
        )
    if DEVICES_UNIT in removal.deleted:
        unit = DEVICES_UNIT.rsplit("/", 1)[1]
        yield StringCommand(f"[ ! -e {DEVICES_UNIT} ] || systemctl disable --quiet --no-reload {unit}")
    if KERNEL_GATE in removal.deleted:
        # What stood in the boot loader before us comes back, while there is somebody who knows it.
        yield StringCommand(f"[ ! -r {KERNEL_GATE} ] || sh {KERNEL_GATE} release >/dev/null")
    if removal.deleted:
        yield StringCommand(f"rm -f {shlex.join(removal.deleted)}")
    if DAEMON_JSON in (*removal.deleted, *(change.path for change in removal.rewrites)):
        yield StringCommand("! systemctl is-active --quiet docker.service || systemctl reload docker.service")
    if removal.deleted and is_executing() and not busy(machine()):
        # Reading its units again can take GPUs from containers: where there are any, systemd forgets ours at the next boot.
        yield StringCommand("systemctl daemon-reload; ldconfig; true")


@operation()
@guarded
@changing
def forgotten(removal: Removal) -> Commands:
    """The records of what was ours leave last.

    + removal: what is to leave
    """
    found = read_footprint() if is_executing() else Footprint()
    stay = f"{len(found.packages)} packages stay, because others need them: {', '.join(found.packages)}"
    yield StringCommand(f"rm -rf {STATE_DIR} && {{ rmdir /etc/gpu-host 2>/dev/null; true; }}")
    outcome = current()
    outcome.state = "removed"
    gone = stay if found.packages else f"{len(removal.packages)} packages, {len(removal.deleted)} files"
    outcome.detail = "; ".join(filter(None, (gone, removal.drained)))
    this_host().log(outcome.detail)
