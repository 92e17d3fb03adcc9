"""Services and kernel modules brought to the state that they should have, from the record of the host."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import DEVICES_SCRIPT, ENABLED_RECORD, FABRIC_MODULES, LOAD_TRIED, RELOAD_TRIED, STATE_DIR
from deploys.operations.docker import take_over
from deploys.operations.needed import note
from deploys.plan.machine import Machine
from deploys.plan.reboot import busy, reboot_reasons, reloadable
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]

# Started only when a driver is loaded; without one they have nothing to do, or fail, which says nothing new.
DEVICES = "gpu-host-devices.service"
FABRIC = "nvidia-fabricmanager.service"
NEED_DRIVER = (DEVICES, "nvidia-persistenced.service", FABRIC)
# Its own start script looks for these modules and gives up without them; at every boot systemd loads them first.
_FABRIC_MODULES = f"{{ [ ! -e {FABRIC_MODULES} ] || modprobe -a $(grep -v '^#' {FABRIC_MODULES}); }} && "


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
            # Without the flag systemd reads its units again, which can take GPUs from containers.
            verbs.append("enable --quiet --no-reload" if busy(now) else "enable --quiet")
        if (state is None or state.active != "active") and not (unit in NEED_DRIVER and not now.driver.loaded):
            verbs.append("start")
        elif unit == DEVICES and now.driver.loaded and now.driver.unlinked:
            # Runs once more, and disturbs nobody: nodes have come since it last ran.
            verbs.append("restart")
        for verb in verbs:
            touched = True
            fresh = _fresh(unit) if verb == "start" and not busy(now) else ""
            if (verb, unit) == ("start", "docker.service"):
                yield take_over("start", before=fresh)
            else:
                modules = _FABRIC_MODULES if (verb, unit) == ("start", FABRIC) else ""
                noted = (
                    f" && {{ mkdir -p -m 700 {STATE_DIR}; echo {shlex.quote(unit)} >>{ENABLED_RECORD}; }}"
                    if verb[:6] == "enable"
                    else ""
                )
                yield StringCommand(f"{fresh}{modules}systemctl {verb} {shlex.quote(unit)}{noted}")
    if not touched:
        this_host().noop("all services are as wanted")


def _fresh(unit: str) -> str:
    """Have systemd read a unit file of ours before the start. A reload can take GPUs from containers, so only where nobody uses them."""
    stale = f"systemctl show -p NeedDaemonReload --value {shlex.quote(unit)}"
    return f'if [ "$({stale})" = yes ]; then systemctl daemon-reload; fi; '


def loadable(now: Machine) -> str:
    """Version of the module that should be loaded now; "" when there is none, when one is loaded, when this version has been

    tried in this boot already, or when a reboot must clear the way first.
    """
    kernel = now.kernels.get(now.kernels.running)
    version = (kernel.nvidia_version if kernel else None) or ""
    if now.driver.loaded != "" or not now.gpus or reboot_reasons(now) or now.driver.load_tried == version:
        return ""
    return version


@operation()
@guarded
@changing
def driver_loaded() -> Commands:
    """The driver is loaded where that needs no reboot; tried once per boot and version.

    That it cannot be loaded is no failure here: the proof names the driver's own error.
    """
    version = loadable(machine())
    if not version:
        this_host().noop("nothing to load")
        return
    tried = f"mkdir -p {LOAD_TRIED.rsplit('/', 1)[0]} && echo {shlex.quote(version)} >{LOAD_TRIED}"
    yield StringCommand(f"sh {DEVICES_SCRIPT} >/dev/null 2>&1; {tried}")


# The daemons that hold the driver by design; what else holds it is somebody's work, and then the module stays.
_LETS_GO = "nvidia-persistenced nvidia-fabricmanager"
_EXPORTER = "gpu-host-exporter"
_MODULES = "nvidia_peermem nvidia_uvm nvidia_drm nvidia_modeset nvidia"


@operation()
@guarded
@changing
def driver_reloaded() -> Commands:
    """The driver on disk takes the place of another version that is loaded and that nobody uses: no reboot is needed for that.

    Where the old module does not go (a display server, a console), everything is as before, and the reboot comes.
    """
    version = reloadable(machine())
    if not version:
        this_host().noop("no driver to load anew")
        return
    note(f"the loaded driver is not the one on disk, and nobody uses it: loading {version}")
    tried = f"mkdir -p {RELOAD_TRIED.rsplit('/', 1)[0]}; echo {shlex.quote(version)} >{RELOAD_TRIED}"
    yield StringCommand(
        "\n".join(
            [
                f"{tried}; stopped= exporter=",
                f'for u in {_LETS_GO}; do systemctl is-active --quiet $u && systemctl stop $u && stopped="$stopped $u"; done',
                f"docker stop --time 10 {_EXPORTER} >/dev/null 2>&1 && exporter=1",
                f"for m in {_MODULES}; do [ ! -d /sys/module/$m ] || rmmod $m || break; done",
                f"sh {DEVICES_SCRIPT}",
                f'for u in $stopped; do systemctl start $u; done; [ -z "$exporter" ] || docker start {_EXPORTER} >/dev/null; exit 0',
            ]
        )
    )
