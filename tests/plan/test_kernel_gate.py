"""The kernel gate: what makes a kernel unfit, which one is held then, and when a new one is tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploys.knowledge.distros import find_distro
from deploys.knowledge.managers import APT, DNF
from deploys.plan.capabilities import headers
from deploys.plan.checks.work import gpu_idle_before_driver_change
from deploys.plan.kernel_gate import (
    describe_gate,
    failed_trial,
    gate,
    kept_kernel,
    never_tried,
    obstacle,
    on_trial,
    unfit,
    unproven,
    wants_trial,
)
from deploys.plan.machine import BootLoader, Initramfs, Kernel, KernelModule, Kernels, Machine
from deploys.plan.proven import ProvenSet
from deploys.plan.reboot import plan_reboot, reboot_reasons
from deploys.plan.settings import Settings
from deploys.plan.state import driver_state
from tests.plan.hosts import changed, debian_13_converged, holders

VERSION = "550.163.01"
OLD, NOW, NEW = "6.12.9-amd64", "6.12.10-amd64", "6.12.11-amd64"
LOADER = BootLoader("grub", default=NEW, natural=NEW, one_shot=True)


def module(release: str, **more: Any) -> KernelModule:
    known = KernelModule("nvidia", f"/lib/modules/{release}/updates/dkms/nvidia.ko", VERSION, release, "DKMS key")
    return replace(known, **more)


def kernel(release: str, **more: Any) -> Kernel:
    image = Initramfs(f"/boot/initrd.img-{release}", readable=True, nouveau=False, blocked=True)
    return replace(Kernel(release, True, True, (module(release),), initramfs=image), **more)


def host(*kernels: Kernel, loader: BootLoader = LOADER, **more: Any) -> Machine:
    """Three kernels; the middle one runs, the newest comes next. Changes as in `changed`."""
    found = {k.release: k for k in (kernel(OLD), kernel(NOW), kernel(NEW), *kernels)}
    known = Kernels(NOW, loader.default, tuple(found.values()), "14.2.0", loader)
    return changed(debian_13_converged(), kernels=known, **more)


def secure(enrolled: bool | None) -> dict[str, Any]:
    return {"platform__secure_boot": True, "platform__dkms_key_enrolled": enrolled}


UNFIT: list[tuple[str, Kernel, dict[str, Any], str]] = [
    ("as it should be", kernel(NEW), {}, ""),
    ("no image", kernel(NEW, image=False), {}, "has no image"),
    ("whether it has one is unknown", kernel(NEW, image=None), {}, ""),
    ("nothing was built", kernel(NEW, nvidia_modules=()), {}, "has no NVIDIA module"),
    ("an older driver", kernel(NEW, nvidia_modules=(module(NEW, version="550.90.07"),)), {}, f"has NVIDIA module 550.90.07, the libraries are {VERSION}"),
    ("an empty file", kernel(NEW, nvidia_modules=(module(NEW, version=None),)), {}, "cannot be read"),
    ("for another kernel", kernel(NEW, nvidia_modules=(module(NEW, built_for=OLD),)), {}, f"built for {OLD}"),
    ("linked by the distribution", kernel(NEW, nvidia_modules=(module(NEW, built_for=OLD, path=f"/lib/modules/{NEW}/weak-updates/nvidia.ko"),)), {}, ""),
    ("unsigned, nobody asks", kernel(NEW, nvidia_modules=(module(NEW, signer=""),)), {}, ""),
    ("unsigned, Secure Boot", kernel(NEW, nvidia_modules=(module(NEW, signer=""),)), secure(True), "unsigned"),
    ("unsigned, lockdown", kernel(NEW, nvidia_modules=(module(NEW, signer=""),)), {"platform__lockdown": "integrity"}, "unsigned"),
    ("signed by a stranger's key", kernel(NEW), secure(False), "not enrolled"),
    ("signed by an enrolled key", kernel(NEW), secure(True), ""),
    ("signed by the distribution", kernel(NEW, nvidia_modules=(module(NEW, path=f"/lib/modules/{NEW}/updates/nvidia.ko"),)), secure(False), ""),
    ("no initramfs", kernel(NEW, initramfs=None), {}, "has no initramfs"),
    ("half an initramfs", kernel(NEW, initramfs=Initramfs("/boot/x", readable=False)), {}, "to its end"),
    ("the libraries are unknown", kernel(NEW), {"driver__user_space": None}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("why", "new", "more", "words"), UNFIT, ids=[c[0] for c in UNFIT])
def test_what_a_kernel_lacks(why: str, new: Kernel, more: dict[str, Any], words: str) -> None:
    machine = host(new, **more)
    found = unfit(new, machine)
    assert words in found
    assert bool(found) is bool(words), why


@pytest.mark.parametrize(("why", "new", "more", "words"), UNFIT, ids=[c[0] for c in UNFIT])
def test_kernel_that_lacks_something_never_comes_next(why: str, new: Kernel, more: dict[str, Any], words: str) -> None:
    machine = host(new, **more)
    # With a key that nobody enrolled every kernel is unfit: then nothing is better than the distribution's own choice.
    all_alike = words == "not enrolled"
    assert gate(machine).pin == ("" if all_alike or not words else NOW)
    assert (gate(machine).new == NEW) is not bool(words)
    if words:
        state = driver_state(machine)
        assert state.name in ("unproven-kernel", "mismatch"), why
        assert not [r for r in reboot_reasons(machine, new_kernel=True) if NEW in r]


NOTHING: dict[str, Any] = {"nvidia_modules": ()}


@pytest.mark.parametrize(
    ("kernels", "proven", "pin"),
    [
        ([kernel(NEW, **NOTHING)], "", NOW),
        ([kernel(NEW, **NOTHING)], OLD, NOW),
        ([kernel(NEW, **NOTHING), kernel(NOW, **NOTHING)], "", OLD),
        ([kernel(NEW, **NOTHING), kernel(NOW, **NOTHING), kernel("6.12.8-amd64")], "6.12.8-amd64", "6.12.8-amd64"),
        ([kernel(NEW, **NOTHING), kernel(NOW, **NOTHING), kernel("6.12.8-amd64")], "6.12.7-amd64", OLD),
        ([kernel(NEW, **NOTHING), kernel(NOW, **NOTHING), kernel(OLD, **NOTHING)], "", ""),
    ],
    ids=["running", "running before proven", "newest", "proven before newest", "proven is gone", "none is better"],
)
def test_which_kernel_is_held(kernels: list[Kernel], proven: str, pin: str) -> None:
    assert gate(host(*kernels, proven=ProvenSet(kernel=proven))).pin == pin


def test_host_without_a_driver_is_left_alone() -> None:
    bare = host(*(kernel(r, **NOTHING) for r in (OLD, NOW, NEW)))
    assert gate(bare).pin == ""
    assert unproven(bare) == ""


def test_unknown_next_kernel_is_left_alone() -> None:
    machine = host(kernel(NEW, **NOTHING), loader=BootLoader())
    assert gate(machine).pin == ""
    assert describe_gate(machine) == ""


def test_held_kernel_is_let_go_when_the_newest_is_fit() -> None:
    held = replace(LOADER, default=NOW, natural=NEW, pinned=NOW)
    assert gate(host(kernel(NEW, **NOTHING), loader=held)).pin == NOW
    assert gate(host(loader=held)).pin == ""
    assert host(loader=held).kernels.served == (NOW, NEW)


def test_new_kernel_is_a_reason_where_the_settings_say_so() -> None:
    machine = host()
    reason = f"kernel {NEW} is installed, fit, and comes next; {NOW} is running"
    assert reboot_reasons(machine) == ()
    assert reboot_reasons(machine, new_kernel=True) == (reason,)
    plan = plan_reboot(machine, Settings())
    assert (plan.needed, plan.why, plan.trial, plan.refused) == (True, reason, NEW, "")
    assert not plan_reboot(machine, Settings(new_kernel="wait")).needed
    assert wants_trial(machine) == NEW


def test_older_kernel_that_its_owner_chose_is_no_reason() -> None:
    chosen = host(loader=replace(LOADER, default=OLD, natural=OLD))
    assert gate(chosen).new == ""
    assert reboot_reasons(chosen, new_kernel=True) == ()


def test_host_that_serves_and_is_busy_goes_on_without_the_new_kernel() -> None:
    busy = host(driver__holders=holders("python3 -m vllm"))
    assert gpu_idle_before_driver_change(busy, Settings()) is None
    assert driver_state(busy).name == "ready"


def test_no_trial_where_there_is_nothing_to_return_to() -> None:
    assert wants_trial(host(kernel(NOW, **NOTHING))) == ""


def test_boot_loader_that_cannot_forget_needs_a_word_from_its_owner() -> None:
    stuck = host(loader=replace(LOADER, one_shot=False, obstacle="GRUB cannot write to LVM"))
    assert obstacle(stuck) == f"kernel {NEW} comes next, and it cannot be tried first: GRUB cannot write to LVM"
    assert plan_reboot(stuck, Settings()).refused
    assert not plan_reboot(stuck, Settings(accept=("new_kernel_can_be_tried",))).refused
    assert "cannot start a kernel once: GRUB cannot write to LVM" in describe_gate(stuck)


def trial(running: str, loaded: str = VERSION, boot: str = "the boot before") -> Machine:
    loader = replace(LOADER, default=NOW, pinned=NOW, trial=NEW, trial_from=boot)
    return changed(host(loader=loader, driver__loaded=loaded), kernels__running=running, boot__boot_id="this boot")


def test_kernel_on_trial_without_its_driver_is_left_by_a_reboot() -> None:
    (reason,) = reboot_reasons(trial(NEW, loaded=""))
    assert reason == f"kernel {NEW}, on trial, has not loaded its driver; {NOW} is held"
    for fine in (trial(NEW), trial(NOW), trial(NOW, boot="this boot"), host()):
        assert reboot_reasons(fine) == ()


@pytest.mark.parametrize(
    ("machine", "never", "up", "failed", "pin"),
    [
        (trial(NEW), False, True, "", NOW),
        (trial(NEW, loaded=""), False, False, "", NOW),
        (trial(NOW), False, False, NEW, NOW),
        (trial(NOW, boot="this boot"), True, False, "", NOW),
    ],
    ids=["came up", "without its driver", "another one came up", "the reboot never came"],
)
def test_trial(machine: Machine, never: bool, up: bool, failed: str, pin: str) -> None:
    """While it is on trial, a kernel is nobody's default."""
    found = (never_tried(machine), on_trial(machine), failed_trial(machine), gate(machine).pin)
    assert found == (never, up, failed, pin)


