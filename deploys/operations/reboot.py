"""Reboot by state: decided from the host as it is now, never from what this run happened to change."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import REBOOT_RECORD, STATE_DIR
from deploys.operations.files import write
from deploys.plan.files import FileChange
from deploys.plan.machine import Machine
from deploys.plan.reboot import busy, reboot_reasons, rebooted_in_vain
from deploys.support.context import is_local, reboots_itself, this_host
from deploys.support.guard import guarded
from deploys.support.reboot import reboot_host
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]

_FORGET = f"rm -f {REBOOT_RECORD}; rmdir {STATE_DIR} 2>/dev/null || :"


@operation()
@guarded
@changing
def rebooted_when_needed(allowed: bool, timeout: int, consent: bool = False) -> Commands:
    """The host has been rebooted if its state asks for it, and has come back with another boot identity. At most once per cause.

    The machine that runs this is never rebooted here: verification then says `reboot-pending`.

    + allowed: whether the settings allow a reboot
    + consent: whether somebody's work on the GPUs may end by it
    + timeout: seconds until the host must be back
    """
    host = this_host()
    now = machine()
    reasons = reboot_reasons(now)
    if not reasons and now.boot.rebooted_for:
        yield StringCommand(_FORGET)
    elif not reasons:
        host.noop("no reboot needed")
    elif rebooted_in_vain(now):
        host.log(
            f"reboot needed ({'; '.join(reasons)}), and one for this very cause has not helped: not again; to try once more: rm {REBOOT_RECORD}"
        )
    elif is_local(host) and not reboots_itself():
        host.log(f"reboot needed ({'; '.join(reasons)}): reboot this machine, then run again")
    elif not allowed:
        host.log(f'reboot needed ({"; ".join(reasons)}), not allowed by gpu_reboot = "never"')
    elif (users := busy(now)) and not consent:
        host.log(f"reboot needed ({'; '.join(reasons)}), put off: the GPUs are in use by {users}")
    else:
        yield from _reboot(now, reasons, timeout)


def _reboot(now: Machine, reasons: tuple[str, ...], timeout: int) -> Commands:
    """Write down why, in which boot; then reboot and come back."""
    host = this_host()
    host.log(f"reboot: {'; '.join(reasons)}")
    record = f"{now.boot.boot_id or ''}\n{'; '.join(reasons)}\n"
    yield write(FileChange(REBOOT_RECORD, record, "why this host is rebooted", "600"))
    if is_local(host):
        # The record of this boot is what `./provision pull` looks for once the run has ended.
        return
    sudo = {
        key: value
        for key, value in (host.current_op_global_arguments or {}).items()
        if key in ("_sudo", "_sudo_user", "_sudo_password")
    }
    yield FunctionCommand(reboot_host, (), {"timeout": float(timeout), "sudo": sudo})
    if not reboot_reasons(machine()):
        yield StringCommand(_FORGET)
