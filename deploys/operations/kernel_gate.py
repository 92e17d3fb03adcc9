"""The default kernel: held at one that can drive the GPUs while the newest cannot, let go when it can."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.managers import manager
from deploys.knowledge.paths import KERNEL_GATE
from deploys.operations.files import write
from deploys.operations.needed import is_asked, note
from deploys.plan.files import FileChange, digest
from deploys.plan.kernel_gate import gate, kept_kernel, never_tried, on_trial
from deploys.plan.kernel_gate_files import gate_files
from deploys.support.context import is_executing, reboots_itself, this_host
from deploys.support.guard import guarded, log_error
from deploys.support.outcome import current
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


@operation()
@guarded
@changing
def default_kernel_fit(rebooted: bool = False, proven: bool = False) -> Commands:
    """The next boot starts a kernel that is fit, and the distribution's own choice stands wherever it is.

    + rebooted: the run has passed its reboot
    + proven: it has passed its proof too, which ends the trial of the kernel that runs
    """
    host, now = this_host(), machine()
    if rebooted and reboots_itself() and never_tried(now):
        host.noop("a kernel is on trial, and the reboot into it comes when this run has ended")
        return
    if proven and not is_asked() and current().state != "ready":
        host.noop("not proven")
        return
    found, over = gate(now), never_tried(now) or (proven and on_trial(now))
    if not gate_files(now) or not now.kernels.natural:
        host.noop("no boot loader that is known, or one kernel only")
        return
    if not over and found.pin == now.kernels.loader.pinned and now.kernels.default in (found.pin, now.kernels.natural):
        host.noop(found.why)
        return
    note(f"default kernel: {'the trial is over' if over else found.why}")
    yield StringCommand(f"sh {KERNEL_GATE} {'settle' if over else 'apply'} >/dev/null")
    after = machine()
    wanted = gate(after).pin or after.kernels.natural
    if is_executing() and after.kernels.default != wanted:
        log_error(
            f"the boot loader starts {after.kernels.default or 'an unknown kernel'} next, and not {wanted}: "
            f"look into /var/log/gpu-host/kernel-gate.log on the host, then run: sh {KERNEL_GATE} apply"
        )
        yield StringCommand("false")


@operation()
@guarded
@changing
def proven_kernel_kept() -> Commands:
    """A kernel under which the whole proof held stays installed while it is not the newest."""
    host, now = this_host(), machine()
    running = now.kernels.running
    if (not is_asked() and current().state != "ready") or not running or not now.kernels.loader.kind:
        return
    path, text = kept_kernel(manager(now.packages.manager).keep_kernel, now)
    state = now.files.get(path)
    there = state.sha256 if state else ""
    if path and text and there != digest(text):
        yield write(FileChange(path, text, "the proven kernel stays installed"))
    elif path and not text and there:
        yield StringCommand(f"rm -f {shlex.quote(path)}")
    else:
        host.noop(f"nothing would remove {running}")
