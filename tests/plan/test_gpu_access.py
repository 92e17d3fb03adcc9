"""How containers get their GPU: a cell per engine, toolkit and cgroup; what is printed for docker run and Compose."""

from __future__ import annotations

import itertools

import pytest

from deploys import access as command
from deploys.plan.gpu_access import Engine, choose_access, compose_fragment, docker_arguments, engine_of
from deploys.plan.machine import TextFile
from tests.plan.hosts import changed, debian_13_converged

DOCKERS = ("19.03.15", "20.10.24+dfsg1", "24.0.9", "25.0.6", "26.1.5", "28.2.2", "29.5.1")
TOOLKITS = ("1.0.5", "1.7.0", "1.8.1", "1.17.8", "1.18.2", "1.19.1", "1.20.0")
# Per Docker, over TOOLKITS: c CDI, r the runtime, n no way on cgroup v2, d devices by name (gpus alone with cgroupfs).
TABLE = {
    "19.03.15": "nnddrrr",
    "20.10.24+dfsg1": "nnddrrr",
    "24.0.9": "nnddrrr",
    "25.0.6": "nnddrrr",
    "26.1.5": "nnddrrr",
    "28.2.2": "nnddccc",
    "29.5.1": "nnddccc",
}
WAYS = {"c": "cdi", "r": "runtime", "d": "devices", "n": ""}
CELLS = list(itertools.product(DOCKERS, TOOLKITS, (1, 2, None), ("systemd", "cgroupfs", None)))


@pytest.mark.parametrize(("docker", "toolkit", "cgroup", "driver"), CELLS)
def test_every_cell(docker: str, toolkit: str, cgroup: int | None, driver: str | None) -> None:
    expected = WAYS[TABLE[docker][TOOLKITS.index(toolkit)]]
    if not expected and cgroup != 2:
        expected = "devices"
    if expected == "devices" and driver == "cgroupfs":
        expected = "gpus"
    found = choose_access(Engine(docker, toolkit, cgroup, driver))
    assert found.way == expected
    assert bool(found.problem) == (not expected)
    assert found.rules
    assert all(rule.text and rule.source.title for rule in found.rules)
    assert not found.feature


@pytest.mark.parametrize(
    ("docker", "toolkit", "way"),
    [
        ("25.0.6", "1.18.2", "cdi"),
        ("25.0.6", "1.20.0", "runtime"),
        ("26.1.5", "1.20.0", "cdi"),
        ("24.0.9", "1.20.0", "runtime"),
    ],
)
def test_cdi_that_daemon_json_has_switched_on_is_used(docker: str, toolkit: str, way: str) -> None:
    found = choose_access(Engine(docker, toolkit, 2, "systemd", cdi_enabled=True))
    assert (found.way, found.feature) == (way, False)


def test_cdi_is_asked_for_where_there_is_no_other_way_to_keep_the_gpu() -> None:
    found = choose_access(Engine("26.1.5", "1.20.0", 2, "systemd", runtime=False))
    assert (found.way, found.feature) == ("cdi", True)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"features": []}', '{"features": {"cdi": "true"}}'])
def test_a_daemon_json_that_says_something_else_switches_nothing_on(text: str) -> None:
    machine = changed(debian_13_converged(), docker__daemon_json=TextFile("/etc/docker/daemon.json", content=text))
    assert not engine_of(machine).cdi_enabled


def test_without_the_runtime_in_daemon_json_the_devices_are_named() -> None:
    assert choose_access(Engine("24.0.9", "1.20.0", 2, "systemd", runtime=False)).way == "devices"


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (Engine("", "1.20.0"), "Docker is not there"),
        (Engine("18.09.1", "1.20.0"), "Docker 18.09.1"),
        (Engine("29.5.1", ""), "no NVIDIA Container Toolkit"),
        (Engine("20.10.24", "1.7.0", 2), "cgroup subsystem devices not found"),
    ],
)
def test_no_way_says_what_would_help(engine: Engine, words: str) -> None:
    found = choose_access(engine)
    assert words in found.problem
    assert found.needed
    assert found.fix
    assert docker_arguments(found) == ()
    assert compose_fragment(found) == ""


def test_words_for_docker_run() -> None:
    cdi = choose_access(Engine("29.5.1", "1.20.0"))
    assert docker_arguments(cdi) == ("--device", "nvidia.com/gpu=0")
    assert docker_arguments(cdi, "all") == ("--device", "nvidia.com/gpu=all")
    assert docker_arguments(cdi, "0,2") == ("--device", "nvidia.com/gpu=0", "--device", "nvidia.com/gpu=2")
    runtime = choose_access(Engine("24.0.9", "1.20.0"))
    assert docker_arguments(runtime, "1")[:4] == ("--runtime", "nvidia", "-e", "NVIDIA_VISIBLE_DEVICES=1")
    devices = choose_access(Engine("20.10.24", "1.17.8", 2, "systemd"))
    words = docker_arguments(devices, "all", 2)
    assert words[:2] == ("--gpus", "all")
    nodes = ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
    assert words[2:] == tuple(word for node in nodes for word in ("--device", f"/dev/{node}"))
    assert docker_arguments(devices, "1")[:4] == ("--gpus", '"device=1"', "--device", "/dev/nvidia1")
    assert docker_arguments(choose_access(Engine("20.10.24", "1.17.8", 2, "cgroupfs"))) == ("--gpus", '"device=0"')


def test_fragments_for_compose() -> None:
    cdi = compose_fragment(choose_access(Engine("29.5.1", "1.20.0")), "0,1")
    assert "        - driver: cdi\n" in cdi
    assert 'device_ids: ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]' in cdi
    assert "devices:\n      - /dev" not in cdi
    runtime = compose_fragment(choose_access(Engine("24.0.9", "1.20.0")), "all")
    assert runtime.startswith('    runtime: nvidia\n    environment:\n      NVIDIA_VISIBLE_DEVICES: "all"\n')
    devices = compose_fragment(choose_access(Engine("20.10.24", "1.17.8", 2, "systemd")), "all", 1)
    assert "          count: all\n" in devices
    assert "      - /dev/nvidia0:/dev/nvidia0\n" in devices


def test_a_host_is_judged_by_what_the_probe_read() -> None:
    engine = engine_of(debian_13_converged())
    assert engine.docker.startswith("26.1.5")
    assert choose_access(engine).way == "runtime"


def test_the_command_prints_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--docker", "29.5.1", "--toolkit", "1.20.0"]) == 0
    text = capsys.readouterr().out
    assert "docker run --device nvidia.com/gpu=0 IMAGE" in text
    assert "            - driver: cdi" in text
    assert command.main(["--docker", "18.09"]) == 1
    assert "REFUSED  Docker 18.09" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--docker", "new"], ["--docker", "29", "--gpus", "first"], []])
def test_wrong_usage_is_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(words)
    assert caught.value.code == 2
    assert "usage: ./provision access" in capsys.readouterr().err
