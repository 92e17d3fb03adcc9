"""Reboot by state: decided from the host as it is now, never from what this run happened to change."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.command import FunctionCommand
from pyinfra.api.operation import operation

from deploys.plan.reboot import name_processes, reboot_reasons, working
from deploys.support.context import is_local, this_host
from deploys.support.guard import guarded
from deploys.support.reboot import reboot_host
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


@operation()
@guarded
@changing
def rebooted_when_needed(allowed: bool, timeout: int) -> Commands:
    """The host has been rebooted if its state asks for it, and has come back with another boot identity.

    The machine that runs this is never rebooted: verification then says `reboot-pending`.

    + allowed: whether the settings allow a reboot
    + timeout: seconds until the host must be back
    """
    host = this_host()
    now = machine()
    reasons = reboot_reasons(now)
    if not reasons:
        host.noop("no reboot needed")
    elif is_local(host):
        host.log(f"reboot needed ({'; '.join(reasons)}): reboot this machine, then run again")
    elif not allowed:
        host.log(f'reboot needed ({"; ".join(reasons)}), not allowed by gpu_reboot = "never"')
    elif holders := working(now):
        host.log(f"reboot needed ({'; '.join(reasons)}), put off: the GPUs are in use by {name_processes(holders)}")
    else:
        host.log(f"reboot: {'; '.join(reasons)}")
        sudo = {
            key: value
            for key, value in (host.current_op_global_arguments or {}).items()
            if key in ("_sudo", "_sudo_user", "_sudo_password")
        }
        yield FunctionCommand(reboot_host, (), {"timeout": float(timeout), "sudo": sudo})
