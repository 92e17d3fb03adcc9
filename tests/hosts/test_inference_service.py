"""Model services on a real engine: started, proven healthy, left alone, made anew one by one, and never in place of somebody else's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory

RUNTIME = '#!/bin/sh\nexec runc "$@"\n'
CTK = '#!/bin/sh\necho "NVIDIA Container Toolkit CLI version 1.20.0"\n'
DAEMON = '{"runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}}}\n'
IMAGE = "stand-in/server:1"
# A web server in an image of its own, as a tar that a site would bring along.
MAKE_IMAGE = f"""set -e
mkdir -p /tmp/i/bin /tmp/i/srv && cp /bin/busybox /tmp/i/bin/ && ln -sf busybox /tmp/i/bin/sh && echo fine >/tmp/i/srv/ok
tar -C /tmp/i -c . | docker import --change 'ENTRYPOINT ["/bin/busybox"]' - {IMAGE} >/dev/null
echo fine >/srv/ok; docker save --output /srv/server.tar {IMAGE} && docker rmi {IMAGE} >/dev/null
"""
SERVE = ["httpd", "-f", "-p", "8000", "-h", "/srv"]
SERVICES: dict[str, Any] = {
    "llm": {
        "image": IMAGE,
        "archive": "/srv/server.tar",
        "command": SERVE,
        "ports": {8000: 18000},
        "health": {
            "command": "/bin/busybox wget -q -O /dev/null http://127.0.0.1:8000/ok",
            "interval": 1,
            "start_period": 20,
        },
    },
    "embeddings": {
        "image": IMAGE,
        "archive": "/srv/server.tar",
        "command": SERVE,
        "ports": {8000: 18001},
        "gpus": None,
    },
    "metrics": {
        "kind": "raw",
        "command": ["/bin/busybox", "httpd", "-f", "-p", "127.0.0.1:18002", "-h", "/srv"],
        "gpus": None,
    },
}


@dataclass
class Site:
    """The host, and what the last run said."""

    host: Host
    folder: Path
    services: dict[str, Any] = field(default_factory=lambda: deepcopy(SERVICES))

    def run(self) -> subprocess.CompletedProcess[str]:
        data = {"gpu_services": self.services, "gpu_report_dir": str(self.folder)}
        inventory = write_inventory(self.folder / "inventory.py", [self.host], data)
        done = run_pyinfra(inventory, "deploys/inference_service.py", "-y")
        print(done.stdout[-2000:], done.stderr[-6000:])
        return done

    def changed(self) -> list[str]:
        (host,) = json.loads((self.folder / "latest.json").read_text())["hosts"]
        found: list[str] = host["changed"]
        return found

    def life(self) -> dict[str, str]:
        """Process, start and restarts of every service."""
        look = (
            "docker inspect --format '{{.Name}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' $(docker ps -q)"
        )
        lines = self.host.nsenter(look).stdout.splitlines()
        unit = self.host.nsenter("systemctl show -p MainPID --value gpu-service-metrics").stdout.strip()
        return {**{line.split()[0].lstrip("/"): line for line in lines}, "metrics": unit}


@pytest.fixture(scope="module")
def site(make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory) -> Site:
    host = make_module_host("trixie", "serve")
    host.put("/usr/bin/nvidia-container-runtime", RUNTIME, 0o755)
    host.put("/usr/bin/nvidia-ctk", CTK, 0o755)
    host.put("/etc/docker/daemon.json", DAEMON)
    host.nsenter(
        "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "
        "docker.io docker-cli iptables busybox-static && systemctl start docker",
        timeout=600,
    )
    host.nsenter(MAKE_IMAGE, timeout=300)
    return Site(host, tmp_path_factory.mktemp("serve"))


def test_services_are_started_and_serve_on_loopback_only(site: Site) -> None:
    assert site.run().returncode == 0
    for port in (18000, 18001, 18002):
        assert site.host.nsenter(f"busybox wget -q -T 10 -O - http://127.0.0.1:{port}/ok").stdout == "fine\n"
    listening = [line.split()[3] for line in site.host.nsenter("ss -ltnH").stdout.splitlines() if ":1800" in line]
    assert sorted(listening) == ["127.0.0.1:18000", "127.0.0.1:18001", "127.0.0.1:18002"]


def test_the_gpu_comes_by_the_way_that_the_rule_names(site: Site) -> None:
    """Docker 26.1 with a toolkit that makes a specification for each container; a service without GPU has none of it."""
    look = "docker inspect --format '{{.HostConfig.Runtime}} {{json .Config.Env}}' "
    assert "nvidia " in site.host.nsenter(f"{look} llm").stdout
    assert "NVIDIA_VISIBLE_DEVICES=0" in site.host.nsenter(f"{look} llm").stdout
    assert "LC_ALL=C.UTF-8" in site.host.nsenter(f"{look} llm").stdout
    assert site.host.nsenter(f"{look} embeddings").stdout.startswith("runc ")


def test_second_run_touches_nothing(site: Site) -> None:
    before = site.life()
    assert site.run().returncode == 0
    assert site.life() == before
    assert site.changed() == []


def test_host_without_services_says_so(site: Site) -> None:
    services, site.services = site.services, {}
    done = site.run()
    site.services = services
    assert done.returncode == 0
    assert "gpu_services is empty: nothing to do" in done.stderr


def test_one_changed_setting_makes_that_container_anew_and_no_other(site: Site) -> None:
    before = site.life()
    site.services["embeddings"]["environment"] = {"MODEL": "other", "TOKEN": "s3cret"}
    assert site.run().returncode == 0
    after = site.life()
    assert {name for name in after if after[name] != before[name]} == {"embeddings"}
    assert site.host.nsenter("stat -c '%a %U' /etc/gpu-host/services/embeddings.env").stdout == "600 root\n"
    assert "s3cret" not in site.host.nsenter("cat /var/log/remote-commands.log").stdout


def test_stopped_service_is_started_again(site: Site) -> None:
    site.host.nsenter("docker stop --time 1 embeddings; systemctl stop gpu-service-metrics")
    assert site.run().returncode == 0
    life = site.life()
    assert "embeddings" in life
    assert life["metrics"] != "0"


def test_service_that_does_not_run_is_told_with_its_last_words(site: Site) -> None:
    before = site.life()
    site.services["broken"] = {"image": IMAGE, "command": ["cat", "/no/such/model"], "gpus": None}
    done = site.run()
    site.services.pop("broken")
    site.host.nsenter("docker rm --force broken")
    assert done.returncode == 1
    assert "/no/such/model" in done.stderr + done.stdout
    assert "the service broken does not run" in done.stderr + done.stdout
    assert site.life() == before


def test_image_that_is_nowhere_is_told_apart(site: Site) -> None:
    site.services["absent"] = {"image": "registry.invalid/none:1", "gpus": None}
    pulled = site.run()
    site.services["absent"]["archive"] = "/srv/server.tar"
    loaded = site.run()
    site.services.pop("absent")
    assert (pulled.returncode, loaded.returncode) == (1, 1)
    assert "could not pull registry.invalid/none:1" in pulled.stderr + pulled.stdout
    assert "the image registry.invalid/none:1 is not in /srv/server.tar" in loaded.stderr + loaded.stdout


TOO_OLD = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --log ] && log=$2; shift; done
echo '{"level":"error","msg":"nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver to a newer version"}' >>"$log"
exit 1
"""


