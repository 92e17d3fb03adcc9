"""The road on one host of every family, by its real package manager, from signed repositories of stand-in packages.

One run provisions all five. The kernel module is a file that no kernel takes, so the last word is "not ready"; what is looked at is
what was installed, from where, in how many transactions, and that nothing moves it afterwards.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploys.knowledge.paths import DRAIN_RECORD, PULL_UNITS
from tests.bed import rpms
from tests.bed.bed import Bed
from tests.bed.families import FAMILIES
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.rpms import RpmRepositories
from tests.bed.shell import REPOSITORY
from tests.bed.snapshot import diff, snapshot
from tests.hosts import families_lab, pacman_lab
from tests.hosts.families_lab import HOSTS, LATER, LATER_OTHERS, VERSIONS, Family
from tests.hosts.pacman_lab import PacmanLab

LIMIT = 1800
# What lists "NAME VERSION" of all packages, upgrades all of them, and counts the transactions so far.
LIST = {
    "ubuntu": "dpkg-query -W -f '${Package} ${Version}\\n'",
    "arch": "pacman -Q",
    **dict.fromkeys(("rocky", "fedora", "leap"), "rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\\n'"),
}
UPGRADE = {
    "ubuntu": "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y upgrade",
    "rocky": "dnf -y upgrade",
    "fedora": "dnf5 -y upgrade",
    "leap": "zypper --non-interactive update",
    "arch": "pacman --noconfirm -Syyu",
}
COUNT = {
    "ubuntu": "grep -c '^Commandline: apt-get .* install ' /var/log/apt/history.log",
    "rocky": "dnf history list | grep -c '^ *[0-9]'",
    "fedora": "dnf5 history list | grep -c '^ *[0-9]'",
    "leap": "grep -c '|command|' /var/log/zypp/history",
    "arch": "grep -c 'transaction started' /var/log/pacman.log",
}


# The same by somebody who does not care about our holds.
BEHIND = {
    "ubuntu": "apt-mark unhold $(apt-mark showhold); apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y dist-upgrade",
    "rocky": "dnf -y --disableplugin versionlock --refresh upgrade",
}


@dataclass
class Road:
    """Five hosts, and what each run said about them."""

    repos: RpmRepositories
    families: dict[str, Family]
    lab: PacmanLab
    folder: Path
    before: dict[str, int] = field(default_factory=dict)
    first: subprocess.CompletedProcess[str] | None = None
    bare: dict[str, set[str]] = field(default_factory=dict)

    def run(
        self,
        deploy: str = "deploys/gpu_host.py",
        *words: str,
        names: Iterable[str] = HOSTS,
        reboot: str = "when-needed",
        **branches: str,
    ) -> subprocess.CompletedProcess[str]:
        """The product, as an operator runs it, with another branch for some hosts."""
        data = {
            "gpu_report_dir": str(self.folder / "reports"),
            "gpu_accept": ["release_not_ended"],
            "gpu_reboot": reboot,
        }
        hosts = [
            (f.host, {**f.data, "gpu_driver_branch": branches.get(name, f.branch)})
            for name, f in self.families.items()
            if name in names
        ]
        inventory = write_inventory(self.folder / "inventory.py", hosts, data)
        done = run_pyinfra(inventory, deploy, "-y", "--parallel", "2", *words, timeout=LIMIT)
        print(done.stdout[-3000:], done.stderr[-20000:])
        return done

    def results(self) -> dict[str, dict[str, Any]]:
        document = json.loads((self.folder / "reports/latest.json").read_text())
        return {h["host"]: h for h in document["hosts"]}

    def packages(self, name: str) -> dict[str, str]:
        lines = self.families[name].host.nsenter(LIST[name]).stdout.splitlines()
        return dict(line.split()[:2] for line in lines)

    def transactions(self, name: str) -> int:
        return int(self.families[name].host.nsenter(COUNT[name], check=False).stdout or 0)

    def keys(self, name: str) -> int:
        """How many keys rpm trusts."""
        return len(self.families[name].host.nsenter("rpm -qa 'gpg-pubkey*'", check=False).stdout.split())

    def streams(self, name: str) -> str:
        """The module streams that are enabled."""
        return self.families[name].host.nsenter("grep -h '^stream=.' /etc/dnf/modules.d/*", check=False).stdout

    def drivers(self, name: str, packages: tuple[str, ...]) -> set[str]:
        """Upstream versions of the driver's packages."""
        found = self.packages(name)
        return {re.split("[-_]", found[p])[0] for p in packages}


