"""What the engine says of its containers, and how it was started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploys.plan.machine import Docker
from facts import docker
from tests.parse.host import program, read_root, write
from tests.parse.test_driver import INFO

WITH_CDI = INFO.replace("{", '{"CDISpecDirs":["/etc/cdi"],', 1)


def test_containers_that_were_given_a_gpu() -> None:
    told = f"looked\nclient Docker version 26.1.5, build x\ninfo {INFO}\n"
    assert docker.parse(told).gpu_containers is None, "three containers run, and nobody knows which"
    assert docker.parse(f"{told}gpu-asked\n").gpu_containers == ()
    assert docker.parse(f"{told}gpu-asked\ngpu-container /b\ngpu-container /a\n").gpu_containers == ("a", "b")
    idle = INFO.replace('"ContainersRunning":3', '"ContainersRunning":0').replace(
        '"ContainersRunning": 3', '"ContainersRunning": 0'
    )
    assert docker.parse(f"looked\nclient Docker version 26.1.5, build x\ninfo {idle}\n").gpu_containers == ()
    assert docker.parse("looked\nabsent\n").gpu_containers == ()


def test_paused_containers_count_as_running() -> None:
    paused = INFO.replace("{", '{"ContainersPaused":2,', 1)
    assert docker.parse(f"looked\nclient Docker version 26.1.5\ninfo {paused}\n").running == 5


def test_what_the_engine_was_started_with() -> None:
    unit = "unit { path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd -H fd:// --live-restore ; ignore_errors=no }\n"
    found = docker.parse(
        f"looked\nclient Docker version 26.1.5\nhook-late\nrootless 1000\nrootless x\n{unit}"
        f"cmdline /usr/bin/dockerd -H fd:// --add-runtime nvidia=/x --feature cdi=true\ninfo {WITH_CDI}\n"
    )
    assert found.flags == ("add-runtime", "feature", "live-restore")
    assert (found.runtime_flag, found.unit_hosts, found.hook_late, found.rootless, found.cdi) == (
        True,
        True,
        True,
        (1000,),
        True,
    )
    assert docker.parse(f"looked\nclient Docker version 24.0\ninfo {INFO}\n").cdi is False


ENGINE = """case $* in
  *CDISpecDirs*) {old} ;;
  *info*) echo '{info}' ;;
  *ps*) echo '{container}' ;;
  *inspect*) echo '{container} /model|nvidia null null' ;;
  *) echo "Docker version 26.1.5, build x" ;;
esac
echo "$*" >>{asked}"""
REFUSED = (
    "echo 'template: :1:240: executing \"\" at <.CDISpecDirs>: can not evaluate field CDISpecDirs in type info'; exit 1"
)


def _ask(root: Path, info: str, old: str = "") -> tuple[Docker, str]:
    """The record of an engine that runs, and the commands that it was asked. Its pid file ends as dockerd's does: without a newline."""
    write(root, "/run/docker.pid", f"{os.getpid()}")
    write(root, f"/proc/{os.getpid()}/comm", "dockerd\n")
    write(root, f"/proc/{os.getpid()}/cmdline", b"dockerd\0--add-runtime\0nvidia=/x\0")
    old = old.replace("can not", "can'\\''t") or f"echo '{info}'"
    asked = write(root, "/asked")
    path = program(root, "docker", ENGINE.format(old=old, info=info, container="c" * 64, asked=asked))
    return read_root(docker.SUBJECT, root, path), asked.read_text()


def test_an_engine_without_cdi_is_asked_again_without_it(tmp_path: Path) -> None:
    found, asked = _ask(tmp_path, INFO, REFUSED)
    assert (found.engine, found.cdi, found.gpu_containers) == ("26.1.5+dfsg1", False, ("model",))
    assert asked.count(" info ") == 1, "the refusal itself is not noted"


def test_an_engine_that_runs_nothing_is_asked_once(tmp_path: Path) -> None:
    idle = WITH_CDI.replace('"ContainersRunning":3,', '"ContainersRunning":0,"ContainersPaused":0,')
    found, asked = _ask(tmp_path, idle)
    assert (found.cdi, found.running, found.gpu_containers) == (True, 0, ())
    assert (found.runtime_flag, found.flags) == (True, ("add-runtime",))
    assert asked.count("docker.sock") == 1


@pytest.mark.parametrize("compose", ["v2.40.3", "2.26.1-4", ""])
def test_a_client_that_says_all_in_one_answer_is_started_once(tmp_path: Path, compose: str) -> None:
    whole = WITH_CDI.replace("{", f'{{"Client":"28.2.2","Compose":"{compose}",', 1)
    found, asked = _ask(
        tmp_path, whole.replace('"ContainersRunning":3,', '"ContainersRunning":0,"ContainersPaused":0,')
    )
    assert (found.client, found.compose) == ("28.2.2", compose.removeprefix("v"))
    assert asked.count("\n") == 1
    assert "ClientInfo" in asked


def test_a_client_that_does_not_is_asked_for_its_versions(tmp_path: Path) -> None:
    found, asked = _ask(tmp_path, INFO, REFUSED)
    assert found.client == "26.1.5"
    assert "--version\ncompose version\n" in asked
