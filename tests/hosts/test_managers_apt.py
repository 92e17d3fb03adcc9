"""apt for real, on a booted host: keys that must be refused, a held driver that stays, and one that gives way to another set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deploys.knowledge.paths import repository_files
from deploys.knowledge.vendors.keys import CUDA_DEB_2022
from deploys.knowledge.vendors.nvidia import repository as cuda_repository
from deploys.operations import packages as operation
from deploys.plan.files import FileChange
from deploys.plan.machine import ProvenSet
from deploys.plan.plan import PackagePlan
from deploys.plan.repositories import source_text
from tests.bed import debs, rpms
from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.pack import Package
from tests.bed.rpms import OWNER, STRANGER, RpmRepositories
from tests.hosts.lab import Lab, Tool, build

APT = Tool(
    manager="apt",
    cli="DEBIAN_FRONTEND=noninteractive apt-get -q -y",
    database="dpkg-query -W -f '${Package} ${Version}\\n'",
    sources="/etc/apt/sources.list.d",
    locks="/etc/gpu-host/holds",
    history="cat /var/log/apt/history.log 2>/dev/null | grep -c '^Commandline: apt-get .* install '",
    files="/etc/apt /etc/gpu-host /var/lib/apt/extended_states",
)
OLD = ("nvidia-dkms-580", "libnvidia-compute-580")
NEW = ("nvidia-dkms", "libnvidia-compute")
# A tool of the plan with two libraries, and what an administrator adds: a tool on a library of ours, and one on the tool itself.
TOOLS = (
    Package("gpu-tool", "1.0-1", ("gpu-library", "gpu-shared")),
    Package("gpu-library", "1.0-1"),
    Package("gpu-shared", "1.0-1"),
    Package("admins-tool", "1.0-1", ("gpu-shared",)),
    Package("admins-script", "1.0-1", ("gpu-tool",)),
)


def driver(names: tuple[str, str], version: str, gone: tuple[str, ...] = ()) -> list[Package]:
    modules, library = names
    return [
        Package(
            modules, f"{version}-1", (f"{library} (= {version}-1)",), conflicts=gone, replaces=gone, post=build(version)
        ),
        Package(library, f"{version}-1", conflicts=gone, replaces=gone),
    ]


@dataclass
class AptLab(Lab):
    """The host, and the vendor's flat repository."""

    repos: RpmRepositories

    @property
    def folder(self) -> Path:
        return self.repos.folder / "www/cuda"

    def files(self, key: str | None) -> list[FileChange]:
        """Key and source of the vendor as the product writes them."""
        vendor = cuda_repository("ubuntu2404", CUDA_DEB_2022, kind="deb")
        place, source = repository_files(self.manager, vendor.name)
        text = source_text(self.manager, vendor, self.repos.url("cuda"), place)
        return [*([FileChange(place, self.repos.key(key), "")] if key else []), FileChange(source, text, "")]


@pytest.fixture(scope="module")
def lab(make_module_host: Callable[..., Host], bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AptLab]:
    folder = tmp_path_factory.mktemp("debs") / "bed"
    repos = rpms.start(folder, bed.network.gateway)
    host = make_module_host("ubuntu", "apt", disguise=False)
    host.nsenter("rm -f /etc/apt/sources.list.d/*; : >/etc/apt/sources.list")
    host.put("/usr/sbin/dkms", "#!/bin/sh\necho 'nvidia, x86_64: installed'\n", 0o755)
    lab = AptLab(host, APT, repos)
    packages = [*TOOLS, *driver(OLD, "580.126.09"), *driver(OLD, "580.178.04"), *driver(NEW, "595.58.03", OLD)]
    debs.publish(lab.folder, packages, (repos.home, OWNER))
    yield lab
    rpms.stop(folder)


def plan(names: tuple[str, str] = OLD, branch: str = "580") -> PackagePlan:
    return PackagePlan(
        wanted=names, versions=dict.fromkeys(names, branch), same_version=names, modules=names[:1], holds=names
    )


