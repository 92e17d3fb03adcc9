"""A Compose network of the user's own, as `docker compose config` prints it: who asks for a GPU how, and who would lose it."""

from __future__ import annotations

from typing import Any

import pytest

from deploys.plan.compose_check import check_compose, describe_compose
from deploys.plan.gpu_access import Engine, choose_access

NEW = Engine("29.5.1", "1.20.0", 2, "systemd", gpus=2)
MIDDLE = Engine("26.1.5", "1.20.0", 2, "systemd", gpus=2)
OLD = Engine("20.10.24", "1.17.8", 2, "systemd", gpus=2)
CGROUPFS = Engine("20.10.24", "1.17.8", 2, "cgroupfs", gpus=2)
IMAGE = {"image": "x:1"}


def reserve(**reservation: Any) -> dict[str, Any]:
    devices = [{"capabilities": ["gpu"], **reservation}]
    return {**IMAGE, "deploy": {"resources": {"reservations": {"devices": devices}}}}


def nodes(*names: str) -> list[dict[str, str]]:
    return [{"source": f"/dev/{n}", "target": f"/dev/{n}", "permissions": "rwm"} for n in names]


GPUS = reserve(driver="nvidia", count=-1)
BY_NAME = {**GPUS, "devices": nodes("nvidia0", "nvidiactl", "nvidia-uvm")}
CASES: list[tuple[str, dict[str, Any], Engine, bool]] = [
    ("cdi where Docker reads it", reserve(driver="cdi", device_ids=["nvidia.com/gpu=0"]), NEW, True),
    ("cdi where it is not switched on", reserve(driver="cdi", device_ids=["nvidia.com/gpu=0"]), MIDDLE, False),
    ("cdi as a device", {**IMAGE, "devices": [{"source": "nvidia.com/gpu=all", "target": "nvidia.com/gpu=all"}]}, NEW, True),
    ("cdi as a device, short", {**IMAGE, "devices": ["nvidia.com/gpu=all"]}, OLD, False),
    ("runtime that makes a specification", {**IMAGE, "runtime": "nvidia"}, MIDDLE, True),
    ("runtime of an old toolkit", {**IMAGE, "runtime": "nvidia"}, OLD, False),
    ("reservation behind the back of systemd", GPUS, NEW, False),
    ("reservation without a driver's name", reserve(count=1), MIDDLE, False),
    ("the short form", {**IMAGE, "gpus": [{"count": -1}]}, NEW, False),
    ("reservation where systemd does not touch it", GPUS, CGROUPFS, True),
    ("reservation with every device", BY_NAME, OLD, True),
    ("reservation with too few devices", {**GPUS, "devices": nodes("nvidia0")}, OLD, False),
    ("devices without libraries", {**IMAGE, "devices": nodes("nvidia0", "nvidiactl", "nvidia-uvm")}, OLD, False),
    ("privileged", {**GPUS, "privileged": True}, NEW, True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "service", "engine", "keeps"), CASES, ids=[c[0] for c in CASES])
def test_who_keeps_its_gpu(name: str, service: dict[str, Any], engine: Engine, keeps: bool) -> None:
    access = choose_access(engine)
    found = check_compose({"services": {"llm": service, "web": IMAGE}}, engine, access)
    assert [f.level for f in found] == ([] if keeps else ["stop"]), name
    if not keeps:
        assert found[0].service == "llm"
        assert {"cdi": "driver: cdi", "runtime": "runtime: nvidia", "devices": "/dev/nvidia-uvm-tools"}[
            access.way
        ] in found[0].fix


def test_the_fragment_names_the_gpus_that_were_asked_for() -> None:
    (found,) = check_compose({"services": {"llm": reserve(driver="nvidia", device_ids=["1"])}}, NEW, choose_access(NEW))
    assert 'device_ids: ["nvidia.com/gpu=1"]' in found.fix


def test_network_without_a_gpu_is_told_what_to_add() -> None:
    (found,) = check_compose({"services": {"web": IMAGE}}, NEW, choose_access(NEW))
    assert (found.level, found.service) == ("warn", "")
    assert "nvidia.com/gpu=all" in found.fix


def test_open_ports_and_moving_images_are_named() -> None:
    ports = [
        {"target": 80, "published": "8080"},
        {"target": 81, "published": "8081", "host_ip": "127.0.0.1"},
        {"target": 82, "published": "8082", "host_ip": "::"},
    ]
    service = {**reserve(driver="cdi"), "ports": ports, "image": "registry.example:5000/web"}
    found = check_compose({"services": {"web": service}}, NEW, choose_access(NEW))
    assert [f.found for f in found] == [
        "port 8080 is open to the network",
        "port 8082 is open to the network",
        "the image registry.example:5000/web is whatever is newest",
    ]
    page = describe_compose("gpu-01", found)
    assert '    fix     "127.0.0.1:8080:80" keeps it to the host' in page


@pytest.mark.parametrize(
    "document",
    [{}, {"services": None}, {"services": {"a": None}}, {"services": {"a": {"deploy": [], "ports": {}, "devices": 5}}}],
)
def test_strange_documents_raise_nothing(document: dict[str, Any]) -> None:
    check_compose(document, NEW, choose_access(NEW))