@pytest.fixture(scope="module")
def road(bed: Bed, make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    folder = tmp_path_factory.mktemp("families")
    repos = rpms.start(folder / "bed", bed.network.gateway)
    lab = None
    try:
        key = families_lab.vendor_key(repos, folder)
        hosts = {name: make_module_host(name, name, gpus="t4") for name in HOSTS}
        lab = pacman_lab.trust(hosts["arch"])
        families = {n: families_lab.stock_rpm(n, hosts[n], repos, key) for n in ("rocky", "fedora", "leap")}
        families["ubuntu"] = families_lab.stock_deb(hosts["ubuntu"], repos, key)
        families["arch"] = families_lab.stock_arch(lab)
        road = Road(repos, families, lab, folder)
        road.before = {name: road.transactions(name) for name in HOSTS}
        road.bare = {name: set(road.packages(name)) for name in HOSTS}
        road.first = road.run()
        yield road
    finally:
        if lab is not None:
            pacman_lab.stop(lab)
        rpms.stop(folder / "bed")


@pytest.fixture(params=list(HOSTS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_everything_of_the_plan_is_installed_in_the_pinned_branch(road: Road, name: str) -> None:
    family = road.families[name]
    lacking = set(family.first.packages.wanted) - set(road.packages(name))
    assert lacking == set()
    assert road.drivers(name, family.first.driver.packages) == {VERSIONS[family.branch][-1]}


def test_it_was_one_transaction_after_what_comes_first(road: Road, name: str) -> None:
    pins = len(road.families[name].first.packages.pins) > 0
    assert road.transactions(name) == road.before[name] + 1 + pins


def test_only_silicon_is_missing(road: Road, name: str) -> None:
    result = road.results()[name]
    steps = {s["name"]: s["result"] for s in result["steps"]}
    passed = ("pci_gpus", "nouveau_absent", "driver_built", "cuda_toolkit", "docker_engine", "container_runtime")
    assert {s: steps[s] for s in passed} == dict.fromkeys(passed, "PASS")
    assert steps["driver_loaded"] == "FAIL"
    assert result["state"] == "not-ready"


def test_nouveau_is_gone_by_one_reboot(road: Road, name: str) -> None:
    assert road.first is not None
    assert "nouveau" not in road.families[name].host.nsenter("cat /proc/modules").stdout
    assert len(re.findall(rf"\[{name}\]\s+reboot: nouveau ", road.first.stderr)) == 1


def test_second_run_changes_nothing(road: Road, name: str) -> None:
    host = road.families[name].host
    before = snapshot(host)
    if name == next(iter(HOSTS)):
        road.run()
    assert road.results()[name]["changed"] == []
    assert diff(before, snapshot(host)) == []


def test_pinned_branch_stays_when_everything_is_upgraded(road: Road, name: str) -> None:
    family = road.families[name]
    if name == "arch":
        newer = families_lab.drivers(family.first, family.next_branch, FAMILIES["arch"].release, "")
        road.lab.offer(newer)
    family.host.nsenter(UPGRADE[name], timeout=600)
    assert road.drivers(name, family.first.driver.packages) == {VERSIONS[family.branch][-1]}


@pytest.fixture(scope="module")
def behind(road: Road) -> list[dict[str, dict[str, Any]]]:
    """Driver, CUDA and Docker are upgraded behind our back while the old driver is loaded; what the next two runs say."""
    for name, command in BEHIND.items():
        host = road.families[name].host
        families_lab.offer_later(road.families[name], road.repos)
        version = VERSIONS["580"][-1]
        host.put(
            "/etc/hostmask/root/proc/driver/nvidia/version",
            f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}\n",
        )
        host.put("/sys/module/nvidia/version", f"{version}\n")
        host.nsenter(command, timeout=600)
    said = []
    for _ in range(2):
        road.run(names=BEHIND, reboot="never")
        said.append(road.results())
    return said


@pytest.mark.parametrize("name", list(BEHIND))
def test_upgrades_behind_our_back_leave_a_reboot_pending_and_nothing_else(
    road: Road, behind: list[dict[str, dict[str, Any]]], name: str
) -> None:
    first, second = (said[name] for said in behind)
    assert road.drivers(name, road.families[name].first.driver.packages) == {LATER}
    assert {road.packages(name)[p] for p in ("docker-ce", "cuda-toolkit-13-0")} == {LATER_OTHERS}
    assert first["state"] == second["state"] == "reboot-pending"
    assert f"driver {VERSIONS['580'][-1]} is loaded, {LATER} is on disk" in first["detail"]
    assert second["changed"] == []


def test_branch_switch_is_one_transaction(road: Road, name: str) -> None:
    family = road.families[name]
    if name == next(iter(HOSTS)):
        road.before = {n: road.transactions(n) for n in HOSTS}
        road.run(**{n: f.next_branch for n, f in road.families.items()})
    assert road.drivers(name, family.next.driver.packages) == {VERSIONS[family.next_branch][-1]}
    steering = set(family.next.packages.pins) - set(family.first.packages.pins)
    assert road.transactions(name) == road.before[name] + 1 + bool(steering)
    assert road.results()[name]["changed"] != []


def test_uninstall_leaves_what_was_there_before(road: Road, name: str) -> None:
    """A dry run shows the page and changes nothing. One host had been told to provision itself, and its work was moved away."""
    if name == next(iter(HOSTS)):
        host = road.families[name].host
        for unit in PULL_UNITS:
            host.put(unit, (REPOSITORY / "inventories/pull" / unit.rpartition("/")[2]).read_text())
        host.nsenter(f"systemctl enable --now gpu-host-pull.timer; : >{DRAIN_RECORD}")
        dry = road.run("deploys/uninstall.py", "--dry")
        assert all(f"{n}: uninstall" in dry.stderr for n in HOSTS)
        assert all(len(road.packages(n)) > len(road.bare[n]) for n in HOSTS)
        road.run("deploys/uninstall.py")
        assert "gpu-host-pull" not in host.nsenter("systemctl list-timers --all; systemctl list-unit-files").stdout
        assert "its work was moved away (gpu_drain)" in road.results()[name]["detail"]
    assert road.results()[name]["state"] == "removed"
    assert set(road.packages(name)) == road.bare[name]
    assert (
        road.families[name]
        .host.nsenter("find /etc /var/lib/gpu-host /var/cache -name '*gpu-host*'", check=False)
        .stdout
        == ""
    )
    assert (road.keys(name), road.streams(name)) == (1, "") or name in ("ubuntu", "arch")


def test_host_is_provisioned_again_after_an_uninstall(road: Road) -> None:
    family = road.families["ubuntu"]
    road.run("deploys/gpu_host.py", "--limit", "ubuntu", ubuntu=family.branch)
    assert set(family.first.packages.wanted) <= set(road.packages("ubuntu"))
