"""pacman for real, on a booted host: the scripts of a plan against a signed repository of stand-in packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from deploys.operations import packages as operation
from deploys.plan.machine import ProvenSet
from deploys.plan.plan import PackagePlan
from tests.bed.host import Host
from tests.bed.pack import Package
from tests.bed.rpms import DISTRO, STRANGER
from tests.bed.shell import wait_for
from tests.hosts import pacman_lab
from tests.hosts.pacman_lab import PacmanLab, driver

OPEN, LEGACY = ("nvidia-open-dkms", "nvidia-utils"), ("nvidia-580xx-dkms", "nvidia-580xx-utils")


def driver_plan(branch: str = "", names: tuple[str, str] = OPEN) -> PackagePlan:
    """The driver of the repository; with a branch or version it is asked for, and held."""
    return PackagePlan(
        wanted=names,
        versions=dict.fromkeys(names, branch) if branch else {},
        same_version=names,
        modules=names[:1],
        holds=names if branch else (),
    )


@pytest.fixture(scope="module")
def lab(make_module_host: Callable[..., Host]) -> Iterator[PacmanLab]:
    lab = pacman_lab.start(make_module_host("arch", "pacman", disguise=False))
    yield lab
    pacman_lab.stop(lab)


def test_without_an_index_nothing_is_refreshed_alone(lab: PacmanLab) -> None:
    assert "there is no package index: pacman -Syu" in lab.refused(driver_plan())
    lab.type("-Syy")


def test_signature_of_a_stranger_is_refused(lab: PacmanLab) -> None:
    lab.sign("nvidia-utils", STRANGER)
    try:
        said = lab.refused(driver_plan())
    finally:
        lab.sign("nvidia-utils", DISTRO)
    assert "the packages cannot be installed together" in said
    assert "nvidia-utils" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("removes-ssh", "the transaction would remove: openssh"),
        ("needs-another-kernel", "would change packages that keep the host reachable: linux-lts"),
        ("nobody-has-it", "the packages cannot be installed together"),
    ],
)
def test_dangerous_transaction_is_refused_by_name(lab: PacmanLab, name: str, words: str) -> None:
    assert words in lab.refused(PackagePlan(wanted=(name,)))


def test_version_that_nobody_offers_is_refused(lab: PacmanLab) -> None:
    assert "the repositories offer 615.71.09, asked for is 580" in lab.refused(driver_plan("580"))


def test_trial_build_starts_no_service_and_builds_no_image(lab: PacmanLab) -> None:
    plan = PackagePlan(wanted=("nvidia-utils",), modules=("nvidia-utils",))
    assert "no kernel module was built" in lab.refused(plan)
    assert lab.host.nsenter("systemctl is-active stand-in; ls /boot/images", check=False).stdout == "inactive\n"


def test_lock_is_waited_for_and_its_holder_is_named_at_the_limit(
    lab: PacmanLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = PackagePlan(wanted=("tool",))
    lab.host.nsenter(f"systemd-run --quiet --unit=other {lab.tool.cli} -S slow")
    wait_for(lambda: "sleep 12" in lab.host.nsenter("ps -eo args").stdout, 30, "the other run to be at work")
    monkeypatch.setattr(operation, "LOCK_WAIT", 2)
    early = lab.run("rehearse", plan)
    assert early.returncode == 1
    assert "after 2 s pacman (pid " in early.stderr
    monkeypatch.setattr(operation, "LOCK_WAIT", 120)
    late = lab.run("rehearse", plan)
    assert late.returncode == 0, late.stderr
    assert "@@ waiting: pacman (pid " in lab.host.nsenter("cat /var/log/gpu-host/rehearsal.log").stdout
    wait_for(lambda: lab.host.nsenter("systemctl is-active other", check=False).returncode != 0, 60, "its end")
    lab.type("-R slow")


def test_lock_without_a_holder_is_no_reason_to_wait(lab: PacmanLab) -> None:
    lab.host.nsenter("touch /var/lib/pacman/db.lck")
    try:
        said = lab.refused(PackagePlan(wanted=("tool",)))
    finally:
        lab.host.nsenter("rm /var/lib/pacman/db.lck")
    assert "no process holds /var/lib/pacman/db.lck: a pacman was cut off" in said


# From here on the host changes, test by test.


def versions(lab: PacmanLab) -> dict[str, str]:
    return {name: version for name, version in lab.packages() if name.startswith("nvidia")}


def test_first_install_is_one_transaction(lab: PacmanLab) -> None:
    before = lab.transactions()
    lab.both(driver_plan("615"))
    assert versions(lab) == dict.fromkeys(OPEN, "615.71.09-1")
    assert lab.transactions() == before + 1
    assert lab.host.nsenter("systemctl is-active stand-in").stdout == "active\n"
    assert (
        lab.host.nsenter("ls -A /var/lib/gpu-host; ls -d /run/gpu-host-pacman", check=False).stdout
        == "installed\nkept\n"
    )


def test_second_time_there_is_nothing_to_do(lab: PacmanLab) -> None:
    before = lab.state()
    assert operation.missing(lab.plan(driver_plan("615")), lab.now()) == ()
    assert lab.run("rehearse", driver_plan("615")).returncode == 0
    assert lab.state() == before


def test_upgrade_of_everything_leaves_the_pinned_driver(lab: PacmanLab) -> None:
    lab.offer([*driver("620.10.01"), Package("bash", "9.0-1", provides=("sh",))])
    lab.type("-Syyu")
    assert versions(lab) == dict.fromkeys(OPEN, "615.71.09-1")
    assert dict(lab.packages())["bash"] == "9.0-1"
    assert operation.missing(lab.plan(driver_plan("615")), lab.now()) == ()


def test_system_older_than_its_index_is_refused(lab: PacmanLab) -> None:
    """Packages of today on a system of last month: what Arch calls a partial upgrade."""
    lab.offer([Package("bash", "9.1-1", provides=("sh",))])
    lab.type("-Syy")
    assert "bash" in lab.type("-Qu")
    said = lab.refused(driver_plan("620"))
    assert "1 packages are older than the package index" in said
    assert "pacman -Syu" in said
    lab.type("-Su")


def test_branch_switch_is_one_transaction_and_moves_the_hold(lab: PacmanLab) -> None:
    before = lab.transactions()
    lab.both(driver_plan("620"))
    assert versions(lab) == dict.fromkeys(OPEN, "620.10.01-1")
    assert lab.transactions() == before + 1
    assert lab.locks().count("IgnorePkg = nvidia-open-dkms nvidia-utils") == 1
    assert {(name, ours) for name, ours, _ in lab.holds()} == {(name, True) for name in OPEN}


def test_set_that_was_proven_comes_back_from_the_kept_packages(lab: PacmanLab) -> None:
    """The repository has one version of everything, and no longer this one. None is used without the signature of a trusted key."""
    proven = dict.fromkeys(OPEN, "615.71.09-1")
    lab.proven = ProvenSet(
        time="2026-11-01T00:00:00Z", driver="615.71.09", manager="pacman", packages=proven, holds=OPEN
    )
    kept = lab.host.nsenter("ls /var/lib/gpu-host/kept").stdout.split()
    files = [f"{name}-{version}-1-x86_64.pkg.tar.gz" for name in OPEN for version in ("615.71.09", "620.10.01")]
    assert kept == sorted([*files, *(f"{file}.sig" for file in files)])
    lab.host.nsenter("rm -rf /var/lib/dkms/nvidia /var/cache/pacman/pkg/*")
    place, before = lab.host.root / f"var/lib/gpu-host/kept/{files[2]}", lab.transactions()
    good = place.read_bytes()
    place.write_bytes(good + b"x")
    forged = lab.back("rehearsal")
    place.write_bytes(good)
    assert forged.returncode == 1
    assert "not kept on this host, and the repositories have no older ones: nvidia-utils" in forged.stderr
    lab.go_back()
    assert versions(lab) == proven
    assert lab.transactions() == before + 1
    assert {(name, ours) for name, ours, _ in lab.holds()} == {(name, True) for name in OPEN}
    assert lab.host.nsenter("ls /var/lib/gpu-host/kept").stdout.split() == kept
    lab.proven = None


def test_legacy_driver_replaces_the_other_in_one_transaction(lab: PacmanLab) -> None:
    before = lab.transactions()
    lab.both(driver_plan("", LEGACY))
    assert versions(lab) == dict.fromkeys(LEGACY, "580.159.03-1")
    assert lab.transactions() == before + 1
    assert "gpu-host keeps" not in lab.locks()


def test_removal_takes_what_came_with_us_and_nothing_else(lab: PacmanLab) -> None:
    before = dict(lab.packages())
    ours = set(LEGACY)
    assert set(lab.footprint().packages) == ours
    lab.type("-S needs-driver")
    refused = lab.remove(act=False)
    assert refused.returncode == 1
    assert "needs-driver" in refused.stderr
    lab.type("-R needs-driver")
    assert dict(lab.packages()) == before
    done = lab.remove()
    assert done.returncode == 0, done.stderr
    assert set(before) - set(dict(lab.packages())) == ours
    assert "gpu-host keeps" not in lab.locks()
