"""The state of a driver: each name by what makes it, and never a repair that disturbs more than it must."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploys.knowledge.distros import find_distro
from deploys.plan.describe import describe
from deploys.plan.machine import Kernel, KernelModule, Machine
from deploys.plan.plan import make_plan
from deploys.plan.settings import Settings
from deploys.plan.state import driver_state
from tests.plan.hosts import A100, changed, debian_12_bare, debian_13_converged, gpus, holders

DONE, BARE = debian_13_converged(), debian_12_bare()
RUNNING = DONE.kernels.installed[0]
NEXT = Kernel("6.12.120+deb13-amd64", image=True)
OLD = {"driver__loaded": "550.90.07"}


def on_disk(version: str) -> tuple[Kernel, ...]:
    return (replace(RUNNING, nvidia_modules=(KernelModule("nvidia-current", "/m/nvidia-current.ko", version),)),)


def kernels(*installed: Kernel, **more: object) -> Machine:
    return changed(DONE, kernels__installed=installed, **more)


CASES: list[tuple[str, Machine, str, str]] = [
    ("as it should be", DONE, "ready", ""),
    ("nothing there", BARE, "bare", "install"),
    ("nothing could be read", Machine(), "unknown", ""),
    ("libraries unknown", changed(DONE, driver__user_space=None), "unknown", ""),
    ("modules alone", changed(DONE, driver__user_space=""), "broken", "reinstall"),
    ("libraries alone", kernels(replace(RUNNING, nvidia_modules=())), "broken", "build"),
    ("two versions on disk", changed(DONE, driver__user_space="550.90.07"), "mismatch", "one set"),
    ("upgraded, idle", changed(DONE, **OLD), "reload-pending", "load 550.163.01 anew"),
    ("upgraded, in use", changed(DONE, **OLD, driver__holders=holders("python3 -m vllm")), "reboot-pending", "waits for python3"),
    ("upgraded, a container has it", changed(DONE, **OLD, docker__gpu_containers=("llm",)), "reboot-pending", "waits for container llm"),
    ("upgraded, the old one does not go", changed(DONE, **OLD, driver__reload_tried="550.163.01"), "reboot-pending", "one reboot"),
    ("nouveau in its place", changed(DONE, pci=gpus(A100), driver__loaded="", nouveau__loaded=True), "reboot-pending", "one reboot"),
    ("nothing loaded", changed(DONE, driver__loaded=""), "load-pending", "load it"),
    ("next kernel without", kernels(RUNNING, NEXT, kernels__default=NEXT.release), "unproven-kernel", "stays installed"),
    ("only the next kernel has it", kernels(replace(RUNNING, nvidia_modules=()), replace(NEXT, nvidia_modules=RUNNING.nvidia_modules), kernels__default=NEXT.release, driver__loaded=""), "reboot-pending", "one reboot"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "machine", "name", "repair"), CASES, ids=[c[0] for c in CASES])
def test_every_state(why: str, machine: Machine, name: str, repair: str) -> None:
    state = driver_state(machine)
    assert state.name == name, why
    assert repair in state.repair
    assert state.why


def test_reboot_that_has_not_helped_is_no_pending_one() -> None:
    stuck = changed(DONE, **OLD, driver__reload_tried="550.163.01")
    boot = replace(stuck.boot, rebooted_in="earlier", rebooted_for="driver 550.90.07 is loaded, 550.163.01 is on disk")
    assert driver_state(replace(stuck, boot=boot)).name == "broken"


def test_a_broken_disk_is_told_before_a_stale_module() -> None:
    both = changed(DONE, kernels__installed=on_disk("550.144.03"), **OLD)
    assert driver_state(both).name == "mismatch"


def test_the_page_of_a_host_begins_with_it() -> None:
    distro = find_distro("debian", "13")
    assert distro is not None
    page = describe(make_plan(DONE, Settings(), distro), DONE, "host")
    assert page.splitlines()[1] == "    state         ready: module and libraries 550.163.01, next kernel too"
