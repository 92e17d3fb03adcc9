"""Model services: what a host's data may say, the words for Docker and systemd, and when a container is made anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploys.plan.gpu_access import Engine, choose_access
from deploys.plan.machine import ServiceContainer
from deploys.plan.service import Service, config_of, container_words, environment_file, is_wanted, unit_file
from deploys.plan.settings import SettingsError, parse_settings
from facts.containers import parse

CDI = choose_access(Engine("29.5.1", "1.20.0"))
RUNTIME = choose_access(Engine("24.0.9", "1.20.0"))
LLM = {
    "image": "registry.example/server@sha256:" + "ab" * 32,
    "command": ["--model", "/models/llama 3"],
    "environment": {"TOKEN": "s3cret", "LANG": "de_DE.UTF-8"},
    "ports": {8000: 8000, "9000": "0.0.0.0:9001"},
    "volumes": {"/srv/models": "/models:ro"},
    "health": {"command": "curl -fs http://localhost:8000/health", "start_period": 120},
    "shm_size": "1g",
}


def parsed(entry: object, name: str = "llm") -> Service:
    return parse_settings({"gpu_services": {name: entry}}).services[name]


def words(service: Service) -> str:
    return " ".join(container_words(service, CDI, 2))


def test_a_service_says_only_what_is_special() -> None:
    service = parsed({"image": "registry.example/server:1.2"})
    assert words(service) == (
        "--name llm --restart unless-stopped --label gpu-host.service=llm --env-file /etc/gpu-host/services/llm.env "
        "--device nvidia.com/gpu=0"
    )
    assert environment_file(service).content == "LANG=C.UTF-8\nLC_ALL=C.UTF-8\n"
    assert environment_file(service).mode == "600"


def test_everything_that_is_said_reaches_docker_but_no_secret_its_command_line() -> None:
    service = parsed(LLM)
    text = words(service)
    assert "--publish 127.0.0.1:8000:8000 --publish 0.0.0.0:9001:9000" in text
    assert "--volume /srv/models:/models:ro" in text
    assert "--shm-size 1g" in text
    assert "--health-cmd curl -fs http://localhost:8000/health --health-retries 3 --health-interval 30s" in text
    assert "--health-start-period 120s" in text
    assert "s3cret" not in text
    assert environment_file(service).content == "LANG=de_DE.UTF-8\nLC_ALL=C.UTF-8\nTOKEN=s3cret\n"


@pytest.mark.parametrize(("gpus", "expected"), [(0, "0"), ([0, 2, 0], "0,2"), ("all", "all"), (None, "")])
def test_gpus(gpus: object, expected: str) -> None:
    service = parsed({"image": "x", "gpus": gpus})
    assert service.gpus == expected
    assert ("nvidia.com/gpu=" in words(service)) == bool(expected)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "registry.example/server:1.3"},
        {"command": ["--model", "/models/other"]},
        {"environment": {"TOKEN": "other"}},
        {"ports": {8000: 8001}},
        {"volumes": {}},
        {"gpus": "all"},
        {"restart": "always"},
        {"health": {"command": "true"}},
    ],
    ids=lambda c: next(iter(c)),
)
def test_a_container_is_made_anew_for_every_real_change(change: dict[str, Any]) -> None:
    before, after = (config_of(parsed(entry), CDI, 1) for entry in (LLM, {**LLM, **change}))
    assert before != after
    there = ServiceContainer("llm", before, "sha256:1", "running")
    assert is_wanted(before, there, "sha256:1")
    assert not is_wanted(after, there, "sha256:1")
    assert not is_wanted(before, there, "sha256:2"), "the tag has another image by now"
    assert not is_wanted(before, None, "sha256:1")


def test_a_container_is_left_alone_when_only_the_order_differs() -> None:
    turned = {key: LLM[key] for key in reversed(list(LLM))}
    turned["environment"] = dict(reversed(list(LLM["environment"].items())))  # type: ignore[attr-defined]
    assert config_of(parsed(LLM), CDI, 1) == config_of(parsed(turned), CDI, 1)
    assert config_of(parsed(LLM), CDI, 1) != config_of(parsed(LLM), RUNTIME, 1)


def test_a_raw_service_may_open_its_gpus_and_no_other_device() -> None:
    service = parsed(
        {"kind": "raw", "command": ["/opt/venv/bin/python", "-m", "a b", "50%", "$x"], "gpus": [1], "user": "model"}
    )
    text = unit_file(service, 4).content
    assert 'ExecStart="/opt/venv/bin/python" "-m" "a b" "50%%" "$$x"\n' in text
    assert "DevicePolicy=closed\nDeviceAllow=/dev/nvidia1 rw\nDeviceAllow=/dev/nvidiactl rw\n" in text
    assert "/dev/nvidia0" not in text
    assert "User=model\n" in text
    assert "Restart=always\n" in text
    assert unit_file(replace(service, gpus="all"), 2).content.count("DeviceAllow=/dev/nvidia0 rw") == 1
    assert "DeviceAllow" not in unit_file(replace(service, gpus=""), 2).content
    assert "DynamicUser=yes" in unit_file(replace(service, user=""), 2).content


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("image", ["a mapping with the service's settings"]),
        ({}, ["no image"]),
        ({"image": "x y"}, ["'x y'", "an image by digest or tag"]),
        ({"image": "x", "port": {1: 1}}, ["'port'", 'write "ports"']),
        ({"image": "x", "ports": {8000: 70000}}, ["on loopback"]),
        ({"image": "x", "ports": {8000: True}}, ["on loopback"]),
        ({"image": "x", "ports": [8000]}, ["on loopback"]),
        ({"image": "x", "volumes": {"models": "/m"}}, ["absolute paths"]),
        ({"image": "x", "environment": {"A": "1\nB=2"}}, ["without line breaks"]),
        ({"image": "x", "gpus": "first"}, ["'first'", "None for no GPU"]),
        ({"image": "x", "gpus": True}, ["True (bool)"]),
        ({"image": "x", "restart": "sometimes"}, ['"unless-stopped"']),
        ({"image": "x", "health": {"interval": 5}}, ["a mapping with a command"]),
        ({"image": "x", "health": {"command": "true", "interval": "5"}}, ["a mapping with a command"]),
        ({"kind": "raw", "command": ["python"]}, ["a command whose program is an absolute path"]),
        ({"image": "x", "command": "serve"}, ["a list of words"]),
    ],
)
def test_a_bad_service_is_named(entry: object, expected: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        parsed(entry)
    assert all(word in str(caught.value) for word in ["gpu_services['llm']", *expected]), str(caught.value)


def test_a_bad_name_is_named() -> None:
    with pytest.raises(SettingsError, match="Big Name"):
        parsed({"image": "x"}, "Big Name")


ANSWER = """\
file-digest aa  /etc/systemd/system/gpu-service-raw.service
unit gpu-service-raw.service active
asked
engine
container {"name":"/llm","config":"c0","image":"sha256:1","state":"running"}
container no json
image registry.example/server:1.2 sha256:1
"""


def test_what_is_there_is_read() -> None:
    found = parse(ANSWER)
    assert found.containers == {"llm": ServiceContainer("llm", "c0", "sha256:1", "running")}
    assert found.images == {"registry.example/server:1.2": "sha256:1"}
    assert found.files == {"/etc/systemd/system/gpu-service-raw.service": "aa"}
    assert found.units == {"gpu-service-raw.service": "active"}
    assert parse("asked\n").containers is None
