"""One run at a time on a host, from its first change to its end: a small record there, renewed by every step.

The record names the run, its controller and its step. It ends by itself when no sign of life comes, at once when the
run lets go, and for a run on the same machine also when that process is gone. Its identity is what a plan was made on: when
another run has worked on the host since it was looked at, the first step of this one is refused.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import secrets
import shlex
import socket
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyinfra.api.command import StringCommand

from deploys.knowledge.paths import LEASE, LEASE_SECONDS, LONG_STEPS, RUN_DIR, unit_name
from deploys.plan.lease import LOOK, Lease
from deploys.plan.machine import Machine
from deploys.support.context import is_executing, this_host, this_state

RUN = secrets.token_hex(8)
LIMIT = 60

# By host: what a plan was made on ("BOOT_ID RUN"), a run that is provably gone ("" none), and who holds the lease now.
_SEEN: dict[str, str] = {}
_GONE: dict[str, str] = {}
_HELD: set[str] = set()


class LeaseError(Exception):
    """Another run works on this host, or has done so since this one looked at it. `begun`: this run has changed something already."""

    def __init__(self, text: str, *, begun: bool) -> None:
        super().__init__(text)
        self.begun = begun


def controller() -> str:
    """Who runs this: "user@machine", without anything that a terminal or a shell would interpret."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in the database, as in many containers
        user = f"uid-{os.getuid()}"
    return re.sub(r"[^\w.@-]", "_", f"{user}@{socket.gethostname()}", flags=re.ASCII)[:100]


def place() -> str:
    """Where process ids mean the same as here: this boot of this machine, and this namespace of process ids."""
    parts = [socket.gethostname(), str(uuid.getnode())]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def is_gone(lease: Lease) -> bool:
    """Is the run provably over, because its process was here and is no more?"""
    if lease.pid is None or lease.place != place():
        return False
    try:
        os.kill(lease.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def seen(machine: Machine) -> Machine:
    """Remember what the plan of the current host will be made on; in the record, a run that is gone holds nothing."""
    name, boot = this_host().name, machine.boot
    lease = boot.lease
    _SEEN[name] = f"{boot.boot_id or ''} {lease.run if lease else ''}"
    _GONE[name] = lease.run if lease and is_gone(lease) else ""
    if lease is None or not _GONE[name]:
        return machine
    return replace(machine, boot=replace(boot, lease=replace(lease, left=0)))


def hold() -> None:
    """Take or renew the lease of the current host. Raises `LeaseError` when it is not this run's to take."""
    if not is_executing():
        return
    host = this_host()
    done, output = _send(_take(host.name, _step(host)))
    if not done:
        why = output.stderr.strip()[-600:] or "the record of who works on this host could not be written"
        raise LeaseError(why, begun=host.name in _HELD)
    _HELD.add(host.name)


def release() -> None:
    """Let go of the current host, where this run holds it."""
    name = this_host().name
    if is_executing() and name in _HELD:
        _HELD.discard(name)
        _SEEN.pop(name, None)
        _send(f'if [ "$(sed -n "s/^run //p" {LEASE} 2>/dev/null)" = {RUN} ]; then {end_lease()}; fi')


def end_lease() -> str:
    """Shell: the lease of this host has ended."""
    return f"[ ! -e {LEASE} ] || echo ended >>{LEASE}"


def _send(script: str) -> tuple[bool, Any]:
    host = this_host()
    arguments: dict[str, Any] = dict(host.current_op_global_arguments or {})
    sudo = {k: v for k, v in arguments.items() if k in ("_sudo", "_sudo_user", "_sudo_password")}
    return host.run_shell_command(StringCommand("sh -s"), _stdin=script, _timeout=LIMIT, **sudo)


def _step(host: Any) -> str:
    """The name of the operation that runs now."""
    state = this_state()
    names = state.get_op_meta(host.current_op_hash).names if state is not None and host.current_op_hash else ()
    return re.sub(r"[^ -~]", "?", ", ".join(sorted(names)))[:100]


def _take(name: str, step: str) -> str:
    """Shell that takes or renews the lease, or says on standard error why not.

    A lease is alive while its file is young (a step that waits for its unit touches it) or a unit of ours is at work.
    """
    units = " ".join(unit_name(s) for s in LONG_STEPS)
    record = f"run {RUN}\nwho {controller()}\npid {os.getpid()}\nplace {place()}\nsince $since\nstep {{}}\n"
    return f"""
umask 077; mkdir -p -m 700 {RUN_DIR} && exec 8>>{LEASE}.lock && flock -w 20 8 || exit 1
field() {{ sed -n "s/^$1 //p" {LEASE} 2>/dev/null | head -n 1 | LC_ALL=C tr -cd '\\40-\\176'; }}
there=$(field run) since=$(date +%s)
words() {{ printf '%s (pid %s) since %s UTC, step "%s"' "$(field who)" "$(field pid)" "$(date -u -d "@$(field since)" +%H:%M:%S 2>/dev/null)" "$(field step)"; }}
if [ "$there" = {RUN} ]; then since=$(field since)
else
    age=$(($(date +%s) - $(stat -c %Y {LEASE} 2>/dev/null || echo 0)))
    if systemctl is-active --quiet {units}; then alive=1
    elif [ -z "$there" ] || [ "$there" = {shlex.quote(_GONE.get(name, ""))} ] || grep -qx ended {LEASE}; then alive=
    else alive=; [ $age -lt 0 ] || [ $age -ge {LEASE_SECONDS} ] || alive=1; fi
    if [ -n "$alive" ]; then
        echo "$(words) is at work on this host; look: {LOOK}" >&2; exit 75
    fi
    seen={shlex.quote("" if name in _HELD else _SEEN.get(name, ""))}
    now="$(cat /proc/sys/kernel/random/boot_id) $there"
    if [ -n "$seen" ] && [ "$seen" != "$now" ]; then
        if [ -n "$there" ]; then by=$(words); else by='it was rebooted'; fi
        echo "the host has changed since this run looked at it ($by): run again" >&2; exit 75
    fi
    if [ {int(name in _HELD)} = 1 ] && [ -n "$there" ]; then
        echo "$(words) has worked on this host since the last step of this run: run again" >&2; exit 75
    fi
fi
cat >{LEASE}.new <<END
{record.format(step.replace("$", "").replace("`", "").replace(chr(92), ""))}END
mv -f {LEASE}.new {LEASE}
"""
