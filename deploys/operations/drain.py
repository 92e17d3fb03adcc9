"""The work of a host moved away before its driver or kernel changes, and called back once the host is proven."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import DRAIN_RECORD, STATE_DIR
from deploys.plan.machine import Machine
from deploys.plan.plan import Plan
from deploys.plan.reboot import busy, comes
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


class StillBusyError(Exception):
    """Somebody uses the GPUs although the host was drained."""


def is_disturbing(plan: Plan, now: Machine) -> bool:
    """Will the driver change, or the host reboot?"""
    return plan.moves_driver(now.packages) or (plan.reboot.allowed and comes(now, plan.reboot))


def _run(command: str, timeout: int) -> str:
    """The command under its limit; its words are shown when it fails."""
    said = shlex.quote(f"this command failed, or did not end within {timeout} s: {command}")
    return f"timeout -k 10 {timeout} sh -c {shlex.quote(command)} >&2 || {{ echo {said} >&2; exit 1; }}"


@operation()
@guarded
@changing
def drained(plan: Plan, drain: str | None, undrain: str | None, timeout: int) -> Commands:
    """Nobody uses the GPUs of a host whose driver is about to change; a host that stays busy gets its work back and is left alone.

    + plan: what will be done to the host
    + drain: shell command, None where the work of the host is nobody's business
    + undrain: the command that calls it back
    + timeout: seconds for each of them
    """
    now = machine()
    if not drain or not undrain or not is_disturbing(plan, now):
        this_host().noop("nothing to drain")
        return
    if not now.boot.drained:
        yield StringCommand(
            f"mkdir -p -m 700 {STATE_DIR} && : >{DRAIN_RECORD} && ( {_run(drain, timeout)} ) || {{ {_FORGET}; exit 1; }}"
        )
    # Also where an earlier run has drained it: work may have come back since.
    users = busy(machine())
    if users:
        yield StringCommand(f"{_run(undrain, timeout)}; {_FORGET}")
        raise StillBusyError(
            f"drained, and the GPUs are still in use by {users}: called its work back, the driver stays as it is"
        )


_FORGET = f"rm -f {DRAIN_RECORD}; rmdir {STATE_DIR} 2>/dev/null || :"


@operation()
@guarded
@changing
def undrained(undrain: str | None, timeout: int) -> Commands:
    """The work of a host that is ready again is called back.

    + undrain: shell command
    + timeout: seconds that it may take
    """
    if not machine().boot.drained or not undrain:
        this_host().noop("not drained")
        return
    yield StringCommand(f"{_run(undrain, timeout)}; {_FORGET}")
