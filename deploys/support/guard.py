"""One host's trouble stays that host's: pyinfra stops the whole fleet at an exception, so none may reach it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ParamSpec

from pyinfra import logger
from pyinfra.api.command import StringCommand

from deploys.support.context import is_executing, this_host, this_state
from deploys.support.lease import LeaseError, hold
from deploys.support.outcome import current

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
    """Under `@operation()`: an exception in an operation's body becomes a failed operation of this host.

    Whoever is about to change something holds the lease of the host first.
    """

    @wraps(generator)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Commands:
        held = False
        try:
            for command in generator(*args, **kwargs):
                if is_executing() and not held:
                    hold()
                    held = True
                yield command
        except LeaseError as error:
            log_error(str(error))
            current().state, current().detail = "failed" if error.begun else "refused", str(error)
            yield StringCommand("false")
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach pyinfra
            log_error(f"{generator.__name__}: {type(error).__name__}: {error}")
            # With a limit: the host may be one that answers nothing any more.
            yield StringCommand("false", _timeout=FALSE_LIMIT)

    return inner