def test_driver_that_is_too_old_for_the_image_is_named(site: Site) -> None:
    """The runtime refuses such an image when the container starts; its own words, written as it writes them."""
    site.host.put("/usr/bin/nvidia-container-runtime", TOO_OLD, 0o755)
    site.services["new"] = {"image": IMAGE, "command": SERVE}
    done = site.run()
    site.services.pop("new")
    site.host.put("/usr/bin/nvidia-container-runtime", RUNTIME, 0o755)
    site.host.nsenter("docker rm --force new")
    assert done.returncode == 1
    said = done.stderr + done.stdout
    assert "unsatisfied condition: cuda>=13.0" in said
    assert f"the driver of this host is too old for the image {IMAGE}" in said


def test_container_of_somebody_else_stays(site: Site) -> None:
    site.host.nsenter(f"docker run -d --name theirs {IMAGE} sleep 600")
    theirs = site.life()["theirs"]
    site.services["theirs"] = {"image": IMAGE, "command": SERVE, "gpus": None}
    done = site.run()
    site.services.pop("theirs")
    assert done.returncode == 1
    assert "a container theirs is there that this toolkit has not made" in done.stderr + done.stdout
    assert site.life()["theirs"] == theirs
    assert "theirs.env" not in site.host.nsenter("ls /etc/gpu-host/services").stdout


SMI = """#!/bin/sh
case "$*" in *query-compute-apps*) cat /root/apps 2>/dev/null || : ;; *) echo "couldn't communicate with the NVIDIA driver"; exit 9 ;; esac
"""


def proof(site: Site) -> dict[str, tuple[str, str]]:
    """What verify.py says of the services."""
    data = {"gpu_services": site.services, "gpu_report_dir": str(site.folder)}
    inventory = write_inventory(site.folder / "inventory.py", [site.host], data)
    run_pyinfra(inventory, "deploys/verify.py", "-y")
    (host,) = json.loads((site.folder / "latest.json").read_text())["hosts"]
    return {s["name"]: (s["result"], s["detail"]) for s in host["steps"] if s["name"].startswith("service ")}


def test_the_proof_tells_a_service_on_its_gpu_from_one_on_the_cpu_and_from_one_that_has_lost_it(site: Site) -> None:
    """With an nvidia-smi that says what it is told: which process is on a GPU is found out by its cgroup."""
    site.host.put("/usr/bin/nvidia-smi", SMI, 0o755)
    before = site.life()
    said = proof(site)
    assert said["service llm"] == (
        "FAIL",
        "none of its processes is on a GPU: it runs on the CPU, or has not loaded its model yet",
    )
    runs = ("PASS", "runs, without a GPU as it is wanted")
    assert (said["service embeddings"], said["service metrics"]) == (runs, runs)
    pid = site.host.nsenter("docker inspect --format '{{.State.Pid}}' llm").stdout.strip()
    site.host.put("/root/apps", f"{pid}, 1234\n")
    assert proof(site)["service llm"] == ("PASS", f"process {pid} with 1234 MiB of video memory")
    lost = "#!/bin/sh\necho 'Failed to initialize NVML: Unknown Error'; exit 255"
    site.host.nsenter(
        f"docker exec -i llm sh -c 'cat >/bin/nvidia-smi; busybox chmod 755 /bin/nvidia-smi' <<'E'\n{lost}\nE"
    )
    assert proof(site)["service llm"][1].startswith("GPU lost")
    assert site.life() == before
