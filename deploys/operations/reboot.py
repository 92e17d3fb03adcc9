"""Reboot by state: decided from the host as it is now, never from what this run happened to change."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import KERNEL_GATE, REBOOT_RECORD, STATE_DIR
from deploys.operations.files import write
from deploys.operations.needed import note
from deploys.plan.files import FileChange
from deploys.plan.kernel_gate import obstacle, wants_trial
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
def rebooted_when_needed(
    allowed: bool, timeout: int, consent: bool = False, new_kernel: bool = False, untried: bool = False
) -> Commands:
    """The host has been rebooted if its state asks for it, and has come back with another boot identity. At most once per cause.

    The machine that runs this is never rebooted here: verification then says `reboot-pending`.

    + allowed: whether the settings allow a reboot
    + consent: whether somebody's work on the GPUs may end by it
    + timeout: seconds until the host must be back
    + new_kernel: whether a newer kernel that is fit is a reason
    + untried: whether even a kernel is booted that the boot loader cannot start once
    """
    host = this_host()
    now = machine()
    reasons = "; ".join(reboot_reasons(now, new_kernel=new_kernel))
    if not reasons and now.boot.rebooted_for:
        yield StringCommand(_FORGET)
    elif not reasons:
        host.noop("no reboot needed")
    elif why := _put_off(now, allowed=allowed, consent=consent, new_kernel=new_kernel, untried=untried):
        note(f"reboot needed ({reasons}){why}")
    else:
        note(f"reboot: {reasons}")
        yield from _reboot(now, reasons, timeout)
        if not is_local(host) and not reboot_reasons(machine(), new_kernel=new_kernel):
            yield StringCommand(_FORGET)


def _put_off(now: Machine, *, allowed: bool, consent: bool, new_kernel: bool, untried: bool) -> str:
    """Why a reboot that is needed does not come now, as the rest of a sentence ("" it comes)."""
    if rebooted_in_vain(now, new_kernel=new_kernel):
        return f", and one for this very cause has not helped: not again; to try once more: rm {REBOOT_RECORD}"
    if is_local(this_host()) and not reboots_itself():
        return ": reboot this machine, then run again"
    if not allowed:
        return ', not allowed by gpu_reboot = "never"'
    if (users := busy(now)) and not consent:
        return f", put off: the GPUs are in use by {users}"
    return f", not done: {trouble}" if (trouble := obstacle(now)) and not untried else ""


def _reboot(now: Machine, reasons: str, timeout: int) -> Commands:
    """Once into a new kernel, with the running one as the default to come back to; else into what is the default."""
    arguments: dict[str, Any] = dict(this_host().current_op_global_arguments or {})
    sudo = {key: value for key, value in arguments.items() if key in ("_sudo", "_sudo_user", "_sudo_password")}
    record = f"{now.boot.boot_id or ''}\n{reasons}\n"
    yield write(FileChange(REBOOT_RECORD, record, "why this host is rebooted", "600"))
    trial = wants_trial(now) if now.kernels.loader.one_shot else ""
    if trial:
        note(
            f"kernel {trial} is started once; {now.kernels.running} stays the default until the host is proven under it"
        )
        yield StringCommand(f"sh {KERNEL_GATE} trial {shlex.quote(trial)} >/dev/null")
    if is_local(this_host()):
        # The record of this boot is what `./provision pull` looks for once the run has ended.
        return
    expected = trial or now.kernels.default or ""
    yield FunctionCommand(reboot_host, (), {"timeout": float(timeout), "sudo": sudo, "kernel": expected})
