"""Long commands: a transient systemd unit on the host, its output in a log file there.

A unit outlives the SSH connection and the controller; a run that finds it still active waits for it instead of starting
a second one. Only the end of a failed log travels back.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import StringCommand

from deploys.knowledge.paths import LOG_DIR, STATE_DIR

TAIL_LINES = 30


def unit_name(step: str) -> str:
    """Name of the transient unit of a step."""
    return f"gpu-host-{step}.service"


def logged_unit(step: str, script: str, limit: int) -> Generator[StringCommand, None, None]:
    """Run `script` (sh) as the unit of `step`, for at most `limit` seconds; fails with the tail of its log."""
    yield StringCommand(start_command(step, limit), _stdin=script)


def start_command(step: str, limit: int) -> str:
    """The shell command: start the unit unless it runs already, wait, and give its exit status."""
    name, log, base = unit_name(step), f"{LOG_DIR}/{step}.log", f"{STATE_DIR}/{step}"
    body = f"/bin/sh {base}.sh >{log} 2>&1 </dev/null; echo $? >{base}.rc"
    bounds = f"--property=RuntimeMaxSec={limit} --property=KillMode=control-group --property=TimeoutStopSec=60"
    return "\n".join(
        [
            f"umask 077; mkdir -p -m 755 {LOG_DIR} && mkdir -p -m 700 {STATE_DIR} || exit 1",
            f"if systemctl is-active --quiet {name}; then cat >/dev/null; else",
            f"rm -f {base}.rc; cat >{base}.sh || exit 1; systemctl reset-failed {name} 2>/dev/null",
            f"systemd-run --quiet --collect --unit={name} {bounds} /bin/sh -c {shlex.quote(body)} || exit 1",
            "fi",
            wait_command(step),
        ]
    )


def wait_command(step: str) -> str:
    """Wait until the unit of `step` has ended; exit with the status that its script left."""
    name, log, base = unit_name(step), f"{LOG_DIR}/{step}.log", f"{STATE_DIR}/{step}"
    tail = f"tail -n {TAIL_LINES} {log} | LC_ALL=C tr -cd '\\11\\12\\40-\\176' >&2"
    return "\n".join(
        [
            f"while systemctl is-active --quiet {name}; do sleep 1; done",
            f"rc=$(cat {base}.rc 2>/dev/null || echo 124)",
            f"rm -f {base}.rc {base}.sh",
            f'if [ "$rc" != 0 ]; then {tail}; echo "exit status $rc; the whole log is on the host: {log}" >&2; fi',
            'exit "$rc"',
        ]
    )
