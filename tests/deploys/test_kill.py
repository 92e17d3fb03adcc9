"""A file of the host, written while the writer is killed at every step: the old one or the new one, never a part."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deploys.knowledge.paths import DAEMON_JSON, STATE_DIR
from deploys.operations import docker
from deploys.operations.files import write
from deploys.operations.packages import SCRIPTS
from deploys.plan.files import KEEP, FileChange

OLD, NEW = '{"old": true}\n', '{"new": true}\n'
PROGRAMS = ("cat", "chmod", "chown", "cp", "dockerd", "grep", "mkdir", "mv", "readlink", "rm", "sync")
# Kills the shell that runs the script: before the COUNTth program (MOMENT before), or after it has done its work.
WRAPPER = """#!/bin/sh
until /usr/bin/mkdir "$COUNTER.lock" 2>/dev/null; do :; done
read -r n <"$COUNTER"; n=$((n + 1)); echo $n >"$COUNTER"
/usr/bin/rmdir "$COUNTER.lock"
[ "$n:$MOMENT" = "$COUNT:before" ] && kill -9 "$PPID" && exit 0
{real} "$@"; code=$?
[ "$n:$MOMENT" = "$COUNT:after" ] && kill -9 "$PPID"
exit $code
"""
# The test is not root; and a dockerd that judges files is not on every machine.
REAL = {"chown": "true", "dockerd": 'sh -c \'[ "$1" != --help ] || echo " --validate"\' dockerd'}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in PROGRAMS:
        program = folder / name
        program.write_text(WRAPPER.replace("{real}", REAL.get(name, f"/usr/bin/{name}")))
        program.chmod(0o755)
    return folder


def run(tmp_path: Path, path: Path, count: int, moment: str) -> subprocess.CompletedProcess[bytes]:
    """The script over an old file, cut off at a step; with 0 it runs to its end."""
    change = FileChange(DAEMON_JSON, NEW, "a test", KEEP)
    command = write(change, f"{docker._JUDGE} && {docker._SAVE}")
    text = (
        command.get_raw_value().replace(STATE_DIR, f"{tmp_path}/state").replace(DAEMON_JSON, f"{tmp_path}/daemon.json")
    )
    (tmp_path / "daemon.json").write_text(OLD)
    (tmp_path / "count").write_text("0")
    environment = {
        "PATH": f"{path}:{os.environ['PATH']}",
        "COUNTER": f"{tmp_path}/count",
        "COUNT": str(count),
        "MOMENT": moment,
    }
    stdin = str(command.connector_arguments["_stdin"]).encode()
    return subprocess.run(["sh", "-c", text], input=stdin, env=environment, capture_output=True, check=False)


def test_a_list_of_holds_is_the_old_or_the_new_one_as_well(tmp_path: Path, path: Path) -> None:
    """Written by the scripts on the host, where the file may be somebody else's too."""
    file, new = tmp_path / "versionlock.list", tmp_path / "new"
    new.write_text(NEW)
    common = (SCRIPTS / "common.sh").read_text()
    script = f"STATE_DIR={tmp_path}\n{common}\nput {new} {file}\n"

    def put(count: int, moment: str) -> None:
        (tmp_path / "count").write_text("0")
        variables = {"COUNTER": f"{tmp_path}/count", "COUNT": str(count), "MOMENT": moment}
        subprocess.run(
            ["sh"], input=script, text=True, env={"PATH": f"{path}:/usr/bin:/bin", **variables}, check=count == 0
        )

    file.write_text(OLD)
    file.chmod(0o640)
    put(0, "")
    assert (file.read_text(), file.stat().st_mode & 0o777) == (NEW, 0o640)
    seen = []
    for count in range(1, int((tmp_path / "count").read_text()) + 1):
        for moment in ("before", "after"):
            file.write_text(OLD)
            put(count, moment)
            seen.append(file.read_text())
            put(0, "")
            assert sorted(p.name for p in tmp_path.glob("versionlock*")) == ["versionlock.list"]
    assert set(seen) == {OLD, NEW}


def test_killed_at_any_step_the_file_is_the_old_or_the_new_one(tmp_path: Path, path: Path) -> None:
    assert run(tmp_path, path, 0, "").returncode == 0
    steps = int((tmp_path / "count").read_text())
    assert steps > 8
    assert (tmp_path / "daemon.json").read_text() == NEW
    seen = []
    for count in range(1, steps + 1):
        for moment in ("before", "after"):
            run(tmp_path, path, count, moment)
            seen.append((tmp_path / "daemon.json").read_text())
            assert run(tmp_path, path, 0, "").returncode == 0, "and the next run gets through"
            assert (tmp_path / "daemon.json").read_text() == NEW
            assert (tmp_path / "state/daemon.json").read_text() == OLD
    assert set(seen) == {OLD, NEW}
    assert seen.count(NEW) < len(seen) / 2
