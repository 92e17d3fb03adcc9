"""Docker's configuration: our part merged into daemon.json, taken over by a reload, or by a restart that ends no container."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import DAEMON_JSON, STATE_DIR
from deploys.operations.files import note_edits, write
from deploys.operations.needed import note
from deploys.plan import daemon_json
from deploys.plan.daemon_json import Wanted
from deploys.plan.edits import json_edits
from deploys.plan.files import KEEP, FileChange
from deploys.plan.machine import Machine
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]

BACKUP = f"{STATE_DIR}/daemon.json"
UP_LIMIT = 120

# dockerd of 23.0 and newer judges a file without starting. What it finds in the file that is there already is not ours to mend.
_JUDGE = """if dockerd --help 2>/dev/null | grep -q -e --validate; then
said=$(dockerd --validate --config-file "$n" 2>&1) || { echo "dockerd does not take the new $f, so it stays as it was: $said" >&2; false; }; fi"""
_SAVE = f"""mkdir -p -m 700 {STATE_DIR} && rm -f {BACKUP}.none && if [ -e "$f" ]; then cp -p "$f" {BACKUP}; else rm -f {BACKUP}; : >{BACKUP}.none; fi && sha256sum <"$n" >{BACKUP}.sum"""
_FORGET = f"rm -f {BACKUP} {BACKUP}.none {BACKUP}.sum; rmdir {STATE_DIR} 2>/dev/null || :"
_UP = f"timeout {UP_LIMIT} sh -c 'until docker -H unix:///var/run/docker.sock info >/dev/null 2>&1; do systemctl is-failed --quiet docker.service && exit 1; sleep 1; done'"


def take_over(verb: str, *, keep: bool = False, before: str = "") -> StringCommand:
    """`systemctl VERB docker.service`; when dockerd is not up then, the file from before our change is put back, if nobody has changed it since.

    A dockerd that still runs is never restarted for that. `keep`: a start is still to come, so the file from before is kept for it.
    `before`: shell that comes first.
    """
    fresh = "systemctl reset-failed docker.service 2>/dev/null"
    return StringCommand(
        "\n".join(
            [
                f"f={DAEMON_JSON}; n=$f.gpu-host-new; back=",
                f"up() {{ {_UP}; }}",
                f"{before}{fresh}; systemctl {verb} docker.service && up && {{ {':' if keep else _FORGET}; exit 0; }}",
                "journalctl -u docker.service -n 10 --no-pager -q -o cat >&2",
                f'if [ -e "$f" ] && [ "$(sha256sum <"$f")" = "$(cat {BACKUP}.sum 2>/dev/null)" ]; then',
                f'    if [ -e {BACKUP} ]; then cp -p {BACKUP} "$n" && mv -f "$n" "$f" && back=1; elif [ -e {BACKUP}.none ]; then rm -f "$f" && back=1; fi',
                "fi",
                '[ -z "$back" ] || echo "dockerd did not come up with our keys in $f: the file from before is back" >&2',
                "if systemctl is-active --quiet docker.service; then",
                f'    [ -z "$back" ] || {{ systemctl reload docker.service; {_FORGET}; }}',
                f"    echo 'systemctl {verb} docker.service did not do; dockerd runs as before' >&2; exit 1",
                "fi",
                f"{fresh}; if systemctl restart docker.service && up; then {_FORGET}; echo 'dockerd is up' >&2",
                "else echo 'dockerd does not come up: journalctl -u docker.service' >&2; fi; exit 1",
            ]
        )
    )


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
def configured(wanted: Wanted) -> Commands:
    """daemon.json holds our part, and a running engine knows it. Foreign keys stay as they are, and no container is ended.

    + wanted: what of it is wanted
    """
    now = machine()
    merged = None
    if not daemon_json.registered(now.docker, wanted):
        merged = daemon_json.merge(_text(now), daemon_json.in_file(now.docker, wanted))
    if merged is not None:
        # Where no Docker is installed yet, nothing has ever come up with the file from before.
        save = f"{_JUDGE} && {_SAVE}" if now.docker.client else ":"
        yield note_edits(json_edits(DAEMON_JSON, _text(now), merged))
        yield write(FileChange(DAEMON_JSON, merged, "Docker's configuration", KEEP), save)
    way = daemon_json.takeover(now.docker, wanted, written=merged is not None)
    if way == "reload":
        start = daemon_json.needs_start(now.docker, wanted)
        yield take_over("reload", keep=start)
        # live-restore is taken over by now, and decides whether a start ends containers.
        way = daemon_json.takeover(machine().docker, wanted, written=False) if start else way
    if way == "restart":
        yield take_over("restart")
    elif way == "pending":
        note(pending(now))
    elif merged is None and way == "":
        this_host().noop("Docker is configured as wanted")


def pending(now: Machine) -> str:
    """Why dockerd is not restarted now."""
    what = "knows --gpus" if now.docker.hook_late else "reads CDI specifications"
    return (
        f"restart-pending: dockerd {what} from its next start on; {now.docker.running} containers run, "
        "and without live-restore a restart would end them"
    )