@pytest.mark.parametrize(
    ("signs", "has"),
    [(OWNER, STRANGER), (OWNER, None), (STRANGER, OWNER)],
    ids=["wrong key", "no key", "rotated key"],
)
def test_bad_key_is_refused_before_any_change(lab: AptLab, signs: str, has: str | None) -> None:
    """apt itself takes what a key has signed before its end; such a key is refused by the plan (repository_keys_known)."""
    debs.sign(lab.folder, (lab.repos.home, signs))
    try:
        text = lab.refused(plan(), lab.files(has))
    finally:
        debs.sign(lab.folder, (lab.repos.home, OWNER))
    assert "the package index cannot be refreshed with these sources" in text
    assert "is not signed" in text


# From here on the host changes, test by test.


def versions(lab: AptLab) -> dict[str, str]:
    return {name: version for name, version in lab.packages() if "nvidia" in name}


def test_pinned_branch_is_installed_and_held(lab: AptLab) -> None:
    lab.both(plan(branch="580.126.09"), lab.files(OWNER))
    assert versions(lab) == dict.fromkeys(OLD, "580.126.09-1")
    lab.type("upgrade")
    assert versions(lab) == dict.fromkeys(OLD, "580.126.09-1")
    assert operation.missing(lab.plan(plan()), lab.now()) == ()


def test_held_driver_gives_way_to_another_set_in_one_transaction(lab: AptLab) -> None:
    before = lab.transactions()
    lab.both(plan(NEW, "595"), lab.files(OWNER))
    assert versions(lab) == dict.fromkeys(NEW, "595.58.03-1")
    assert lab.transactions() == before + 1
    assert lab.host.nsenter("apt-mark showhold").stdout.split() == sorted(NEW)
    assert [line.split()[:2] for line in lab.locks().splitlines() if "nvidia" in line] == [
        [n, "595.58.03-1"] for n in NEW
    ]


def test_lost_hold_is_put_back_and_ours_are_released_by_a_word(lab: AptLab) -> None:
    """Since when a version is held stays what it was; what somebody else holds stays theirs."""
    lab.host.nsenter(
        f"sed -i 's/ 20[0-9-]*$/ 2026-01-02/' {APT.locks}; apt-mark unhold {NEW[0]}; apt-mark hold openssh-server"
    )
    before = lab.locks()
    lab.hold(*NEW)
    assert lab.locks() == before
    assert lab.holds() == {*((n, True, "2026-01-02") for n in NEW), ("openssh-server", False, "")}
    lab.hold()
    assert lab.holds() == {("openssh-server", False, "")}
    assert lab.host.nsenter(f"ls {APT.locks}", check=False).returncode != 0


def test_package_that_somebody_else_holds_is_not_moved(lab: AptLab) -> None:
    lab.host.nsenter(f"apt-mark hold {NEW[1]}")
    text = lab.refused(plan(OLD, "580.178.04"), lab.files(OWNER))
    assert f"held by others, and not ours to move (see: apt-mark showhold): {NEW[1]}" in text
    lab.host.nsenter(f"apt-mark unhold {NEW[1]}")


def test_foreign_hold_is_left_alone(lab: AptLab) -> None:
    lab.host.nsenter("apt-mark hold openssh-server")
    lab.both(replace(plan(OLD, "580.178.04")), lab.files(OWNER))
    assert versions(lab) == dict.fromkeys(OLD, "580.178.04-1")
    assert "openssh-server" in lab.host.nsenter("apt-mark showhold").stdout.split()


