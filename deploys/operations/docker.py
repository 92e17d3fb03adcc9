"""Docker's configuration: our runtime merged into daemon.json, taken over by a reload, never by a restart."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import DAEMON_JSON
from deploys.operations.files import write
from deploys.plan import daemon_json
from deploys.plan.machine import Machine
from deploys.plan.plan import FileChange
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def _file(now: Machine) -> tuple[str | None, str]:
    """Text of daemon.json (None when absent) and the mode it has or shall have. Raises `DaemonJsonError`."""
    if now.docker.daemon_json_exists is None:
        raise daemon_json.DaemonJsonError(f"whether {DAEMON_JSON} exists could not be read")
    if not now.docker.daemon_json_exists:
        return None, "644"
    file = now.docker.daemon_json
    if file is None or file.content is None:
        raise daemon_json.DaemonJsonError(f"{DAEMON_JSON} exists and cannot be read as text")
    state = now.files.get(DAEMON_JSON)
    return file.content, state.mode if state and state.mode else "644"


@operation()
@guarded
@changing
def runtime_registered(wanted: bool) -> Commands:
    """daemon.json names the NVIDIA runtime, and a running engine knows it. Foreign keys stay as they are.

    + wanted: whether this host gets the container runtime at all
    """
    if not wanted:
        return
    now = machine()
    text, mode = _file(now)
    merged = daemon_json.merge(text)
    if merged is not None:
        yield write(FileChange(DAEMON_JSON, merged, "the NVIDIA runtime", mode))
    running = bool(now.docker.engine)
    if running and (merged is not None or daemon_json.RUNTIME not in now.docker.runtimes):
        # Runtimes are among the keys that dockerd takes over on a reload; containers go on running.
        yield StringCommand("systemctl reload docker.service")
    elif merged is None:
        this_host().noop("the NVIDIA runtime is registered")
