"""Every architecture at every edge of its branches; which branch a source with several gives; kernels, floors, Secure Boot."""

from __future__ import annotations

import itertools

import pytest

from deploys.knowledge.branches import AS_OF, BRANCHES, KNOWN_BAD, find_branch
from deploys.knowledge.distros.known import KNOWN_RELEASES, SignedModules, find_release
from deploys.knowledge.floors import FLOORS, find_floor
from deploys.knowledge.gpus import find_generation
from deploys.knowledge.records import Source
from deploys.plan.driver_branch import carries, judge_branch, today
from deploys.plan.driver_kernel import judge_kernel
from deploys.plan.driver_secure_boot import choose_secure_boot
from deploys.plan.driver_vendor import choose_from_vendor
from deploys.plan.machine import Machine, Platform
from deploys.plan.settings import Settings
from deploys.plan.versions import below
from tests.plan.hosts import B200, GTX_980, GTX_1080, K80, L4, RTX_5090, T4, V100, changed, debian_12_bare, gpus

FERMI, A100, A10, H100, GH200, B300, GB10, RUBIN = 0x1200, 0x20B2, 0x2236, 0x2330, 0x2342, 0x3182, 0x2E12, 0x3000
NEWER, GAP = 0x3390, 0x0001

# device -> (first, last) branch that carries it; None: still carried.
EDGES: dict[int, tuple[int, int | None]] = {
    FERMI: (270, 390),
    K80: (304, 470),
    GTX_980: (343, 580),
    GTX_1080: (367, 580),
    V100: (384, 580),
    T4: (410, None),
    A100: (450, None),
    A10: (455, None),
    L4: (520, None),
    H100: (520, None),
    GH200: (535, None),
    RTX_5090: (570, None),
    B200: (570, None),
    B300: (580, None),
    GB10: (580, None),
    RUBIN: (615, None),
}


@pytest.mark.parametrize(("device", "branch"), [*itertools.product(EDGES, (b.number for b in BRANCHES))])
def test_each_architecture_at_each_branch(device: int, branch: int) -> None:
    generation = find_generation(device)
    assert generation is not None
    first, last = EDGES[device]
    assert carries(generation, branch) is (first <= branch <= (last or 999))
    choice = choose_from_vendor(host(device), Settings(driver_branch=str(branch)))
    assert (choice.branch == str(branch)) is carries(generation, branch)
    assert choice.problem or choice.flavour == {"must": "open", "cannot": "proprietary"}.get(
        generation.open_modules, "open" if branch == 615 else "proprietary"
    )


def host(*devices: int, kernel: str = "6.8.0-60-generic") -> Machine:
    machine = debian_12_bare(pci=gpus(*devices), kernels__running=kernel, kernels__default=kernel)
    return changed(machine, boot__clock=None)


@pytest.mark.parametrize(
    ("devices", "kernel", "branch", "words"),
    [
        ((T4,), "6.8.0-60-generic", "580", ()),
        ((GTX_1080, A100), "6.8.0", "580", ()),
        ((B200,), "6.8.0", "580", ()),
        ((B300, T4), "6.8.0", "580", ()),
        ((K80,), "6.8.0", "470", ()),
        ((K80, A100), "6.8.0", "470", ("Kepler", "Ampere")),
        ((T4,), "3.10.0-1160.el7", "535", ("4.15",)),
        ((FERMI,), "6.8.0", "", ("390",)),
        ((RUBIN,), "7.0.0", "", ("615", 'gpu_driver_branch = "615"')),
        ((K80, L4), "6.8.0", "", ("Kepler", "Ada", "no branch carries both")),
        ((V100, B200), "6.8.0", "", ("Volta", "Blackwell", "another host")),
        ((GAP,), "6.8.0", "", ("10de:0001", "unknown")),
        ((NEWER, GTX_1080), "6.8.0", "", ("10de:3390", "Pascal")),
        ((T4,), "3.2.0", "", ("3.10",)),
    ],
)
def test_a_source_with_several_branches(
    devices: tuple[int, ...], kernel: str, branch: str, words: tuple[str, ...]
) -> None:
    choice = choose_from_vendor(host(*devices, kernel=kernel), Settings())
    text = f"{choice.problem} {choice.needed} {choice.fix} {' '.join(map(str, choice.rules))}"
    assert (choice.branch, bool(choice.problem)) == (branch, not branch)
    assert [word for word in words if word not in text] == []