def test_kernel_that_is_being_proven_is_no_trouble_of_the_host() -> None:
    """Its driver has loaded: whether it may become the default is what the proof says next."""
    assert (driver_state(trial(NEW)).name, unproven(trial(NEW))) == ("ready", "")


def test_failed_trial_is_told_by_name_and_not_repeated() -> None:
    machine = trial(NOW)
    state = driver_state(machine)
    assert state.name == "unproven-kernel"
    assert f"booted {NOW} instead of {NEW}" in state.why
    assert reboot_reasons(machine, new_kernel=True) == ()
    assert not plan_reboot(machine, Settings()).needed


@pytest.mark.parametrize(
    ("how", "running", "expected"),
    [
        (APT.keep_kernel, NOW, r'"^linux-(image|headers|modules|modules-extra)-(unsigned-)?6\.12\.10-amd64$"'),
        (APT.keep_kernel, NEW, ""),
        (DNF.keep_kernel, NOW, ""),
    ],
)
def test_proven_kernel_stays_installed_while_it_is_not_the_newest(
    how: tuple[str, str], running: str, expected: str
) -> None:
    _, text = kept_kernel(how, changed(host(), kernels__running=running))
    assert expected in text
    assert bool(text) is bool(expected)


def test_page_says_what_the_boot_loader_does() -> None:
    assert describe_gate(host(kernel(NEW, **NOTHING))) == (
        f"GRUB, can start a kernel once; {NOW} is held as default: {NEW} has no NVIDIA module; {NOW} is fit"
    )
    assert describe_gate(host()).endswith(f"nothing held: {NEW} comes next and is fit")


def test_headers_follow_the_flavour_of_a_kernel_before_it_is_booted() -> None:
    """So that the run after the reboot into another flavour has nothing left to install; for a kernel that is not fit nobody waits."""
    cloud = NEW.replace("-amd64", "-cloud-amd64")
    for lacking, metas in (
        ({}, ("linux-headers-amd64", "linux-headers-cloud-amd64")),
        (NOTHING, ("linux-headers-amd64",)),
    ):
        machine = host(kernel(cloud, **lacking), loader=replace(LOADER, default=cloud, natural=cloud))
        distro = find_distro("debian", "13")
        assert distro is not None
        assert tuple(p for p in headers(machine, distro) if not p[len("linux-headers-")].isdecimal()) == metas
