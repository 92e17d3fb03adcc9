"""The host and the run that pyinfra is working on at this moment: the real objects, not its proxies."""

from __future__ import annotations

import os
from typing import cast

from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host, ctx_state


def this_host() -> Host:
    """The host whose deploy code or operation runs now."""
    return cast("Host", ctx_host.get())  # type: ignore[no-untyped-call]


def this_state() -> State | None:
    """The run of this process; None before pyinfra has set it up."""
    return cast("State | None", ctx_state.get())  # type: ignore[no-untyped-call]


def is_executing() -> bool:
    """False while pyinfra only detects changes."""
    state = this_state()
    return state is not None and bool(state.is_executing)


def is_local(host: Host) -> bool:
    """True for the machine that this very process runs on."""
    return type(host.connector).__name__ == "LocalConnector"


def is_recording(host: Host) -> bool:
    """True for a host of the lab: it has answers to the probe and to nothing else."""
    return type(host.connector).__name__ == "FakeConnector"


def reboots_itself() -> bool:
    """True in pull mode: the machine that runs this reboots when its run has ended (support/pull.py)."""
    return "GPU_HOST_PULL" in os.environ
