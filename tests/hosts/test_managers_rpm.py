"""dnf 4, dnf 5 and zypper for real, on booted hosts: the scripts of a plan against signed repositories of stand-in packages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from deploys.operations import packages as operation
from deploys.plan.machine import ProvenSet
from deploys.plan.plan import PackagePlan
from tests.bed import rpms
from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.rpms import EXPIRED, OWNER, STRANGER, Rpm, RpmRepositories
from tests.bed.shell import wait_for
from tests.hosts.rpm_lab import DRIVER, OTHER_FLAVOUR, TOOLS, RpmLab, driver, driver_plan, start, stock


@pytest.fixture(scope="module")
def repos(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpmRepositories]:
    folder = tmp_path_factory.mktemp("rpms") / "bed"
    repos = rpms.start(folder, bed.network.gateway)
    try:
        stock(repos)
        yield repos
    finally:
        rpms.stop(folder)


@pytest.fixture(scope="module", params=list(TOOLS))
def lab(request: pytest.FixtureRequest, make_module_host: Callable[..., Host], repos: RpmRepositories) -> RpmLab:
    host = make_module_host(request.param, f"rpm-{request.param}", disguise=False)
    return start(host, TOOLS[request.param], repos)


@pytest.mark.parametrize(
    ("signs", "has"),
    [(OWNER, STRANGER), (OWNER, None), (STRANGER, OWNER), (EXPIRED, EXPIRED)],
    ids=["wrong key", "no key", "rotated key", "expired key"],
)
def test_bad_key_is_refused_before_any_change(lab: RpmLab, signs: str, has: str | None) -> None:
    if (lab.manager, has) == ("zypper", EXPIRED):
        pytest.skip("zypper takes it; such a key is refused by the plan (repository_keys_known)")
    lab.repos.sign_index(lab.vendor, signs)
    try:
        said = lab.refused(driver_plan("580", lab), lab.files(has))
    finally:
        lab.repos.sign_index(lab.vendor, OWNER)
    assert "the package index cannot be refreshed with these sources" in said


def test_packages_signed_by_another_than_the_index_are_refused(lab: RpmLab) -> None:
    lab.repos.sign_index(lab.vendor, STRANGER)
    try:
        said = lab.refused(driver_plan("580", lab), lab.files(STRANGER))
    finally:
        lab.repos.sign_index(lab.vendor, OWNER)
    assert "cannot be downloaded" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("removes-ssh", "the transaction would remove: openssh-server"),
        ("needs-new-kernel", "would change packages that keep the host reachable: kernel-core"),
        ("nobody-has-it", "the packages cannot be installed together"),
    ],
)
def test_dangerous_transaction_is_refused_by_name(lab: RpmLab, name: str, words: str) -> None:
    assert words in lab.refused(PackagePlan(wanted=(name,)), lab.files(OWNER))


def test_version_that_nobody_offers_is_refused(lab: RpmLab) -> None:
    plan = replace(driver_plan("580", lab), versions=dict.fromkeys(DRIVER, "580.200.01"))
    said = lab.refused(plan, lab.files(OWNER))
    assert "580.200.01" in said
    assert "nvidia-driver-cuda" in said


def test_trial_build_starts_no_service_and_builds_no_image(lab: RpmLab) -> None:
    """The scriptlets of the module's packages run in the overlay; these packages bring no module, which is refused."""
    name = ("nvidia-persistenced",)
    plan = replace(driver_plan("580", lab, name), modules=name, same_version=())
    assert "no kernel module was built" in lab.refused(plan, lab.files(OWNER))
    assert lab.host.nsenter("systemctl is-active stand-in; ls /boot/images", check=False).stdout == "inactive\n"


