"""Docker, CUDA and the container toolkit: from which source, and what stays because it is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploys.knowledge.paths import FABRIC_MODULES, repository_files
from deploys.knowledge.records import Distro, Repository
from deploys.operations import packages
from deploys.plan.capabilities import Capability, capabilities
from deploys.plan.driver_source import choose_driver
from deploys.plan.machine import FileState, Machine, Package, TextFile
from deploys.plan.plan import Plan, make_plan
from deploys.plan.repositories import our_repositories
from deploys.plan.settings import Mirror, Settings
from tests.plan.hosts import B200, GTX_1080, H100, NVSWITCH, changed, debian_12_bare, distro_of, gpus, installed
from tests.plan.test_driver_source import _TEST, NAMED

DOCKER = Repository(
    name="docker",
    url="https://download.example/linux/debian",
    key="",
    fingerprint="",
    path="",
    suite="bookworm",
    components="stable",
    packages=("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin"),
    why="Docker's own repository",
    source=_TEST,
)
CUDA = replace(DOCKER, name="cuda", url="https://download.example/cuda", suite="/", components="", packages=())
BARE = debian_12_bare()
SOURCE = repository_files("apt", "docker")[1]


def room(**changes: object) -> Distro:
    base = distro_of(BARE)
    repositories = {**base.repositories, "docker": DOCKER, "cuda": CUDA}
    base = replace(base, layouts=(NAMED,), repositories=repositories, vendor_cuda="cuda-toolkit-{major}-{minor}")
    return replace(base, default_docker="docker", **changes)  # type: ignore[arg-type]


def plan(machine: Machine = BARE, distro: Distro | None = None, **settings: object) -> Plan:
    return make_plan(machine, Settings(**settings), distro or room())  # type: ignore[arg-type]


def with_packages(*names: str) -> Machine:
    there = {n: Package(n, "5:28.1.1-1", architecture="amd64") for n in names}
    return changed(BARE, packages__installed={**BARE.packages.installed, **there})


def row(made: Plan, name: str) -> Capability:
    return next(c for c in made.capabilities if c.name == name)


def test_docker_of_its_own_repository_is_one_set_with_its_compose() -> None:
    made = plan()
    assert row(made, "docker").packages == ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin")
    assert row(made, "compose").packages == ("docker-compose-plugin",)
    assert SOURCE in {f.path for f in made.files}


def test_docker_of_the_distribution_on_request() -> None:
    made = plan(docker_source="distro")
    assert row(made, "docker").packages == ("docker.io",)
    assert SOURCE not in {f.path for f in made.files}


def test_an_engine_that_is_there_stays_with_its_source() -> None:
    made = plan(with_packages("docker.io"))
    assert row(made, "docker").packages == ("docker.io",)
    by_hand = plan(with_packages("docker-ce"))
    assert row(by_hand, "docker").packages == ()
    assert "docker-ce is there and stays" in row(by_hand, "docker").why
    assert SOURCE not in {f.path for f in by_hand.files}


@pytest.mark.parametrize("ours", [True, False])
def test_an_engine_with_its_repository_gets_what_its_set_lacks(ours: bool) -> None:
    there = with_packages("docker-ce", "docker-ce-cli", "containerd.io")
    if ours:
        there = changed(there, files={SOURCE: FileState(SOURCE, "0" * 64, "644")})
    else:
        line = TextFile("/etc/apt/sources.list.d/docker.list", f"deb {DOCKER.url} bookworm stable\n")
        there = changed(there, packages__sources=(*there.packages.sources, line))
    made = plan(there)
    assert {"docker-compose-plugin", "docker-buildx-plugin"} <= set(made.packages.missing)
    assert (SOURCE in {f.path for f in made.files}) is ours


def test_cuda_comes_from_where_the_driver_comes_from() -> None:
    assert row(plan(), "cuda").packages == ("nvidia-cuda-toolkit",)
    vendor = row(plan(driver_source="nvidia"), "cuda")
    assert vendor.repository == "cuda"
    assert vendor.packages[0].startswith("cuda-toolkit-1")


def test_the_newest_toolkit_is_one_that_the_oldest_gpu_allows() -> None:
    pascal = debian_12_bare(pci=gpus(GTX_1080))
    assert row(plan(pascal, driver_source="nvidia"), "cuda").packages == ("cuda-toolkit-12-9",)


def test_toolkits_side_by_side_and_one_that_is_there() -> None:
    both = row(plan(driver_source="nvidia", cuda=("12.4", "13.0")), "cuda")
    assert both.packages == ("cuda-toolkit-13-0", "cuda-toolkit-12-4")
    there = installed(BARE, cuda_toolkit_12_6="12.6.3-1")
    assert row(plan(there, driver_source="nvidia"), "cuda").packages == ("cuda-toolkit-12-6",)


def test_nvswitch_machines_get_fabric_manager_at_the_drivers_version() -> None:
    hgx = debian_12_bare(pci=gpus(H100, NVSWITCH))
    made = plan(hgx, driver_source="nvidia", driver_branch="580.178.04")
    names = row(made, "fabric").packages
    assert "nvidia-fabricmanager-580" in names
    assert made.packages.versions["nvidia-fabricmanager-580"] == "580.178.04"
    assert "nvidia-fabricmanager-580" in made.packages.same_version
    assert "nvidia-fabricmanager.service" in made.services
    assert not [c for c in plan(hgx).capabilities if c.name == "fabric"], "the archive has none"


def test_fabric_manager_goes_with_the_driver_that_is_there() -> None:
    hgx = debian_12_bare(pci=gpus(H100, NVSWITCH))
    wanted = plan(hgx, driver_source="nvidia").driver.packages
    there = installed(hgx, **dict.fromkeys(wanted, "580.159.03-1"))
    made = plan(there, driver_source="nvidia")
    assert made.packages.versions["nvidia-fabricmanager-580"] == "580.159.03"
    assert "nvidia-fabricmanager-580=580.159.03-*" in packages.script(made, "install", there)
    older = installed(there, nvidia_fabricmanager_580="580.126.09-1", libnvidia_nscq_580="580.159.03-1")
    missing = plan(older, driver_source="nvidia").packages.missing
    assert "nvidia-fabricmanager-580" in missing
    assert "libnvidia-nscq-580" not in missing


def test_nvlink_5_gets_the_kernel_modules_that_fabric_manager_asks_for() -> None:
    files = {f.path: f.content for f in plan(debian_12_bare(pci=gpus(B200)), driver_source="nvidia").files}
    assert files[FABRIC_MODULES].splitlines()[1:] == ["mlx5_core", "ib_umad"]
    guest = plan(debian_12_bare(pci=[replace(d, switched=False) for d in gpus(B200)]), driver_source="nvidia")
    assert row(guest, "fabric").packages == ()
    assert "whoever has the switches" in row(guest, "fabric").why[0]
    assert FABRIC_MODULES not in {f.path for f in guest.files}
    assert "nvidia-fabricmanager.service" not in guest.services
    older = debian_12_bare(pci=gpus(H100, NVSWITCH))
    assert FABRIC_MODULES not in {f.path for f in plan(older, driver_source="nvidia").files}


def test_a_mirror_replaces_the_address_and_the_key_of_each_repository() -> None:
    mirrors = {"docker": Mirror("https://mirror.example/docker", "THEIR KEY", "AB" * 20)}
    files = our_repositories(BARE, room(), Settings(mirrors=mirrors), ("docker", "cuda"))
    texts = {f.path: f.content for f in files}
    assert "URIs: https://mirror.example/docker\nSuites: bookworm\nComponents: stable\n" in texts[SOURCE]
    assert texts[repository_files("apt", "docker")[0]] == "THEIR KEY"
    assert "URIs: https://download.example/cuda\nSuites: /\nSigned-By:" in texts[repository_files("apt", "cuda")[1]]


@pytest.mark.parametrize(
    ("manager", "packages", "index", "checks"),
    [
        ("dnf4", True, False, "gpgcheck=1\nrepo_gpgcheck=0\n"),
        ("dnf5", False, True, "gpgcheck=0\nrepo_gpgcheck=1\n"),
        ("zypper", True, False, "gpgcheck=1\npkg_gpgcheck=1\n"),
        ("zypper", False, True, "gpgcheck=1\nrepo_gpgcheck=1\npkg_gpgcheck=0\n"),
    ],
)
def test_rpm_repositories_are_checked_by_what_the_vendor_signs(
    manager: str, packages: bool, index: bool, checks: str
) -> None:
    signed = replace(DOCKER, kind="rpm", signed_packages=packages, signed_index=index)
    distro = replace(room(), manager=manager, repositories={"docker": signed})
    key, source = repository_files(manager, "docker")
    text = {f.path: f.content for f in our_repositories(BARE, distro, Settings(), ("docker",))}[source]
    assert f"\n{checks}" in text
    assert f"\ngpgkey=file://{key}\n" in text
    assert text.startswith("# Written by gpu-host\n[gpu-host-docker]\n")


def test_capabilities_name_no_package_twice() -> None:
    distro = room()
    rows = capabilities(BARE, Settings(), distro, choose_driver(BARE, Settings(), distro))
    names = [p for c in rows for p in c.packages]
    assert len(names) == len(set(names))