def test_a_gpu_that_is_newer_than_the_table_is_no_silent_guess() -> None:
    choice = choose_from_vendor(host(NEWER, A100), Settings())
    newest = max(b.number for b in BRANCHES if b.kind == "production")
    assert (choice.branch, choice.flavour) == (str(newest), "open")
    assert "10de:3390" in choice.warnings[0]
    assert choose_from_vendor(host(NEWER), Settings(kernel_modules="proprietary")).problem
    assert choose_from_vendor(host(NEWER), Settings(driver_branch="470")).problem


@pytest.mark.parametrize(
    ("pin", "version", "words"),
    [
        ("580", "580.178.04", ()),
        ("580.159.03", "580.159.03", ()),
        ("580.159", "580.159", ()),
        ("570.26", "570.26", ()),
        ("580.95.05", "", ("580.126.09",)),
        ("515.105.01", "", ("nothing is known of branch 515",)),
        ("470", "", ()),
    ],
)
def test_a_pin_is_honoured_or_refused_never_rounded(pin: str, version: str, words: tuple[str, ...]) -> None:
    choice = choose_from_vendor(host(L4), Settings(driver_branch=pin))
    assert choice.version == version
    assert bool(choice.problem) is (version == "")
    assert [w for w in words if w not in f"{choice.problem} {choice.needed}"] == []


def test_branches_are_rows_in_order_that_agree_with_their_floors() -> None:
    numbers = [b.number for b in BRANCHES]
    assert numbers == sorted(set(numbers)) == [390, 470, 535, 550, 570, 575, 580, 590, 595, 610, 615]
    for branch in BRANCHES:
        floor = find_floor("driver", str(branch.number))
        assert branch.newest.split(".")[0] == str(branch.number)
        assert branch.source.title
        # The newest version of a branch must not be one that its own floor refuses or warns of.
        assert not (floor and (below(branch.newest, floor.refuse) or below(branch.newest, floor.warn)))
    assert [f.branch for f in FLOORS if f.branch and not find_branch(f.branch)] == []
    assert [b.symptom for b in KNOWN_BAD if not (find_branch(b.branch) and b.source.as_of)] == []
    assert all(f.source.title and f.why for f in FLOORS)


@pytest.mark.parametrize(
    ("branch", "day", "ended"),
    [
        ("580", "2026-11-23", False),
        ("580", "2028-06-30", False),
        ("580", "2028-07-01", True),
        ("590", "2026-12-22", False),
        ("590", "2026-12-23", True),
        ("535", "1970-01-01", True),
        ("615", "2030-01-01", False),
    ],
)
def test_a_branch_ends_with_its_last_day(branch: str, day: str, ended: bool) -> None:
    row = find_branch(branch)
    assert row is not None
    assert row.ended(day) is ended


def test_the_hosts_clock_counts_only_forward_and_only_when_sane() -> None:
    bare = debian_12_bare()
    assert today(changed(bare, boot__clock=1_900_000_000.0)) == "2030-03-17"
    assert {today(changed(bare, boot__clock=c)) for c in (None, 17.0, -1.0, 1e18, float("inf"))} == {AS_OF}


@pytest.mark.parametrize(
    ("device", "branch", "version", "level", "fix"),
    [
        (T4, "535", "535.309.01", "warn", "move to branch 580"),
        (K80, "470", "470.256.02", "warn", "nothing after 470"),
        (T4, "535", "535.247.01", "stop", "UPGRADE"),
        (T4, "580", "580.142", "warn", "UPGRADE"),
        (T4, "595", "595.58.03", "warn", "UPGRADE"),
        (T4, "580", "580.178.04", None, ""),
        (T4, "999", "999.1", None, ""),
    ],
)
def test_floors_and_ends(device: int, branch: str, version: str, level: str | None, fix: str) -> None:
    verdict = judge_branch(branch, version, host(device), "UPGRADE")
    assert (verdict.level if verdict else None) == level
    assert verdict is None or fix in verdict.fix


