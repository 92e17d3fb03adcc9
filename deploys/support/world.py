"""The record of each host during a run: read once, kept until an operation has changed something.

pyinfra has no fact cache: each fact is a round trip. A converged host thus costs one probe.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ParamSpec

from deploys.plan.machine import Machine
from deploys.support.context import is_executing, this_host, this_state
from facts.probe import Probe

P = ParamSpec("P")
Commands = Generator[Any, None, None]

# Seconds; each section has its own limit on the host, so this ends only what hangs in spite of them.
PROBE_LIMIT = 600

# Keyed by host name: modules are imported once and shared by all hosts of a run.
_MACHINES: dict[str, Machine] = {}


class UnreadableHostError(Exception):
    """The probe of this host gave nothing; pyinfra has already failed the host and said why."""


def machine() -> Machine:
    """The record of the current host; probes when there is none or it is stale. Raises `UnreadableHostError`."""
    host = this_host()
    known = _MACHINES.get(host.name)
    if known is None:
        known = host.get_fact(Probe, _timeout=PROBE_LIMIT)
        state = this_state()
        if state is not None and host in state.failed_hosts:
            raise UnreadableHostError(f"the probe of {host.name} gave no answer")
        _MACHINES[host.name] = known
    return known


def forget() -> None:
    """Make the record of the current host stale."""
    _MACHINES.pop(this_host().name, None)


def changing(generator: Callable[P, Commands]) -> Callable[P, Commands]:
    """Under `@operation()`: the record is stale as soon as one of the operation's commands has run."""

    @wraps(generator)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Commands:
        for command in generator(*args, **kwargs):
            try:
                yield command
            except GeneratorExit:
                # Changes were only detected, or the command failed: in the second case something may have changed.
                if is_executing():
                    forget()
                raise
            forget()

    return inner
