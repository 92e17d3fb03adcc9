"""Monitoring on a real engine: Debian's Prometheus, a stand-in that speaks Grafana's API and an exporter with made-up figures."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from deploys.plan.monitoring import FOLDER, PASSWORD_FILE
from tests.bed.host import Host
from tests.bed.shell import run, wait_for
from tests.hosts import engine_lab
from tests.hosts.engine_lab import Site

PICTURE = Path(__file__).parents[2] / "docs" / "monitoring.png"
# One series per GPU and metric of the exporter that asks nvidia-smi; the real one has many more.
METRICS = "\n".join(
    f'nvidia_smi_{name}{{uuid="{uuid}"}} {value * (1 - 0.2 * number)}'
    for number, uuid in enumerate(("4f1c-aa", "9be0-cd"))
    for name, value in (
        ("utilization_gpu_ratio", 0.41),
        ("memory_used_bytes", 41e9),
        ("memory_total_bytes", 85e9),
        ("temperature_gpu", 52),
        ("power_draw_watts", 251),
        ("clocks_current_sm_clock_hz", 1.41e9),
    )
)
# Images from what the host has; as the real ones, they are told everything by arguments, environment and mounted files.
MAKE_IMAGES = """set -e
mkdir -p /tmp/p/bin /tmp/p/prometheus /tmp/g/usr/bin /tmp/g/tmp /tmp/e/bin /tmp/e/srv
cp /usr/bin/prometheus /tmp/p/bin/; cp /bin/busybox /tmp/e/bin/
for b in $(ldd /usr/bin/prometheus | grep -o '/[^ ]*'); do mkdir -p /tmp/p${b%/*}; cp -L $b /tmp/p$b; done
tar -C /tmp/p -c . | docker import --change 'ENTRYPOINT ["/bin/prometheus"]' - stand-in/prometheus:1
cp /srv/metrics /tmp/e/srv/metrics
tar -C /tmp/e -c . | docker import --change 'ENTRYPOINT ["/bin/busybox"]' --change 'CMD ["httpd", "-f", "-p", "9835", "-h", "/srv"]' - stand-in/exporter:1
{ find /usr/lib/python3 /usr/lib/python3.* -type f; readlink -f /usr/bin/python3; ldd /usr/bin/python3 /usr/lib/python3*/lib-dynload/*.so | grep -o '/[^ ]*' | grep -v ':$'; } | sort -u >/tmp/files
tar -C / -ch -T /tmp/files 2>/dev/null | tar -C /tmp/g -x
install -m 755 /srv/grafana /tmp/g/usr/bin/grafana; ln -sf $(readlink -f /usr/bin/python3) /tmp/g/usr/bin/python3
mkdir -p /tmp/g/var/lib/grafana
tar -C /tmp/g -c . | docker import --change 'ENTRYPOINT ["/usr/bin/python3", "/usr/bin/grafana"]' - stand-in/grafana:1
docker save --output /srv/monitoring.tar stand-in/prometheus:1 stand-in/exporter:1 stand-in/grafana:1
docker rmi stand-in/prometheus:1 stand-in/exporter:1 stand-in/grafana:1 >/dev/null
"""
WANTED: dict[str, Any] = {
    "prometheus_image": "stand-in/prometheus:1",
    "grafana_image": "stand-in/grafana:1",
    "exporter_image": "stand-in/exporter:1",
    "archive": "/srv/monitoring.tar",
    "exporter": "nvml",
    "scrape": {"app": "127.0.0.1:18080/metrics"},
}
NAMES = ("gpu-host-exporter", "gpu-host-grafana", "gpu-host-prometheus")


@dataclass
class Watched(Site):
    """The site, and the settings of its monitoring."""

    wanted: dict[str, Any] = field(default_factory=lambda: dict(WANTED))

    def deploy(self, **changes: Any) -> subprocess.CompletedProcess[str]:
        self.wanted.update(changes)
        return self.run("deploys/monitoring.py", gpu_monitoring=self.wanted, gpu_docker_cdi=True)

    def life(self) -> dict[str, str]:
        look = (
            "docker inspect --format '{{.Name}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' $(docker ps -q)"
        )
        return {line.split()[0].lstrip("/"): line for line in self.host.nsenter(look).stdout.splitlines()}

    def ask(self, path: str, port: int = 9090, login: str = "") -> str:
        header = f"--header 'Authorization: Basic {base64.b64encode(login.encode()).decode()}'" if login else ""
        return self.host.nsenter(
            f"busybox wget -q -T 10 -O - {header} 'http://127.0.0.1:{port}{path}'", check=False
        ).stdout

    def password(self) -> str:
        return self.host.nsenter(f"cat {PASSWORD_FILE}").stdout


@pytest.fixture(scope="module")
def site(make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = tmp_path_factory.mktemp("monitoring")
    host = make_module_host(
        "trixie",
        "watch",
        nouveau="absent",
        gpu_driver="nvidia",
        stand_ins={"/proc/driver/nvidia/version": engine_lab.NVRM},
    )
    engine_lab.install(host, "docker-compose", "busybox-static", "prometheus")
    host.nsenter("systemctl disable --now prometheus")
    engine_lab.pretend_gpu(host, folder)
    host.put("/etc/docker/daemon.json", '{"features": {"cdi": true}}')
    host.put("/srv/grafana", (engine_lab.PROGRAMS / "grafana").read_text())
    host.put("/srv/metrics", METRICS + "\n")
    host.nsenter(f"systemctl restart docker\n{MAKE_IMAGES}", timeout=300)
    host.nsenter(
        "mkdir -p /srv/app && echo 'requests_total 5' >/srv/app/metrics && systemd-run -q --unit app busybox httpd -f -p 127.0.0.1:18080 -h /srv/app"
    )
    site = Watched(host, folder)
    assert site.deploy().returncode == 0
    return site


def test_network_comes_up_and_listens_on_loopback_only(site: Watched) -> None:
    assert tuple(sorted(site.life())) == NAMES
    lines = site.host.nsenter("ss -ltnH").stdout.splitlines()
    listening = sorted(
        line.split()[3] for line in lines if line.split()[3].rpartition(":")[2] in ("3000", "9090", "9400")
    )
    assert listening == ["127.0.0.1:3000", "127.0.0.1:9090", "127.0.0.1:9400"]


def test_nobody_gets_in_with_a_password_that_is_known(site: Watched) -> None:
    password = site.password()
    assert len(password) >= 28
    assert site.host.nsenter(f"stat -c '%a %u' {PASSWORD_FILE}").stdout == "400 472\n"
    for login in ("", "admin:admin", "admin:", "admin:grafana"):
        assert site.ask("/api/datasources", 3000, login) == ""
    (source,) = json.loads(site.ask("/api/datasources", 3000, f"admin:{password}"))
    assert source["uid"] == "gpu-host-prometheus"
    assert password not in site.host.nsenter("cat /var/log/remote-commands.log; docker inspect $(docker ps -q)").stdout


def test_real_prometheus_reads_gpus_and_the_users_app(site: Watched) -> None:
    def up() -> bool:
        targets = json.loads(site.ask("/api/v1/targets"))["data"]["activeTargets"]
        return {t["labels"]["job"]: t["health"] for t in targets} == {"gpu": "up", "app": "up"}

    wait_for(up, 60, "Prometheus to read its targets")
    proof = site.proof(gpu_monitoring=site.wanted)
    assert proof["monitoring"] == ("PASS", "Grafana answers, 2 targets are up")


def test_second_run_touches_nothing(site: Watched) -> None:
    before = site.life()
    assert site.deploy().returncode == 0
    assert site.life() == before
    assert site.report()["changed"] == []


def test_one_changed_setting_makes_one_container_anew(site: Watched) -> None:
    before, password = site.life(), site.password()
    assert site.deploy(scrape={"app": "127.0.0.1:18080/metrics", "none": "127.0.0.1:1/metrics"}).returncode == 0
    after = site.life()
    assert {name for name in NAMES if after[name] != before[name]} == {"gpu-host-prometheus"}
    assert site.password() == password
    proof = wait_for_failure(site)
    assert proof[0] == "FAIL"
    assert "none: " in proof[1]
    assert site.deploy(scrape=WANTED["scrape"]).returncode == 0


def wait_for_failure(site: Watched) -> tuple[str, str]:
    """The proof's word once Prometheus has asked everybody."""
    wait_for(lambda: '"health":"unknown"' not in site.ask("/api/v1/targets"), 60, "Prometheus to ask its targets")
    return site.proof(gpu_monitoring=site.wanted)["monitoring"]


def test_stopped_container_is_started_and_a_removed_one_made_again(site: Watched) -> None:
    site.host.nsenter("docker stop -t 1 gpu-host-grafana; docker rm -f gpu-host-exporter")
    assert site.deploy().returncode == 0
    assert tuple(sorted(site.life())) == NAMES


def test_dashboard_is_looked_at_in_a_browser(site: Watched, tmp_path: Path) -> None:
    """Every panel has its figures. With GPU_HOST_TEST_PICTURE=1 the picture goes into the docs."""
    has_data = lambda: "No data" not in site.ask("/d/gpu-host-gpus", 3000, f"admin:{site.password()}")  # noqa: E731
    wait_for(has_data, 90, "every panel to have data")
    # The browser is on this machine, Grafana on the host's loopback: as for a person, through SSH.
    picture, profile = tmp_path / "page.png", tmp_path / "profile"
    tunnel = subprocess.Popen(
        ["ssh", *site.host.ssh_options(), "-N", "-L", "127.0.0.1:13000:127.0.0.1:3000", f"root@{site.host.address}"]
    )
    try:
        wait_for(lambda: answers("http://127.0.0.1:13000/api/health"), 20, "the tunnel")
        url = f"http://admin:{site.password()}@127.0.0.1:13000/d/gpu-host-gpus"
        switches = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync no-proxy-server"
        options = [f"--{switch}" for switch in switches.split()]
        where = [f"--user-data-dir={profile}", "--window-size=1400,1060", f"--screenshot={picture}"]
        run(["chromium", *options, *where, url], timeout=120)
    finally:
        tunnel.terminate()
        tunnel.wait()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 60_000, "a page of panels, and not of an error"
    if os.environ.get("GPU_HOST_TEST_PICTURE"):
        shutil.copy(picture, PICTURE)


def answers(url: str) -> bool:
    with suppress(OSError):
        return bool(build_opener(ProxyHandler({})).open(url, timeout=5).status == 200)
    return False


COMPOSE = """version: "3.8"
services:
  llm:
    image: stand-in/exporter:1
    command: ["httpd", "-f", "-p", "8000", "-h", "/srv"]
    volumes: ["./data:/data", "./page:/srv:ro"]
    ports: ["127.0.0.1:18100:8000"]
    deploy:
      resources:
        reservations:
          devices:
            - driver: DRIVER
              DEVICES
              capabilities: [gpu]
"""


def test_own_network_that_would_lose_its_gpu_is_refused_with_the_fragment(site: Watched, tmp_path: Path) -> None:
    own = tmp_path / "Stack"
    (own / "page").mkdir(parents=True)
    (own / "page/ok").write_text("one\n")
    (own / "docker-compose.yaml").write_text(COMPOSE.replace("DRIVER", "nvidia").replace("DEVICES", "count: all"))
    before = site.life()
    done = site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)})
    assert done.returncode == 1
    assert "STOP  service llm" in done.stderr
    assert "driver: cdi" in done.stderr or "runtime: nvidia" in done.stderr
    assert site.life() == before
    assert site.host.nsenter("ls -A /srv/gpu-host").stdout == ""


def test_own_network_runs_keeps_its_data_and_is_left_alone(site: Watched, tmp_path: Path) -> None:
    own = tmp_path / "Stack"
    (own / "page").mkdir(parents=True)
    (own / "page/ok").write_text("one\n")
    good = COMPOSE.replace("DRIVER", "cdi").replace("DEVICES", 'device_ids: ["nvidia.com/gpu=0"]')
    (own / "docker-compose.yaml").write_text(good)
    assert site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)}).returncode == 0
    assert site.ask("/ok", 18100) == "one\n"
    site.host.nsenter("echo kept >/srv/gpu-host/stack/data/file")
    life = site.life()
    assert site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)}).returncode == 0
    assert site.life() == life
    assert site.report()["changed"] == []
    (own / "page/ok").write_text("two\n")
    assert site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)}).returncode == 0
    assert site.ask("/ok", 18100) == "two\n"
    assert site.host.nsenter("cat /srv/gpu-host/stack/data/file; ls -A /srv/gpu-host").stdout == "kept\nstack\n"
    # What it has no more goes, and what ran once and ended well is as wanted.
    (own / "page/ok").unlink()
    (own / "docker-compose.yaml").rename(own / "compose.yaml")
    once = '  once:\n    image: stand-in/exporter:1\n    command: ["true"]\n'
    (own / "compose.yaml").write_text(good + once)
    assert site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)}).returncode == 0
    assert (
        site.host.nsenter(
            "cd /srv/gpu-host/stack; ls page docker-compose.yaml 2>/dev/null; cat data/file", check=False
        ).stdout
        == "page:\nkept\n"
    )
    wait_for(
        lambda: "exited" in site.host.nsenter("docker inspect --format '{{.State.Status}}' stack-once-1").stdout,
        30,
        "once to end",
    )
    assert site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)}).returncode == 0
    assert site.report()["changed"] == []
    (own / "page/ok").write_text("two\n")
    assert site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)}).returncode == 0
    (own / "compose.yaml").write_text("services: [")
    done = site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)})
    assert done.returncode == 1
    assert site.ask("/ok", 18100) == "two\n"
    assert FOLDER != "/srv/gpu-host"


def test_project_of_somebody_else_stays(site: Watched, tmp_path: Path) -> None:
    site.host.put(
        "/opt/theirs/compose.yaml", 'services:\n  a:\n    image: stand-in/exporter:1\n    command: ["sleep", "900"]\n'
    )
    site.host.nsenter("cd /opt/theirs && docker compose up -d")
    life = site.life()
    own = tmp_path / "theirs"
    own.mkdir()
    (own / "compose.yaml").write_text(
        'services:\n  b:\n    image: stand-in/exporter:1\n    command: ["sleep", "900"]\n'
    )
    done = site.run("deploys/monitoring.py", gpu_monitoring={"directory": str(own)})
    assert done.returncode == 1
    assert "a Compose project theirs is there that this toolkit has not made" in done.stderr + done.stdout
    assert site.life() == life
