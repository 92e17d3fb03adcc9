"""One host's trouble stays that host's: pyinfra stops the whole fleet at an exception, so none may reach it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ParamSpec

from pyinfra import logger
from pyinfra.api.command import StringCommand

from deploys.support.context import this_host, this_state

P = ParamSpec("P")
Commands = Generator[Any, None, None]
FALSE_LIMIT = 30


def log_error(text: str) -> None:
    """A line about the current host, in red."""
    this_host().log_styled(text, fg="red", log_func=logger.error)


def refuse_host() -> None:
    """Take the current host out of the run; the others go on. The caller returns at once.

    `State.fail_hosts` would ask "continue?" for each host, die where there is no terminal, and raise for the last one:
    a refusal is an answer, not a question.
    """
    state = this_state()
    if state is not None:
        state.failed_hosts.add(this_host())
        state.active_hosts.discard(this_host())


def guarded(generator: Callable[P, Commands]) -> Callable[P, Commands]:
    """Under `@operation()`: an exception in an operation's body becomes a failed operation of this host."""

    @wraps(generator)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Commands:
        try:
            yield from generator(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach pyinfra
            log_error(f"{generator.__name__}: {type(error).__name__}: {error}")
            # With a limit: the host may be one that answers nothing any more.
            yield StringCommand("false", _timeout=FALSE_LIMIT)

    return inner
