"""The road, end to end, with real packages: two bare Debian hosts become GPU hosts, a third one meets a module that cannot be built.

One run provisions all three; every test below looks at what it left behind.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.repository import Repository
from tests.bed.snapshot import Snapshot, diff, snapshot

ROAD_LIMIT = 3600
GOOD = ("road-12", "road-13")
BROKEN = "road-13-open"


@dataclass
class Road:
    """Hosts by name, snapshots from before the run, and what each run said."""

    hosts: dict[str, Host]
    inventory: Path
    reports: Path
    before: dict[str, Snapshot] = field(default_factory=dict)
    boots: dict[str, str] = field(default_factory=dict)
    first: subprocess.CompletedProcess[str] | None = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_pyinfra(self.inventory, *arguments, timeout=ROAD_LIMIT)

    def result(self, name: str) -> dict[str, Any]:
        document = json.loads((self.reports / "latest.json").read_text())
        found: dict[str, Any] = next(h for h in document["hosts"] if h["host"] == name)
        return found


@pytest.fixture(scope="module")
def road(
    make_module_host: Callable[..., Host], toolkit_repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> Road:
    folder = tmp_path_factory.mktemp("road")
    repo = toolkit_repository
    mirror = {"nvidia-container-toolkit": {"url": repo.url, "key": str(repo.key_path), "fingerprint": repo.fingerprint}}
    hosts = {
        "road-12": make_module_host("bookworm", "road-12", gpus="t4"),
        "road-13": make_module_host("trixie", "road-13", gpus="a100"),
        BROKEN: make_module_host("trixie", BROKEN, gpus="t4"),
    }
    data = {"gpu_mirrors": mirror, "gpu_report_dir": str(folder / "reports")}
    # The rules know that this module does not compile; accepted, it is the trial build that must catch it.
    own = {BROKEN: {"gpu_kernel_modules": "open", "gpu_cuda": None, "gpu_accept": ["kernel_fits_driver"]}}
    inventory = write_inventory(folder / "inventory.py", [(h, own.get(n, {})) for n, h in hosts.items()], data)
    road = Road(hosts, inventory, folder / "reports")
    road.before = {name: snapshot(host) for name, host in hosts.items()}
    road.boots = {name: host.boot_id() for name, host in hosts.items()}
    road.first = road.run("deploys/gpu_host.py", "-y")
    print(road.first.stdout[-3000:], road.first.stderr[-12000:])
    return road


def own_traces(changes: list[str]) -> list[str]:
    """Without what a failed rehearsal may leave: its log, and its empty state folder."""
    return [line for line in changes if "/gpu-host" not in line and not line.startswith("~ /var/lib: mtime")]


@pytest.fixture(params=GOOD)
def host(road: Road, request: pytest.FixtureRequest) -> Host:
    return road.hosts[request.param]


def test_real_dkms_module_is_installed_for_the_hosts_kernel(host: Host) -> None:
    release = host.ssh("uname -r").stdout.strip()
    status = host.ssh("dkms status").stdout
    assert any("nvidia-current" in line and release in line and "installed" in line for line in status.splitlines()), (
        status
    )
    module = host.ssh(f"modinfo -k {release} -F version nvidia-current").stdout.strip()
    library = host.ssh("dpkg-query -W -f '${Version}' libcuda1").stdout
    assert module
    assert library.startswith(module)


def test_real_module_was_compiled_once_and_no_override_stays(host: Host) -> None:
    """The transaction takes the module of the rehearsal; the next kernel must be compiled as ever."""
    assert host.ssh("grep -l gpu-host /etc/dkms/*.conf", check=False).stdout == ""
    log = host.ssh("cat /var/lib/dkms/nvidia-current/*/*/*/log/make.log").stdout
    assert "CC [M]" not in log
    assert host.ssh("ls -A /var/lib/gpu-host 2>/dev/null", check=False).stdout.split() == [
        "edits",
        "enabled",
        "installed",
        "kept",
    ]


def test_real_nvcc_is_newer_than_11_3(host: Host) -> None:
    text = host.ssh("nvcc --version").stdout
    major, minor = text.split("release ")[1].split(",")[0].split(".")
    assert (int(major), int(minor)) > (11, 3)


def test_real_docker_engine_runs_with_the_runtime(host: Host) -> None:
    version = host.ssh("docker version --format '{{.Server.Version}}'").stdout.strip()
    assert tuple(int(p) for p in version.split("+")[0].split(".")[:2]) >= (19, 3)
    runtimes = json.loads(host.ssh("docker info --format '{{json .Runtimes}}'").stdout)
    assert "nvidia" in runtimes
    assert host.ssh("systemctl is-active docker containerd").stdout.split() == ["active", "active"]


def test_compose_v2_where_the_release_has_it(road: Road) -> None:
    assert road.hosts["road-13"].ssh("docker compose version --short").stdout.strip().lstrip("v") >= "2"
    assert road.hosts["road-12"].ssh("docker compose version", check=False).returncode != 0


def test_nouveau_is_gone_and_blocked_in_every_boot_image(host: Host) -> None:
    assert "nouveau" not in host.ssh("cat /proc/modules").stdout
    images = host.ssh("ls /boot/initrd.img-*").stdout.split()
    assert images
    for image in images:
        listing = host.ssh(f"lsinitramfs {image}").stdout.splitlines()
        assert any(line.endswith("etc/modprobe.d/gpu-host-nouveau.conf") for line in listing)
        assert not [line for line in listing if line.endswith(("nouveau.ko", "nouveau.ko.xz", "nouveau.ko.zst"))]


def test_one_reboot_by_state(road: Road, host: Host) -> None:
    assert host.boot_id() != road.boots[host.name]
    assert road.first is not None
    assert len(re.findall(rf"\[{host.name}\]\s+reboot: nouveau holds", road.first.stderr)) == 1


def test_one_transaction_and_one_image_build_per_kernel(host: Host) -> None:
    history = host.ssh("grep -c '^Commandline: apt-get .* install ' /var/log/apt/history.log").stdout.strip()
    assert history == "1"
    log = host.ssh("cat /var/log/gpu-host/transaction.log /var/log/gpu-host/initramfs.log", check=False).stdout
    images = [line for line in log.splitlines() if line.startswith("update-initramfs: Generating")]
    assert len(images) == len(set(images)) == len(host.ssh("ls /boot/initrd.img-*").stdout.split())


def test_mirror_and_format_of_the_hosts_own_sources_are_kept(road: Road) -> None:
    for name, path in (("road-12", "/etc/apt/sources.list"), ("road-13", "/etc/apt/sources.list.d/debian.sources")):
        text = road.hosts[name].ssh(f"cat {path}").stdout
        assert "main contrib non-free non-free-firmware" in text
        assert text.startswith("Types:") == path.endswith(".sources")


def test_without_silicon_the_verdict_is_the_drivers_own_error(road: Road, host: Host) -> None:
    result = road.result(host.name)
    steps = {s["name"]: s for s in result["steps"]}
    assert result["state"] == "not-ready"
    assert steps["nouveau_absent"]["result"] == "PASS"
    assert steps["driver_built"]["result"] == "PASS"
    assert steps["cuda_toolkit"]["result"] == "PASS"
    assert steps["docker_engine"]["result"] == "PASS"
    assert steps["container_runtime"]["result"] == "PASS"
    assert steps["driver_loaded"]["result"] == "FAIL"
    assert "couldn't communicate with the NVIDIA driver" in steps["nvml"]["detail"]


def test_first_run_says_which_host_is_which(road: Road) -> None:
    assert road.first is not None
    assert road.first.returncode != 0
    assert road.result(BROKEN)["state"] == "failed"
    rows = {
        line.split()[0]: line.split()[1]
        for line in road.first.stderr.splitlines()
        if line.startswith("road-") and len(line.split()) > 3
    }
    assert rows[BROKEN] == "failed"
    assert {rows[name] for name in GOOD} == {"not-ready"}


def test_real_open_module_that_does_not_compile_leaves_the_host_as_it_was(road: Road) -> None:
    """Debian 13's open module does not build on its security kernel: found in the rehearsal, before the host depends on it."""
    host = road.hosts[BROKEN]
    assert road.first is not None
    said = [line for line in road.first.stderr.splitlines() if f"[{BROKEN}]" in line]
    assert any("error:" in line for line in said), "the compiler's message is shown"
    assert any("does not compile on this host" in line for line in said)
    assert host.ssh("dpkg --audit").stdout == ""
    assert host.ssh("apt-get check").returncode == 0
    assert host.boot_id() == road.boots[BROKEN]
    assert own_traces(diff(road.before[BROKEN], snapshot(host))) == []


