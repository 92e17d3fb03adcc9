"""What the engine says of its containers, and how it was started."""

from __future__ import annotations

from facts import docker
from tests.parse.test_driver import INFO


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
        f'looked\nclient Docker version 26.1.5\ncdi ["/etc/cdi"]\nhook-late\nrootless 1000\nrootless x\n{unit}'
        f"cmdline /usr/bin/dockerd -H fd:// --add-runtime nvidia=/x --feature cdi=true\ninfo {INFO}\n"
    )
    assert found.flags == ("add-runtime", "feature", "live-restore")
    assert (found.runtime_flag, found.unit_hosts, found.hook_late, found.rootless, found.cdi) == (
        True,
        True,
        True,
        (1000,),
        True,
    )
    assert docker.parse(f"looked\nclient Docker version 24.0\ncdi null\ninfo {INFO}\n").cdi is False
