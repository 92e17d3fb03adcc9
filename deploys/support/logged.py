"""Long commands: a transient systemd unit on the host, its output in a log file there.

A unit outlives the SSH connection and the controller; a run that finds it still active waits for it instead of starting
a second one. Only the end of a failed log travels back.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import StringCommand

from deploys.knowledge.paths import LEASE, LOG_DIR, RUN_DIR, STATE_DIR, STEP_LOCK, unit_name
from deploys.support.lease import controller, end_lease

TAIL_LINES = 30
# Seconds beyond a step's limit that its clean-up may take before the waiting ends.
GRACE = 180
# Exit status for "somebody is at work" (EX_TEMPFAIL).
BUSY = 75


def logged_unit(step: str, script: str, limit: int, *, may_stop: bool = True) -> Generator[StringCommand, None, None]:
    """Run `script` (sh) as the unit of `step`, for at most `limit` seconds; fails with the tail of its log.

    With `may_stop` False the unit is never killed: dpkg must not be cut off. At the limit only the waiting ends.
    """
    # The waiting ends on the host; this ends it where the host itself has stopped to answer.
    command = start_command(step, limit, may_stop=may_stop)
    yield StringCommand(command, _stdin=script, _timeout=limit + 2 * GRACE)


def start_command(step: str, limit: int, *, may_stop: bool = True) -> str:
    """The shell command: start the unit unless it runs already, wait, and give its exit status.

    One step at a time on a host, whoever started it: the unit holds a lock.
    """
    name, log, base = unit_name(step), f"{LOG_DIR}/{step}.log", f"{RUN_DIR}/{step}"
    # Temporary files of a step go with it, also when it is killed.
    bounds = "--property=KillMode=control-group --property=TimeoutStopSec=120 --property=PrivateTmp=yes"
    # A step that may be stopped at any moment keeps its mounts to itself, so that none can stay behind.
    stop = f"--property=RuntimeMaxSec={limit} --property=PrivateMounts=yes " if may_stop else ""
    return "\n".join(
        [
            f"umask 077; mkdir -p -m 755 {LOG_DIR} && mkdir -p -m 700 {RUN_DIR} {STATE_DIR} || exit 1",
            is_working(step),
            "if working; then cat >/dev/null; else",
            f"systemctl reset-failed {name} 2>/dev/null",
            # Those of steps that were killed, which those who started them do not wait for any more.
            f'for script in {base}.*.sh; do pid=${{script%.sh}}; kill -0 "${{pid##*.}}" 2>/dev/null || rm -f "$script"; done',
            f"script={base}.$$.sh; rm -f {base}.rc; {{ printf '%s\\n' {shlex.quote(_head(step, log, base))}; cat; }} >$script || exit 1",
            # systemd forgets a transient unit some time after its end, and takes no new one of that name before; or somebody was faster.
            f"tries=0; until said=$(systemd-run --quiet --collect --unit={name} {bounds} {stop}/bin/sh $script 2>&1) || working; do",
            'tries=$((tries + 1)); [ $tries -lt 300 ] || { echo "$said" >&2; rm -f $script; exit 1; }; sleep 0.2',
            # Where a process of it was still dying at that moment, it forgets it only after another job, such as a stop of what has stopped.
            f"[ $((tries % 25)) != 24 ] || working || systemctl stop {name}",
            "done",
            "fi",
            f"end=$(($(date +%s) + {limit + GRACE}))",
            "while working; do",
            f"[ $(date +%s) -lt $end ] || {{ echo 'still at work: run again to wait for it' >&2; exit {BUSY}; }}",
            # Somebody waits for it: the run that it belongs to is alive.
            f"touch -c {LEASE}; sleep 1",
            "done",
            # systemd keeps a unit that it calls failed as long as a process of it is still dying: nothing of ours may count as failed on the host.
            f"if systemctl -q is-failed {name}; then systemctl show {name} -p Result -p ExecMainStatus >>{log}; systemctl reset-failed {name}; fi",
            f"rc=$(cat {base}.rc 2>/dev/null || echo 124)",
            f'if [ $rc != 0 ]; then {_tail(log)}; echo "exit status $rc; the whole log is on the host: {log}" >&2; {end_lease()}; fi',
            "exit $rc",
        ]
    )


def _head(step: str, log: str, base: str) -> str:
    """The first lines of a step's script: it starts itself again under the lock, with its output in the log.

    They are in the script and not in the unit, because systemd expands `$` in the words of a unit. The outer shell
    outlives a stop: once the main process of a unit has ended, systemd sends its other processes a second SIGTERM, and
    that one would end the commands of a clean-up.
    """
    return "\n".join(
        [
            'if [ "${GPU_HOST_LOCKED-}" != 1 ]; then',
            f"    exec 9>>{STEP_LOCK}; rc={BUSY}; stopped=",
            "    if flock -n 9; then",
            f"        echo {shlex.quote(f'{controller()}, step {step}')} since $(date -u +%H:%M:%S) UTC >{STEP_LOCK}",
            "        trap 'stopped=124' TERM",
            f'        GPU_HOST_LOCKED=1 /bin/sh "$0" >{log} 2>&1 </dev/null; rc=$?',
            "    else",
            f'        echo "@@ refused: another run is at work on this host: $(cat {STEP_LOCK}); look: systemctl list-units gpu-host-*; wait for it, then run again" >>{log}',
            "    fi",
            '    rm -f "$0"',
            f"    # Not the status of the unit: a failed unit would stay behind on the host.\n    echo ${{stopped:-$rc}} >{base}.rc; exit 0",
            "fi",
        ]
    )


def is_working(step: str) -> str:
    """A shell function that tells whether the unit of `step` is at work; one that is being stopped still is.

    On a host under load systemd may give no answer for a while: that is no "no".
    """
    ask = f"systemctl show -p ActiveState --value {unit_name(step)} 2>/dev/null"
    return f"working() {{ for look in 1 2 3 4 5; do case $({ask}) in inactive | failed) return 1 ;; ?*) return 0 ;; esac; sleep 1; done; }}"


def wait_command(step: str, limit: int) -> str:
    """Wait, at most `limit` seconds, until the unit of `step` has ended. Reads only."""
    return f"{is_working(step)}; end=$(($(date +%s) + {limit})); while working && [ $(date +%s) -lt $end ]; do sleep 1; done"


def _tail(log: str) -> str:
    return f"tail -n {TAIL_LINES} {log} | LC_ALL=C tr -cd '\\11\\12\\40-\\176' >&2"
