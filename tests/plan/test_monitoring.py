"""The monitoring network of a host: what it is made of, where it listens, and what makes which container anew."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from deploys.plan.gpu_access import Engine, choose_access
from deploys.plan.machine import MonitoringProof
from deploys.plan.monitoring import Monitoring, Stack, exporter_of, make_stack, targets
from deploys.plan.service_proof import prove_monitoring
from deploys.plan.settings import parse_settings
from facts.monitoring import parse
from tests.plan.hosts import A100, GTX_1080, changed, debian_13_converged, gpus

CDI = choose_access(Engine("29.5.1", "1.20.0"))
RUNTIME = choose_access(Engine("24.0.9", "1.20.0"))
HOST = debian_13_converged()
SERVICES = parse_settings({
    "gpu_services": {
        "llm": {"image": "x:1", "ports": {8000: 18000}, "metrics": 8000},
        "open": {"image": "x:1", "ports": {8000: "0.0.0.0:18001"}, "metrics": "8000/stats/all"},
        "inner": {"image": "x:1", "ports": {8000: "10.0.0.5:18002"}, "metrics": 8000},
        "raw": {"kind": "raw", "command": ["/bin/x"], "metrics": 9000},
        "silent": {"image": "x:1", "ports": {8000: 18003}},
    }
}).services  # fmt: skip


def stack(wanted: Monitoring | None = None, **options: Any) -> Stack:
    return make_stack(
        wanted or Monitoring(), options.get("machine", HOST), options.get("services", {}), options.get("access", CDI)
    )


def file(of: Stack, name: str) -> Any:
    return json.loads(next(f.content for f in of.files if f.path.endswith(name)))


def test_everything_listens_on_loopback_only() -> None:
    services = file(stack(), "compose.yaml")["services"]
    assert "--web.listen-address=127.0.0.1:9090" in services["prometheus"]["command"]
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert services["exporter"]["ports"] == ["127.0.0.1:9400:9400"]
    assert [s.get("network_mode") for s in services.values()] == ["host", "host", None]


def test_nobody_gets_in_without_the_hosts_own_password() -> None:
    environment = file(stack(), "compose.yaml")["services"]["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/run/secrets/")
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment


def test_images_are_pinned() -> None:
    for image in stack().images.values():
        tag = image.rpartition("/")[2].partition(":")[2]
        assert tag
        assert tag != "latest"


@pytest.mark.parametrize(
    ("machine", "exporter", "port"),
    [
        (changed(HOST, pci=gpus(A100, A100)), "dcgm", 9400),
        (changed(HOST, pci=gpus(GTX_1080)), "nvml", 9835),
        (changed(HOST, pci=gpus(A100, GTX_1080)), "nvml", 9835),
        (changed(HOST, pci=()), "nvml", 9835),
    ],
)
def test_the_exporter_is_the_one_that_knows_every_gpu(machine: Any, exporter: str, port: int) -> None:
    made = stack(machine=machine)
    assert exporter_of(Monitoring(), machine) == exporter
    assert file(made, "compose.yaml")["services"]["exporter"]["ports"] == [f"127.0.0.1:9400:{port}"]
    assert ("DCGM_FI" in next(f.content for f in made.files if f.path.endswith("gpus.json"))) == (exporter == "dcgm")
    assert exporter_of(Monitoring(exporter="dcgm"), machine) == "dcgm"


def test_the_exporter_gets_its_gpus_by_the_way_of_the_host() -> None:
    exporter = file(stack(), "compose.yaml")["services"]["exporter"]
    assert exporter["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] == ["nvidia.com/gpu=all"]
    assert file(stack(access=RUNTIME), "compose.yaml")["services"]["exporter"]["runtime"] == "nvidia"


def test_model_services_and_the_users_app_are_scraped() -> None:
    wanted = Monitoring(scrape={"app": "127.0.0.1:8080/metrics"})
    assert targets(wanted, SERVICES) == {
        "gpu": "127.0.0.1:9400/metrics",
        "llm": "127.0.0.1:18000/metrics",
        "open": "127.0.0.1:18001/stats/all",
        "inner": "10.0.0.5:18002/metrics",
        "raw": "127.0.0.1:9000/metrics",
        "app": "127.0.0.1:8080/metrics",
    }
    rows = file(stack(wanted, services=SERVICES), "prometheus.yml")["scrape_configs"]
    assert {r["job_name"]: r["static_configs"][0]["targets"][0] + r["metrics_path"] for r in rows} == targets(
        wanted, SERVICES
    )


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"scrape": {"app": "127.0.0.1:8080/metrics"}}, {"gpu-host-prometheus"}),
        ({"retention": "30d"}, {"gpu-host-prometheus"}),
        ({"grafana_port": 3001}, {"gpu-host-grafana"}),
        ({"prometheus_port": 9091}, {"gpu-host-prometheus", "gpu-host-grafana"}),
        ({"exporter_port": 9401}, {"gpu-host-prometheus", "gpu-host-exporter"}),
        ({"exporter": "nvml"}, {"gpu-host-grafana", "gpu-host-exporter"}),
        ({"grafana_image": "mirror.example/grafana:13"}, {"gpu-host-grafana"}),
        # `docker load` drops digests, so an archive is asked by tag.
        ({"archive": "/srv/images.tar"}, {"gpu-host-prometheus", "gpu-host-grafana"}),
    ],
)
def test_a_setting_touches_its_containers_and_no_other(change: dict[str, Any], touched: set[str]) -> None:
    before, after = stack().digests, stack(replace(Monitoring(), **change)).digests
    assert {name for name in before if before[name] != after[name]} == touched


def test_images_of_an_archive_are_asked_by_tag() -> None:
    images = stack(Monitoring(archive="/srv/images.tar")).images.values()
    assert [i for i in images if "@" in i] == []


JOBS = {"gpu": "127.0.0.1:9400/metrics", "llm": "127.0.0.1:18000/metrics"}


@pytest.mark.parametrize(
    ("proof", "result", "words"),
    [
        (MonitoringProof(True, {"gpu": "up", "llm": "up", "other": "down"}), "PASS", "2 targets are up"),
        (MonitoringProof(True, None), "FAIL", "Prometheus does not answer"),
        (MonitoringProof(False, {"gpu": "up", "llm": "up"}), "FAIL", "Grafana does not answer"),
        (MonitoringProof(True, {"gpu": "up"}), "FAIL", "not scraped: llm (127.0.0.1:18000/metrics)"),
        (MonitoringProof(True, {"gpu": "up", "llm": "connection refused"}), "FAIL", "llm: connection refused"),
        (MonitoringProof(True, {"gpu": "unknown", "llm": "up"}), "UNKNOWN", "gpu: unknown"),
    ],
)
def test_proof(proof: MonitoringProof, result: str, words: str) -> None:
    step = prove_monitoring(proof, JOBS)
    assert (step.name, step.result) == ("monitoring", result)
    assert words in step.detail


def test_answers_are_read() -> None:
    target = {"labels": {"job": "gpu"}, "health": "down", "lastError": "connection refused"}
    answer = json.dumps({"status": "success", "data": {"activeTargets": [target]}})
    text = f'asked\ngrafana {{"database": "ok"}}\ntargets {answer}\n'
    assert parse(text) == MonitoringProof(True, {"gpu": "connection refused"})
    assert parse("asked\ngrafana <html>\n") == MonitoringProof()
    assert parse('asked\ngrafana {"database": "ok"}\n') == MonitoringProof(False, None)