def test_set_that_was_proven_comes_back_without_network(lab: AptLab) -> None:
    """Its packages were kept: neither the cache nor the repository is needed, and what is neither proven nor present is not kept."""
    proven = dict.fromkeys(OLD, "580.178.04-1")
    lab.proven = ProvenSet(time="2026-11-01T00:00:00Z", driver="580.178.04", manager="apt", packages=proven, holds=OLD)
    # The stand-in of DKMS does not take away what it once built.
    lab.host.nsenter("rm -rf /var/lib/dkms/nvidia")
    lab.both(plan(NEW, "595"), lab.files(OWNER))
    kept = lab.host.nsenter("ls /var/lib/gpu-host/kept").stdout.split()
    assert kept == sorted([*(f"{n}_580.178.04-1_amd64.deb" for n in OLD), *(f"{n}_595.58.03-1_amd64.deb" for n in NEW)])
    lab.host.nsenter("apt-get clean; rm -rf /var/lib/dkms/nvidia")
    away, before = lab.folder.with_name("away"), lab.transactions()
    lab.folder.rename(away)
    try:
        lab.go_back()
    finally:
        away.rename(lab.folder)
    assert versions(lab) == dict.fromkeys(OLD, "580.178.04-1")
    assert lab.transactions() == before + 1
    assert set(OLD) <= set(lab.host.nsenter("apt-mark showhold").stdout.split())
    assert "580.178.04" in lab.host.nsenter("modinfo -F version /lib/modules/$(uname -r)/extra/nvidia.ko").stdout


def test_what_came_with_us_is_written_down_by_name_and_reason(lab: AptLab) -> None:
    lab.type("install admins-tool")
    lab.type("remove admins-tool gpu-shared")
    lab.both(PackagePlan(wanted=("gpu-tool",)), lab.files(OWNER))
    record = [line.split()[:2] for line in lab.host.nsenter("cat /var/lib/gpu-host/installed").stdout.splitlines()]
    packages = lab.footprint().packages
    assert packages == {
        **dict.fromkeys(OLD, "wanted"),
        "gpu-tool": "wanted",
        **dict.fromkeys(("gpu-library", "gpu-shared"), "needed"),
    }
    assert {name for name, _ in record} == {*packages, *NEW}, "a set that has left is not forgotten"
    assert lab.host.nsenter("ls /var/lib/gpu-host").stdout.split() == ["installed", "kept"]


def test_transaction_that_was_cut_off_is_written_down_by_the_next_run(lab: AptLab) -> None:
    lab.host.nsenter("sed -i /^gpu-/d /var/lib/gpu-host/installed; echo gpu-tool wanted >/var/lib/gpu-host/installing")
    lab.host.nsenter("echo admins-tool needed >>/var/lib/gpu-host/installing")
    assert lab.footprint().packages["gpu-tool"] == "wanted"
    lab.type("remove gpu-library")
    lab.both(PackagePlan(wanted=("gpu-tool",)), lab.files(OWNER))
    assert {n for n in lab.footprint().packages if n not in OLD} == {"gpu-tool", "gpu-library"}
    assert lab.host.nsenter("ls /var/lib/gpu-host").stdout.split() == ["installed", "kept"]


def test_removal_that_would_take_what_is_not_ours_is_refused_by_name(lab: AptLab) -> None:
    lab.type("install admins-script")
    lab.refuses_to_take("admins-script")
    lab.type("remove admins-script gpu-tool gpu-library")


def test_removal_takes_what_came_with_us_and_what_nobody_else_needs(lab: AptLab) -> None:
    lab.both(PackagePlan(wanted=("gpu-tool",)), lab.files(OWNER))
    lab.type("remove gpu-shared")
    lab.both(PackagePlan(wanted=("gpu-tool",)), lab.files(OWNER))
    lab.type("install admins-tool")
    before = {name for name, _ in lab.packages()}
    simulated = lab.remove(act=False)
    assert simulated.returncode == 0, simulated.stderr
    assert {name for name, _ in lab.packages()} == before
    done = lab.remove()
    assert done.returncode == 0, done.stderr
    assert before - {name for name, _ in lab.packages()} == {*OLD, "gpu-tool", "gpu-library"}
    assert "openssh-server" in lab.host.nsenter("apt-mark showhold").stdout.split(), "a foreign hold stays"
    assert [n for n in OLD if n in lab.host.nsenter("apt-mark showhold; dpkg -l").stdout.split()] == []
    log = lab.host.nsenter("cat /var/log/gpu-host/removal.log").stdout
    assert "stays, because other packages need it by now: gpu-shared" in log
