"""Docker's configuration: our runtime merged into daemon.json, taken over by a reload, never by a restart."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import DAEMON_JSON
from deploys.operations.files import write
from deploys.plan import daemon_json
from deploys.plan.files import KEEP, FileChange
from deploys.plan.machine import Machine
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def _text(now: Machine) -> str | None:
    """Text of daemon.json, None when absent. Raises `DaemonJsonError` when that cannot be told."""
    if now.docker.daemon_json_exists is None:
        raise daemon_json.DaemonJsonError(f"whether {DAEMON_JSON} exists could not be read")
    if not now.docker.daemon_json_exists:
        return None
    file = now.docker.daemon_json
    if file is None or file.content is None:
        raise daemon_json.DaemonJsonError(f"{DAEMON_JSON} exists and cannot be read as text")
    return file.content


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
    known = daemon_json.RUNTIME in now.docker.runtimes
    merged = None if daemon_json.registered(now.docker) else daemon_json.merge(_text(now))
    if merged is None and (known or not now.docker.engine):
        this_host().noop("the NVIDIA runtime is registered")
        return
    if merged is not None:
        yield write(FileChange(DAEMON_JSON, merged, "the NVIDIA runtime", KEEP))
    if now.docker.engine:
        # Runtimes are among the keys that dockerd takes over on a reload; containers go on running.
        yield StringCommand("systemctl reload docker.service")
