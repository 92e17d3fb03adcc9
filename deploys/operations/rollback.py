"""Back to the set that was proven, by the same road as forth: rehearsed, one transaction, exact versions."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Generator
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import GIVEN_UP, STATE_DIR
from deploys.operations.needed import is_under_way
from deploys.operations.packages import going_back
from deploys.plan.machine import Machine
from deploys.plan.rollback import GoingBack, describe_way_back, unrelated, way_back
from deploys.plan.settings_proxy import Proxy
from deploys.support.context import is_executing, this_host
from deploys.support.guard import guarded, log_error, refuse_host
from deploys.support.lease import release
from deploys.support.logged import logged_unit
from deploys.support.outcome import current
from deploys.support.run import say
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def _wanted(asked: GoingBack | None, now: Machine) -> GoingBack | None:
    """What a person asked for; else the way back of a host whose proof has just failed, and None for all others."""
    if asked is not None:
        return asked
    if not is_executing() or current().state != "not-ready":
        return None
    back = way_back(now, now.proven)
    return None if back.why_not or unrelated(back, current().steps) else back


def may_be_needed() -> bool:
    """Could the current host go back if its proof failed? Not where nothing of it would move, and nothing has been queued that makes a difference."""
    now = machine()
    return is_under_way() or not way_back(now, now.proven).why_not


def has_gone_back(*, asked: bool) -> Callable[[], bool]:
    """For `_if`: were packages put back in this run? The steps after that are nobody else's."""
    return lambda: asked or current().state == "rolled-back"


@operation()
@guarded
@changing
def rehearsed(limit: int, asked: GoingBack | None = None, proxy: Proxy | None = None) -> Commands:
    """The way back has been rehearsed in an overlay, kernel module included; its failure leaves the host as it is.

    + limit: seconds
    + asked: the way back that a person asked for; None: a host goes back when its proof has failed
    + proxy: the way to packages that were not kept
    """
    now = machine()
    back = _wanted(asked, now)
    if back is None:
        this_host().noop("nothing to go back from")
        return
    if asked is None:
        say("\n" + describe_way_back(back, this_host().name))
    yield from logged_unit("rehearsal", going_back(back, "rehearse", now, proxy), limit)


@operation()
@guarded
@changing
def installed(limit: int, asked: GoingBack | None = None, proxy: Proxy | None = None) -> Commands:
    """The packages of the proven set are installed. A set that was given up is written down before, and is not given up a second time.

    + limit: seconds
    + asked: the way back that a person asked for; None: a host goes back when its proof has failed
    + proxy: the way to packages that were not kept
    """
    now = machine()
    back = _wanted(asked, now)
    if back is None:
        this_host().noop("nothing to go back from")
        if is_executing() and current().state == "not-ready":
            # Somebody has begun to use it since the rehearsal: it stays as it is, and is not ready.
            release()
            refuse_host()
        return
    if asked is None:
        line = f"{back.identity} {time.strftime('%Y-%m-%d', time.gmtime())} {back.failed}"
        yield StringCommand(f"mkdir -p -m 700 {STATE_DIR} && echo {shlex.quote(line)} >>{GIVEN_UP} && sync {GIVEN_UP}")
    yield from logged_unit("rollback", going_back(back, "install", now, proxy), limit, may_stop=False)
    if asked is None:
        outcome = current()
        outcome.state = "rolled-back"
        outcome.detail = f"{back.failed} failed its proof ({outcome.detail}) and was given up for {back.to}"


@operation()
@guarded
def settled() -> Commands:
    """A host that went back is no host that is as wanted: the run has failed for it, though it works."""
    if is_executing() and current().state == "rolled-back":
        log_error(f"rolled-back: {current().detail}")
        release()
        refuse_host()
    yield from ()
