"""The end of a run on a host, for other runs to see."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.operation import operation

from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.lease import release

Commands = Generator[Any, None, None]


@operation()
@guarded
def released() -> Commands:
    """Another run may begin. Nothing is sent to a host that this run has not changed."""
    release()
    this_host().noop("nothing more to do")
    yield from ()
