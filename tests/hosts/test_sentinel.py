"""Nothing that runs is disturbed: a container keeps its process through every kind of run, and no request to it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bed import standins
from tests.bed.host import Host
from tests.bed.repository import Repository
from tests.bed.shell import wait_for
from tests.hosts.engine_lab import Site
from tests.hosts.sentinel_lab import KERNEL, Client, make_site

REQUESTS = 10_000
COMPOSE = "services:\n  page:\n    image: web:latest\n    command: [/bin/busybox, httpd, -f, -p, '80', -h, /www]\n"


@dataclass
class Watched:
    """The host, its sentinel as it was in the beginning, and the client that asks it all the while."""

    site: Site
    client: Client
    life: str
    settings: dict[str, Any]

    def run(self, deploy: str = "deploys/gpu_host.py", *options: str, **data: Any) -> dict[str, Any]:
        """The host's row after one run, which has left the sentinel alone."""
        self.site.run(deploy, *options, **{**self.settings, **data})
        assert life(self.site.host) == self.life
        assert self.client.failures == []
        return self.site.report()

    def refusal(self, row: dict[str, Any]) -> str:
        assert row["state"] == "refused"
        return next(str(f["found"]) for f in row["findings"] if f["check"] == "gpu_idle_before_driver_change")


def life(host: Host) -> str:
    return host.nsenter(
        "docker inspect --format '{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' sentinel"
    ).stdout


@pytest.fixture(scope="module")
def watched(
    make_module_host: Callable[..., Host], toolkit_repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    site = make_site(make_module_host, tmp_path_factory.mktemp("sentinel"))
    repo = toolkit_repository
    mirror = {"nvidia-container-toolkit": {"url": repo.url, "key": str(repo.key_path), "fingerprint": repo.fingerprint}}
    settings = {
        "gpu_mirrors": mirror,
        "gpu_driver_source": "distro",
        "gpu_docker_source": "distro",
        "gpu_profile": "containers",
    }
    client = Client(site.host.address)
    # Docker says that it has started before it listens.
    wait_for(client.answers, 60, "the first answer of the sentinel")
    client.start()
    yield Watched(site, client, life(site.host), settings)
    client.stop()


def test_judging_and_planning(watched: Watched) -> None:
    assert watched.run("deploys/preflight.py")["state"] == "passed"
    assert watched.run("deploys/gpu_host.py", "--dry")["state"] == "planned"


def test_first_run_installs_the_toolkit_beside_the_working_container(watched: Watched) -> None:
    row = watched.run()
    assert "All packages are installed in one transaction" in "".join(row["changed"])
    assert watched.site.host.nsenter("dpkg-query -W -f '${Version}' nvidia-container-toolkit").stdout == "1.20.0-1"


def test_second_run_changes_nothing(watched: Watched) -> None:
    assert watched.run()["changed"] == []


def test_proof(watched: Watched) -> None:
    assert watched.run("deploys/verify.py")["steps"]


def test_engine_is_told_to_let_containers_live_and_then_restarted(watched: Watched) -> None:
    """CDI takes a restart of dockerd: it waits while that would end the container, and comes once it would not."""

    def engine() -> str:
        return watched.site.host.nsenter("systemctl show -p MainPID --value docker").stdout

    before = engine()
    assert watched.run(gpu_docker_cdi=True)["state"] in ("restart-pending", "not-ready")
    assert engine() == before
    watched.run(gpu_docker_cdi=True, gpu_docker_live_restore=True)
    assert engine() != before
    watched.settings |= {"gpu_docker_cdi": True, "gpu_docker_live_restore": True}


def test_model_services_and_compose_networks_beside_it(watched: Watched, tmp_path: Path) -> None:
    services = {"other": {"image": "web", "pull": "never", "command": ["/bin/busybox", "sleep", "9999"], "gpus": None}}
    assert watched.run("deploys/inference_service.py", gpu_services=services)["changed"] == [
        "Services | Containers run as wanted"
    ]
    (tmp_path / "network").mkdir()
    (tmp_path / "network/compose.yaml").write_text(COMPOSE)
    watched.run("deploys/monitoring.py", gpu_monitoring={"directory": str(tmp_path / "network")})
    assert "network-page-1" in watched.site.host.nsenter("docker ps --format '{{.Names}}'").stdout


def test_failed_run(watched: Watched) -> None:
    host, program = watched.site.host, "/usr/local/bin/systemctl"
    host.put(program, '#!/bin/sh\n[ "$1" != reload ] || exit 1\nexec /usr/bin/systemctl "$@"\n', 0o755)
    assert watched.run(gpu_docker_live_restore=False)["state"] == "failed"
    host.nsenter(f"rm {program}")


def test_driver_upgrade_is_pending_and_names_the_idle_container(watched: Watched) -> None:
    """A newer module is on disk than the one that is loaded, as after an upgrade by hand: only a reboot helps, and it waits."""
    host, kernel = watched.site.host, watched.site.host.nsenter(KERNEL).stdout.strip()
    module = standins.module("550.200.01", kernel)
    path = f"/lib/modules/{kernel}/updates/dkms/nvidia-current.ko"
    host.nsenter(f"cp {path} /srv/before; echo {module} | base64 -d | gzip -dc >{path}")
    boot = host.boot_id()
    assert watched.refusal(watched.run()) == "the GPUs are in use by container sentinel"
    row = watched.run(gpu_reboot="never")
    assert row["state"] in ("reboot-pending", "not-ready")
    row = watched.run(gpu_drain="true", gpu_undrain="echo back >>/srv/log")
    assert (row["state"], host.nsenter("cat /srv/log").stdout) == ("failed", "back\n")
    assert host.boot_id() == boot


def test_process_with_a_device_open_is_named_with_its_user_and_unit(watched: Watched) -> None:
    host = watched.site.host
    host.nsenter(
        "cp /bin/sleep /usr/bin/model-server; useradd -m alice; chmod 666 /dev/nvidia0; usermod -aG root alice"
    )
    host.put(
        "/usr/bin/nvidia-smi",
        '#!/bin/sh\ncase "$*" in *compute-apps*) echo "$(pidof model-server), 23552" ;; *) exit 9 ;; esac\n',
        0o755,
    )
    host.nsenter("systemd-run --quiet --unit=llm --uid=alice sh -c 'exec model-server 9999 </dev/nvidia0'")
    pid = host.nsenter("systemctl show -p MainPID --value llm").stdout.strip()
    found = watched.refusal(watched.run())
    assert (
        found
        == f"the GPUs are in use by model-server 9999[{pid}] of alice in unit llm.service, 23 GiB; container sentinel"
    )
    assert host.nsenter("systemctl show -p MainPID --value llm").stdout.strip() == pid
    container = host.nsenter(
        "docker exec -d sentinel /bin/busybox sh -c 'exec /bin/busybox sleep 999 </dev/nvidia0'; sleep 1"
    )
    assert container.returncode == 0
    assert "/bin/busybox sleep 999[" in (found := watched.refusal(watched.run()))
    assert found.endswith("of root in container sentinel"), "who is named by its process is not named twice"


def test_ten_thousand_requests_have_seen_no_failure(watched: Watched) -> None:
    limit = time.monotonic() + 300
    while watched.client.requests < REQUESTS and time.monotonic() < limit:
        time.sleep(0.5)
    watched.client.stop()
    print(
        f"{watched.client.requests} requests, slowest {watched.client.slowest:.2f} s, failures: {watched.client.failures}"
    )
    assert watched.client.requests >= REQUESTS
    assert watched.client.failures == []
    assert life(watched.site.host) == watched.life