@pytest.mark.parametrize(
    ("kernel", "version", "flavour", "level"),
    [
        ("6.12.117+deb13-amd64", "550.163.01", "open", "stop"),
        ("6.12.97", "550.163.01", "open", "stop"),
        ("6.12.96+deb13-amd64", "550.163.01", "open", None),
        ("6.12.117+deb13-amd64", "550.163.01", "proprietary", None),
        ("6.13.1", "550.163.01", "open", "warn"),
        ("6.18.39", "550.163.01", "open", "warn"),
        ("6.18.40", "550.163.01", "open", "stop"),
        ("6.19", "550.163.01", "open", "stop"),
        ("6.12.117", "580.95.05", "open", "stop"),
        ("6.12.117", "580.126.09", "open", None),
        ("7.1.0", "580.178.04", "open", "warn"),
        ("4.14.336", "580.178.04", "open", "stop"),
        ("4.15.0", "580.178.04", "open", None),
        ("3.9", "535.309.01", "proprietary", "stop"),
        ("7.1.0", "570.211.01", "proprietary", None),
        ("", "580.178.04", "open", None),
        ("6.1", "999.1", "open", None),
    ],
)
def test_kernel_and_branch(kernel: str, version: str, flavour: str, level: str | None) -> None:
    verdict = judge_kernel(kernel, version, flavour)
    assert (verdict.level if verdict else None) == level


SIGNED = SignedModules("mods-{branch}{open}-{flavour}", (580,), ("open",), "signed", Source("x", "2026-11-23"))


@pytest.mark.parametrize(
    ("platform", "signed", "flavour", "way"),
    [
        (Platform(efi=False), None, "open", "not enforced"),
        (Platform(efi=True, secure_boot=False, lockdown="none"), None, "open", "not enforced"),
        (Platform(efi=True, secure_boot=True), None, "open", ""),
        (Platform(efi=True, secure_boot=True), SIGNED, "open", "signed"),
        (Platform(efi=True, secure_boot=True), SIGNED, "proprietary", ""),
        (Platform(efi=True, secure_boot=True, dkms_key_enrolled=True), SIGNED, "proprietary", "enrolled"),
        (Platform(efi=True, secure_boot=True, dkms_key_enrolled=False), None, "open", ""),
        (Platform(efi=True, secure_boot=False, lockdown="integrity"), None, "open", ""),
        (Platform(efi=True), SIGNED, "open", ""),
    ],
)
def test_secure_boot(platform: Platform, signed: SignedModules | None, flavour: str, way: str) -> None:
    choice = choose_secure_boot(platform, signed, "580", flavour, "6.8.0-60-generic")
    assert (choice.way, bool(choice.problem), bool(choice.fix)) == (way, not way, not way)
    assert choice.package == ("mods-580-open-generic" if way == "signed" else "")


@pytest.mark.parametrize(
    ("release", "kernel", "package"),
    [
        (("ubuntu", "24.04"), "6.8.0-1021-aws", "linux-headers-6.8.0-1021-aws"),
        (("debian", "12"), "6.1.0-50-cloud-amd64", "linux-headers-6.1.0-50-cloud-amd64"),
        (("ol", "9"), "6.12.0-1.el9uek.x86_64", "kernel-uek-devel-6.12.0-1.el9uek.x86_64"),
        (("ol", "9"), "5.14.0-687.el9.x86_64", "kernel-devel-5.14.0-687.el9.x86_64"),
        (("rhel", "9.8"), "5.14.0-687.el9.x86_64+rt", "kernel-rt-devel-5.14.0-687.el9.x86_64+rt"),
        (("arch", ""), "6.12.60-1-lts", "linux-lts-headers"),
        (("arch", ""), "7.0.1-zen1-1-zen", "linux-zen-headers"),
        (("arch", ""), "7.0.1-arch1-1", "linux-headers"),
        (("sles", "15"), "6.4.0-150600.8.5-azure", "kernel-azure-devel"),
    ],
)
def test_headers_follow_the_kernels_flavour(release: tuple[str, str], kernel: str, package: str) -> None:
    known = find_release(*release)
    assert known is not None
    assert known.header_package(kernel) == package
    assert (known.compiler(kernel) is not None) is ("uek" in kernel)


def test_known_releases_are_named_once() -> None:
    names = [(r.id, r.version) for r in KNOWN_RELEASES]
    assert len(names) == len(set(names))