def test_second_run_changes_nothing_and_costs_at_most_three_commands(road: Road) -> None:
    before = {name: snapshot(road.hosts[name]) for name in GOOD}
    boots = {name: road.hosts[name].boot_id() for name in GOOD}
    counts = {name: road.hosts[name].count_commands() for name in GOOD}
    run = road.run("deploys/gpu_host.py", "-y", "--limit", GOOD[0], "--limit", GOOD[1])
    spent = {name: road.hosts[name].count_commands() - counts[name] for name in GOOD}
    print(run.stderr[-6000:])
    for name in GOOD:
        assert diff(before[name], snapshot(road.hosts[name])) == []
        assert road.hosts[name].boot_id() == boots[name]
        assert road.result(name)["changed"] == []
        assert spent[name] <= 3, road.hosts[name].commands()[-spent[name] :]


def test_verify_and_dry_run_of_a_converged_host_change_nothing(road: Road, host: Host) -> None:
    before = snapshot(host)
    verify = road.run("deploys/verify.py", "-y", "--limit", host.name)
    dry = road.run("deploys/gpu_host.py", "--dry", "-y", "--limit", host.name)
    assert verify.returncode == 1
    assert dry.returncode == 0
    assert "nothing to do" in dry.stderr
    assert diff(before, snapshot(host)) == []


def test_changed_daemon_json_keeps_foreign_keys_and_running_containers(road: Road) -> None:
    """A foreign key appears and our runtime is gone: merged back by a reload; the engine's process stays the same."""
    host = road.hosts["road-13"]
    engine = host.ssh("systemctl show -p MainPID --value docker").stdout
    host.put("/etc/docker/daemon.json", '{"log-opts": {"max-size": "10m"}}\n')
    host.ssh("systemctl reload docker")
    road.run("deploys/gpu_host.py", "-y", "--limit", host.name)
    document = json.loads(host.ssh("cat /etc/docker/daemon.json").stdout)
    assert document["log-opts"] == {"max-size": "10m"}
    assert document["runtimes"]["nvidia"]["path"] == "/usr/bin/nvidia-container-runtime"
    assert "nvidia" in json.loads(host.ssh("docker info --format '{{json .Runtimes}}'").stdout)
    assert host.ssh("systemctl show -p MainPID --value docker").stdout == engine
