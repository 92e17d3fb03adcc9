"""Sources with several branches: which one a host gets, by which packages, and what stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from deploys.knowledge.records import Distro, DriverLayout, Source
from deploys.operations import packages
from deploys.plan.checks.platform import secure_boot_allows_modules
from deploys.plan.driver import DriverChoice
from deploys.plan.driver_source import choose_driver, installed_version
from deploys.plan.machine import Machine
from deploys.plan.plan import make_plan
from deploys.plan.settings import Settings
from facts.probe import parse_machine
from inventories.releases import RELEASES, recording
from tests.plan.hosts import (
    B200,
    GTX_1080,
    K80,
    L4,
    T4,
    V100,
    changed,
    debian_12_bare,
    distro_of,
    gpus,
    installed,
)

_TEST = Source("a test", "2026-11-25")
NAMED = DriverLayout(
    origin="nvidia",
    first=535,
    last=580,
    kernel_modules={"open": ("nvidia-dkms-{branch}-open",), "proprietary": ("nvidia-dkms-{branch}",)},
    user_space=("libnvidia-compute-{branch}", "nvidia-persistenced"),
    libraries=("libnvidia-compute-{branch}",),
    why="the branch is in the name",
    source=_TEST,
)
PINNED = replace(
    NAMED,
    first=590,
    last=None,
    kernel_modules={"open": ("nvidia-dkms-open",), "proprietary": ("nvidia-dkms",)},
    user_space=("libnvidia-compute",),
    libraries=("libnvidia-compute",),
    versioned=True,
    pin="nvidia-driver-pinning-{branch}",
)
MODULAR = replace(
    NAMED,
    first=535,
    last=None,
    kernel_modules={"open": ("kmod-open",), "proprietary": ("kmod-latest",)},
    user_space=("nvidia-driver-cuda",),
    libraries=("nvidia-driver-cuda",),
    streams={"open": "nvidia-driver:{branch}-open", "proprietary": "nvidia-driver:{branch}-dkms"},
    versioned=True,
)
OPEN_ONLY = replace(MODULAR, kernel_modules={"open": ("signed-kmp-{kernel}",)}, streams={}, prebuilt=True, first=580)
HOST = debian_12_bare(pci=gpus(L4))


def room(*layouts: DriverLayout) -> Distro:
    return replace(distro_of(HOST), layouts=layouts, default_driver="nvidia", kernel_flavours={"": "default"})


def choose(layouts: Sequence[DriverLayout], machine: Machine = HOST, **settings: object) -> DriverChoice:
    return choose_driver(machine, Settings(**settings), room(*layouts))  # type: ignore[arg-type]


def test_the_newest_lts_branch_is_named_in_its_packages() -> None:
    choice = choose((NAMED, PINNED))
    assert (choice.branch, choice.origin, choice.flavour) == ("580", "nvidia", "proprietary")
    assert choice.packages == ("nvidia-dkms-580", "libnvidia-compute-580", "nvidia-persistenced")
    assert choice.versions == {}
    assert choice.pins == ()
    assert choice.same_version == ("nvidia-dkms-580", "libnvidia-compute-580")
    assert choice.holds == choice.packages


def test_names_without_a_branch_are_asked_for_by_version_behind_a_pin() -> None:
    choice = choose((NAMED, PINNED), driver_branch="595")
    assert choice.packages == ("nvidia-dkms", "libnvidia-compute")
    assert set(choice.versions.values()) == {"595"}
    assert choice.pins == ("nvidia-driver-pinning-595",)


@pytest.mark.parametrize(
    ("pin", "packages", "version"),
    [("580.159.03", "nvidia-dkms-580", "580.159.03"), ("595.71.05", "nvidia-dkms", "595.71.05")],
)
def test_a_full_version_is_asked_of_every_package(pin: str, packages: str, version: str) -> None:
    choice = choose((NAMED, PINNED), driver_branch=pin)
    assert choice.version == version
    assert packages in choice.packages
    assert set(choice.versions) == set(choice.packages)
    assert set(choice.versions.values()) == {version}


def test_a_module_stream_goes_with_branch_and_flavour() -> None:
    assert choose((MODULAR,)).stream == "nvidia-driver:580-dkms"
    assert choose((MODULAR,), kernel_modules="open").stream == "nvidia-driver:580-open"
    assert choose((MODULAR,), debian_12_bare(pci=gpus(B200))).stream == "nvidia-driver:580-open"


def test_open_modules_where_the_source_has_no_others_and_every_gpu_allows_them() -> None:
    choice = choose((OPEN_ONLY,))
    assert choice.flavour == "open"
    assert choice.packages == ("signed-kmp-default", "nvidia-driver-cuda")
    assert choice.prebuilt
    assert "has no others" in choice.why[0]


@pytest.mark.parametrize("device", [GTX_1080, V100])
def test_a_source_with_open_modules_only_refuses_older_gpus(device: int) -> None:
    choice = choose((OPEN_ONLY,), debian_12_bare(pci=gpus(device)))
    assert choice.packages == ()
    assert "no proprietary modules" in choice.problem
    assert choice.fix


def test_flavour_that_is_asked_for_and_not_there_is_refused() -> None:
    assert "no proprietary modules" in choose((OPEN_ONLY,), kernel_modules="proprietary").problem


def test_a_release_without_the_source_says_which_one_it_has() -> None:
    choice = choose((), driver_source="nvidia")
    assert "has no driver" in choice.problem
    assert 'gpu_driver_source = "distro"' in choice.fix


def test_an_installed_branch_that_serves_stays_in_its_version() -> None:
    there = installed(HOST, nvidia_dkms="595.71.05-1", libnvidia_compute="595.71.05-1")
    choice = choose((NAMED, PINNED), there)
    assert (choice.branch, choice.version) == ("595", "595.71.05")
    assert make_plan(there, Settings(), room(NAMED, PINNED)).packages.lacking(there.packages) == tuple(
        p for p in make_plan(there, Settings(), room(NAMED, PINNED)).packages.wanted if p not in choice.packages
    )


def test_an_installed_branch_that_does_not_carry_the_gpus_goes() -> None:
    there = installed(
        debian_12_bare(pci=gpus(B200)), nvidia_dkms_550="550.163.01-1", libnvidia_compute_550="550.163.01-1"
    )
    assert choose((NAMED, PINNED), there).branch == "580"


def test_another_branch_makes_the_whole_set_move() -> None:
    there = installed(HOST, kmod_latest="3:580.159.03-1.el9", nvidia_driver_cuda="3:580.159.03-1.el9")
    stays = make_plan(there, Settings(), room(MODULAR))
    moves = make_plan(there, Settings(driver_branch="595"), room(MODULAR))
    assert not set(stays.driver.packages) & set(stays.packages.missing)
    assert stays.packages.stream == ""
    assert set(moves.driver.packages) <= set(moves.packages.missing)
    assert moves.packages.stream == "nvidia-driver:595-dkms"
    exact = make_plan(there, Settings(driver_branch="580.178.04"), room(MODULAR))
    assert set(exact.driver.packages) <= set(exact.packages.missing)


def test_branch_of_the_installed_driver_is_read_from_its_library() -> None:
    assert (
        installed_version(installed(HOST, libnvidia_compute_570="570.211.01-0ubuntu1"), (NAMED, PINNED)) == "570.211.01"
    )
    assert installed_version(installed(HOST, libnvidia_compute="590.48.01-1"), (NAMED, PINNED)) == "590.48.01"
    assert installed_version(installed(HOST, libnvidia_compute_580="1:580.159.03-1"), (PINNED,)) == ""
    assert installed_version(HOST, (NAMED, PINNED)) == ""


def test_pascal_and_turing_share_the_last_branch_of_the_older_one() -> None:
    choice = choose((NAMED, PINNED), debian_12_bare(pci=gpus(GTX_1080, T4)))
    assert (choice.branch, choice.flavour) == ("580", "proprietary")


UBUNTU = parse_machine(recording(next(r for r in RELEASES if r.name == "ubuntu-24.04")))
KERNEL = "6.8.0-60-generic"


def ubuntu(*devices: int, **changes: object) -> Machine:
    return changed(UBUNTU, pci=gpus(*devices), **changes)


SECURE = {"platform__efi": True, "platform__secure_boot": True}


@pytest.mark.parametrize(("device", "kind"), [(T4, ""), (V100, ""), (B200, "-open")])
def test_secure_boot_gets_modules_that_the_distribution_has_signed_for_each_kernel(device: int, kind: str) -> None:
    machine = ubuntu(device, kernels__default="6.8.0-71-generic", **SECURE)
    choice = choose_driver(machine, Settings(), distro_of(machine))
    assert (choice.origin, choice.branch, choice.prebuilt) == ("distro", "580", True)
    assert choice.modules == tuple(f"linux-modules-nvidia-580-server{kind}-{k}" for k in (KERNEL, "6.8.0-71-generic"))
    assert not [p for p in choice.packages if "dkms" in p]
    assert choice.same_version == ("libnvidia-compute-580-server", "nvidia-kernel-common-580-server")
    assert secure_boot_allows_modules(machine, Settings()) is None
    made = make_plan(machine, Settings(), distro_of(machine))
    assert made.packages.modules == ()
    assert not [c.packages for c in made.capabilities if c.name == "headers" and c.packages]
    script = packages.script(made, "rehearse", machine)
    assert "SAME_VERSION='libnvidia-compute-580-server nvidia-kernel-common-580-server'" in script


@pytest.mark.parametrize(
    ("machine", "settings"),
    [
        (ubuntu(T4), {}),
        (ubuntu(T4, platform__dkms_key_enrolled=True, **SECURE), {}),
        (ubuntu(T4, **SECURE), {"driver_source": "nvidia"}),
        (ubuntu(K80, **SECURE), {}),
        (ubuntu(T4, **SECURE), {"driver_branch": "590"}),
    ],
    ids=["off", "enrolled", "NVIDIA's own", "a GPU that no signed branch carries", "a branch that is not signed"],
)
def test_signed_modules_only_where_they_are_demanded_and_serve(machine: Machine, settings: dict[str, str]) -> None:
    wanted = Settings(**settings)  # type: ignore[arg-type]
    choice = choose_driver(machine, wanted, distro_of(machine))
    assert not choice.prebuilt
    refused = secure_boot_allows_modules(machine, wanted)
    demanded = bool(machine.platform.secure_boot) and not machine.platform.dkms_key_enrolled
    assert (refused is not None) is demanded
    if settings.get("driver_source"):
        assert refused is not None
        assert refused.fix.startswith('set gpu_driver_source = "auto"')


def test_signed_modules_that_are_there_stay_when_secure_boot_is_off() -> None:
    secure = ubuntu(T4, **SECURE)
    wanted = choose_driver(secure, Settings(), distro_of(secure))
    there = installed(ubuntu(T4), **dict.fromkeys(wanted.packages, "580.159.03-0ubuntu1"))
    assert choose_driver(there, Settings(), distro_of(there)).packages == wanted.packages
    desktop = installed(ubuntu(T4), **{"linux-modules-nvidia-580-6.8.0-60-generic": "6.8.0-60.63+1"})
    assert choose_driver(desktop, Settings(), distro_of(desktop)).origin == "nvidia", "another set than ours"


def test_suse_has_signed_its_modules_and_needs_no_key() -> None:
    release = next(r for r in RELEASES if r.name == "sles-15.7")
    machine = changed(parse_machine(recording(release)), pci=gpus(L4), **SECURE)
    assert secure_boot_allows_modules(machine, Settings()) is None
    older = changed(machine, pci=gpus(V100))
    assert secure_boot_allows_modules(older, Settings()) is not None, "SUSE has no modules for it"
