"""A converged host costs no operations: one joins a host's run only where it has something to do, or where one before it had.

pyinfra takes about a millisecond for each operation of each host, whether it does anything or not. Whether it does is asked of the
operation itself, with the record of the host that it will see when its turn comes: nothing before it changes anything.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ParamSpec

from pyinfra.api.operation import PyinfraOperation

from deploys.support.context import this_host

P = ParamSpec("P")

# Hosts on which something is going to be done, by name.
_UNDER_WAY: set[str] = set()
# Hosts of which an operation is asked just now, and what it would say about them.
_ASKED: dict[str, list[str]] = {}


def when_needed(operation: PyinfraOperation[P], name: str, /, *args: P.args, **arguments: P.kwargs) -> None:
    """Queue an operation on the current host, unless neither it nor any before it has something to do or to say."""
    if is_under_way() or _acts(operation._inner(*args, **arguments)):  # noqa: SLF001 - as pyinfra says
        begin_work()
        queue: Any = operation
        queue(*args, name=name, **arguments)


def is_under_way() -> bool:
    """Has an operation been queued that does something?"""
    return this_host().name in _UNDER_WAY


def begin_work() -> None:
    """From now on every operation is queued: nobody knows yet what it will find."""
    _UNDER_WAY.add(this_host().name)


def is_asked() -> bool:
    """Is an operation only asked whether it has something to do, in case that all before it goes well?"""
    return this_host().name in _ASKED


def note(text: str) -> None:
    """A line about the current host, from an operation at work."""
    if is_asked():
        _ASKED[this_host().name].append(text)
    else:
        this_host().log(text)


def _acts(commands: Generator[Any, None, None]) -> bool:
    said = _ASKED[this_host().name] = []
    try:
        acts = next(commands, None) is not None
        commands.close()
    finally:
        del _ASKED[this_host().name]
    return acts or bool(said)
