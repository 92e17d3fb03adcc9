"""The record of each host during a run: read once, kept until an operation has changed something.

pyinfra has no fact cache: each fact is a round trip. A converged host thus costs one probe.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pyinfra.api import FactBase

from deploys.plan.machine import Machine
from deploys.plan.settings import Settings
from deploys.support import quick  # noqa: F401 - before the facts
from deploys.support.contain import trouble
from deploys.support.context import is_executing, this_host, this_state
from facts.probe import Probe

P = ParamSpec("P")
Commands = Generator[Any, None, None]

# Seconds for reads other than the probe; each section has its own limit on the host, so this ends only what hangs in spite of them.
PROBE_LIMIT = 600

# Keyed by host name: modules are imported once and shared by all hosts of a run.
_MACHINES: dict[str, Machine] = {}
# Seconds that the probe of a host may take.
_LIMITS: dict[str, int] = {}

F = TypeVar("F")


class UnreadableHostError(Exception):
    """A question to this host got no answer; pyinfra has already failed the host."""


def limit_probe(seconds: int) -> None:
    """How long the probe of the current host may take."""
    _LIMITS[this_host().name] = seconds


def ask(fact: type[FactBase[F]], *, limit: int = PROBE_LIMIT, **arguments: Any) -> F:
    """A fact of the current host, within `limit` seconds. Raises `UnreadableHostError`, which says what was in the way."""
    host, state = this_host(), this_state()
    answer = host.get_fact(fact, _timeout=limit, **arguments)
    if state is not None and host in state.failed_hosts:
        raise UnreadableHostError(trouble(host) or f"{fact.__name__} got no answer that can be read")
    return answer


def machine() -> Machine:
    """The record of the current host; probes when there is none or it is stale. Raises `UnreadableHostError`."""
    host = this_host()
    known = _MACHINES.get(host.name)
    if known is None:
        known = ask(Probe, limit=_LIMITS.get(host.name, Settings.probe_timeout))
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