def test_lock_is_waited_for_and_its_holder_is_named_at_the_limit(lab: RpmLab, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = PackagePlan(wanted=("recommended",))
    lab.host.nsenter(f"systemd-run --quiet --unit=other {lab.tool.cli} install slow")
    wait_for(lambda: "sleep 12" in lab.host.nsenter("ps -eo args").stdout, 30, "the other run to be at work")
    monkeypatch.setattr(operation, "LOCK_WAIT", 2)
    early = lab.run("rehearse", plan)
    assert early.returncode == 1
    assert f"after 2 s {lab.tool.cli.split()[0]} (pid " in early.stderr
    monkeypatch.setattr(operation, "LOCK_WAIT", 120)
    late = lab.run("rehearse", plan)
    assert late.returncode == 0, late.stderr
    assert "@@ waiting: " in lab.host.nsenter("cat /var/log/gpu-host/rehearsal.log").stdout
    wait_for(lambda: lab.host.nsenter("systemctl is-active other", check=False).returncode != 0, 60, "its end")
    lab.type("remove slow")


def test_other_package_tools_are_named_by_the_lock_that_they_hold(lab: RpmLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """PackageKit and rpm itself write no process id anywhere; the kernel knows who locks the database."""
    program = (
        "import fcntl, time; f = open('/var/lib/rpm/.rpm.lock', 'a'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(60)"
    )
    lab.host.nsenter("cp -L /usr/bin/python3 /usr/local/bin/packagekitd")
    lab.host.nsenter(f'systemd-run --quiet --unit=kit /usr/local/bin/packagekitd -c "{program}"')
    wait_for(lambda: "packagekitd" in lab.host.nsenter("ps -eo comm").stdout, 30, "the other tool to be at work")
    monkeypatch.setattr(operation, "LOCK_WAIT", 2)
    try:
        wait_for(lambda: "ADVISORY  WRITE" in lab.host.nsenter("cat /proc/locks").stdout, 30, "its lock")
        said = lab.refused(PackagePlan(wanted=("recommended",)), ())
    finally:
        lab.host.nsenter("systemctl stop kit; rm /usr/local/bin/packagekitd")
    assert re.search(r"after 2 s packagekitd \(pid \d+\) holds /var/lib/rpm/.rpm.lock", said)


def test_file_system_that_no_overlay_can_cover_does_not_stop_the_rehearsal(lab: RpmLab) -> None:
    """As the vfat of an EFI system partition, which not every kernel of the tests has: this one is refused with the same words."""
    lab.host.nsenter("mkdir -p /boot/efi && mount --bind /proc/sys/fs /boot/efi")
    try:
        done = lab.run("rehearse", PackagePlan(wanted=("recommended",)))
    finally:
        lab.host.nsenter("umount /boot/efi; rmdir /boot/efi")
    assert done.returncode == 0, done.stderr


def test_key_from_the_network_is_not_imported(lab: RpmLab) -> None:
    """A repository of somebody else names a key that lies beside it: only a person may accept it."""
    lab.repos.build("third", [Rpm("third-thing", "1-1.el9")], STRANGER)
    lab.repos.sign("third", STRANGER)
    (lab.repos.folder / "www/third/key.asc").write_text(lab.repos.key(STRANGER))
    url = lab.repos.url("third")
    source = f"[third]\nname=third\nbaseurl={url}\nenabled=1\ngpgcheck=1\ngpgkey={url}/key.asc\n"
    lab.host.put(f"{lab.tool.sources}/third.repo", source)
    try:
        said = lab.refused(PackagePlan(wanted=("third-thing",)), lab.files(OWNER))
    finally:
        lab.host.nsenter(f"rm {lab.tool.sources}/third.repo")
    assert "accepted by people only" in said
    assert "third" in said


# From here on the host changes, test by test.


def installed(lab: RpmLab, version: str) -> bool:
    """Is the whole driver there, in that version?"""
    return {(name, f"3:{version}-1.el9") for name in DRIVER} <= set(lab.packages())


def test_first_install_is_one_transaction_and_downloads_once(lab: RpmLab) -> None:
    lab.host.nsenter(f"{lab.tool.lock} tool")
    before, downloads = lab.transactions(), len(lab.repos.downloads())
    lab.both(driver_plan("580.126.09", lab), lab.files(OWNER))
    assert installed(lab, "580.126.09")
    assert "recommended" not in dict(lab.packages())
    assert lab.transactions() == before + 1
    assert len(lab.repos.downloads()) == downloads + len(DRIVER)
    assert lab.host.nsenter("systemctl is-active stand-in").stdout == "active\n"
    assert lab.host.nsenter("cat /boot/images").stdout == "--force --regenerate-all\n"
    left = lab.host.nsenter("ls -A /var/lib/gpu-host; find /var/cache -name '*nvidia*.rpm'").stdout.split()
    assert left == ["installed", "kept", "keys", *(["stream-of", "streams"] if lab.manager == "dnf4" else [])]


def test_second_time_there_is_nothing_to_do(lab: RpmLab) -> None:
    """Also where the branch, not the version, is asked for, and newer ones are on offer."""
    before = lab.state()
    for branch in ("580.126.09", "580"):
        assert operation.missing(lab.plan(driver_plan(branch, lab)), lab.now()) == ()
    assert lab.run("rehearse", driver_plan("580", lab)).returncode == 0
    assert lab.state() == before


def test_upgrade_of_everything_leaves_the_driver_and_foreign_locks(lab: RpmLab) -> None:
    lab.type("update")
    packages = dict(lab.packages())
    assert installed(lab, "580.126.09")
    assert packages["kernel-core"] == "9.0-1.el9"
    assert packages["tool"] == "1.0-1.el9"


def test_refused_transaction_keeps_locks_and_stream(lab: RpmLab) -> None:
    before, locks = lab.state(), lab.locks()
    done = lab.run("install", replace(driver_plan("595", lab), wanted=(*DRIVER, "nobody-has-it")))
    assert done.returncode == 1
    assert "nobody-has-it" in done.stderr
    assert lab.state() == before
    assert locks.count("gpu-host keeps this version") == len(DRIVER)


def test_ours_are_told_from_those_of_others_and_released_alone(lab: RpmLab) -> None:
    locks, today = lab.locks(), lab.host.nsenter("date -u +%F").stdout.strip()
    assert lab.holds() == {*((name, True, today) for name in DRIVER), ("tool", False, "")}
    lab.hold()
    assert lab.holds() == {("tool", False, "")}
    lab.hold(*DRIVER)
    assert lab.locks() == locks


@pytest.mark.parametrize(("branch", "version"), [("595", "595.45.04"), ("580", "580.159.03")])
def test_branch_switch_is_one_transaction_there_and_back(lab: RpmLab, branch: str, version: str) -> None:
    before = lab.transactions()
    lab.both(driver_plan(branch, lab), lab.files(OWNER))
    assert installed(lab, version)
    assert lab.transactions() == before + 1
    locks = lab.locks()
    assert locks.count("gpu-host keeps this version") == len(DRIVER)
    # A lock of zypper is on the name, whatever the version.
    assert locks.count(version) == (0 if lab.manager == "zypper" else len(DRIVER))
    assert "tool" in locks
    lab.type("update")
    assert installed(lab, version)


def test_set_that_was_proven_comes_back_without_network(lab: RpmLab) -> None:
    """Its packages were kept: neither the cache nor the repository is needed, and none is used that is not signed as it was."""
    proven = dict.fromkeys(DRIVER, "3:580.159.03-1.el9")
    lab.proven = ProvenSet(
        time="2026-11-01T00:00:00Z", driver="580.159.03", manager=lab.manager, packages=proven, holds=DRIVER
    )
    # The stand-in of DKMS does not take away what it once built.
    lab.host.nsenter("rm -rf /var/lib/dkms/nvidia")
    lab.both(driver_plan("595", lab), lab.files(OWNER))
    kept = lab.host.nsenter("ls /var/lib/gpu-host/kept").stdout.split()
    files = [f"{n}-{v}-1.el9.x86_64.rpm" for n in DRIVER for v in ("580.159.03", "595.45.04")]
    assert kept == sorted(files)
    forget, before = "rm -rf /var/lib/dkms/nvidia; find /var/cache -name '*.rpm' -delete", lab.transactions()
    lab.host.nsenter(forget)
    with lab.unsigned(files[-2], driver("580.159.03")[-1]):
        assert lab.back("rehearsal").returncode == 0
    said = lab.host.nsenter(f"cat /var/log/gpu-host/rehearsal.log; {forget}").stdout
    assert f"not signed by a key that this host trusts: /var/lib/gpu-host/kept/{files[-2]}" in said
    assert "not kept on this host, asked for in the repositories: nvidia-persistenced=3:580.159.03-1.el9" in said
    with lab.away():
        lab.go_back()
    assert installed(lab, "580.159.03")
    assert lab.transactions() == before + 1
    assert {name for name, ours, _ in lab.holds() if ours} == set(DRIVER)
    assert lab.host.nsenter("ls /var/lib/gpu-host/kept").stdout.split() == kept
    assert lab.manager != "dnf4" or "580-open" in lab.type("module list --enabled nvidia-driver")
    assert "580.159.03" in lab.host.nsenter("modinfo -F version /lib/modules/$(uname -r)/extra/nvidia.ko").stdout
    lab.proven = None


def test_other_flavour_of_the_module_replaces_the_first_in_one_transaction(lab: RpmLab) -> None:
    before = lab.transactions()
    lab.both(driver_plan("580", lab, OTHER_FLAVOUR), lab.files(OWNER))
    names = dict(lab.packages())
    assert "kmod-nvidia-latest-dkms" in names
    assert "kmod-nvidia-open-dkms" not in names
    assert lab.transactions() == before + 1


def test_locks_that_somebody_else_writes_anew_are_still_known_as_ours(lab: RpmLab) -> None:
    """dnf 4 drops all comments when it deletes one lock."""
    lab.host.nsenter(f"{lab.tool.unlock} tool")
    lab.both(driver_plan("595", lab, OTHER_FLAVOUR), lab.files(OWNER))
    assert dict(lab.packages())["nvidia-driver-cuda"] == "3:595.45.04-1.el9"
    assert "580" not in lab.locks()


def test_removal_that_would_take_what_is_not_ours_is_refused_by_name(lab: RpmLab) -> None:
    lab.both(PackagePlan(wanted=("gpu-tool",)))
    lab.type("install admins-script")
    lab.refuses_to_take("admins-script")
    lab.type("remove admins-script")


def test_removal_takes_what_came_with_us_and_what_nobody_else_needs(lab: RpmLab) -> None:
    lab.host.nsenter(f"{lab.tool.lock} tool")
    lab.type("install admins-tool")
    before, ours = {name for name, _ in lab.packages()}, set(lab.footprint().packages)
    assert {"gpu-tool", "gpu-library", "gpu-shared", *OTHER_FLAVOUR} <= ours
    keys = lab.host.nsenter("rpm -qa 'gpg-pubkey*'").stdout.split()
    simulated = lab.remove(act=False)
    assert simulated.returncode == 0, simulated.stderr
    assert {name for name, _ in lab.packages()} == before
    done = lab.remove()
    assert done.returncode == 0, done.stderr
    assert before - {name for name, _ in lab.packages()} == ours - {"gpu-shared"}
    log = lab.host.nsenter("cat /var/log/gpu-host/removal.log").stdout
    assert "stays, because other packages need it by now: gpu-shared" in log
    assert len(lab.host.nsenter("rpm -qa 'gpg-pubkey*'").stdout.split()) == len(keys) - 1 == 1, (
        "the vendor's key leaves"
    )
    assert lab.holds() == {("tool", False, "")}, "a foreign lock stays"
    if lab.manager == "dnf4":
        assert "595" not in lab.type("module list --enabled nvidia-driver || :")
