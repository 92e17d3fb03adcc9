"""The road in a machine with a kernel of its own: nouveau was loaded by udev, is blocked, and is gone after one reboot.

The guest has NVIDIA's real driver, and GPUs that are ids and nothing else, so the last word is the driver's error. One run
provisions; the tests look at what it left behind, in order.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from deploys.knowledge.paths import NOUVEAU_BLOCK
from deploys.support.reboot import LOOK_LIMIT
from tests.vm.bed import VmBed
from tests.vm.machine import PATIENCE, Vm
from tests.vm.recipe import DEVICES
from tests.vm.road_lab import RESTART, Road

TOO_SHORT = 60  # seconds; the least that gpu_reboot_timeout takes
PROBE = 40.0  # seconds on a quiet machine: all that a run does beside waiting for a host to come back
# Of everything that a run could write: its own file, the boot image, packages and their index, units.
_STATE = (
    f"stat -c '%n %i %y' {NOUVEAU_BLOCK} /boot/initrd.img-* /etc/modprobe.d /etc/apt/sources.list.d/* /etc/systemd/system "
    "/var/lib/dpkg/status /var/lib/apt/lists /var/lib/dkms /var/log/gpu-host/*; "
    "systemctl show --property=Id,InvocationID ssh.service dbus.service nvidia-persistenced.service"
)


@pytest.fixture(scope="module")
def road(vm_bed: VmBed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    for attempt in (1, 2):
        guest = vm_bed.new_vm("road", "driver")
        try:
            road = Road(guest, tmp_path_factory.mktemp("road"))
            road.modules_before, road.boot_before = guest.loaded_modules(), guest.boot_id()
            road.image_before = road.image()
            guest.put_nouveau_in_initramfs()
            road.first = road.run()
            if attempt == 1 and emulator_hangs(guest):
                continue
            yield road
            return
        finally:
            vm_bed.discard(guest)


def emulator_hangs(guest: Vm) -> bool:
    """Did nothing follow the kernel's last word? Seen once in many runs; a second failure in a row is the product's."""
    if guest.ssh("true", check=False).returncode == 0:
        return False
    print(guest.console_tail())
    return guest.console_tail().rstrip().endswith(RESTART)


def _first(road: Road) -> subprocess.CompletedProcess[str]:
    assert road.first is not None
    return road.first


def test_udev_had_loaded_nouveau_before_the_run(road: Road) -> None:
    """By the devices' ids: no file asked for it, and the boot image did not have it."""
    assert "nouveau" in road.modules_before
    assert "nouveau" not in road.image_before
    assert road.vm.ssh("grep -rl nouveau /etc/modules-load.d /etc/modules", check=False).stdout == ""


def test_nouveau_is_gone_after_the_run(road: Road) -> None:
    """The devices that called for it are still there."""
    assert "nouveau" not in road.vm.loaded_modules()
    assert road.vm.ssh("ls /sys/bus/pci/devices | grep -c ^0000:41:").stdout.strip() == str(len(DEVICES))


def test_block_is_on_disk_and_in_the_boot_image_beside_the_module(road: Road) -> None:
    """The image still carries nouveau and is told to load it: what keeps it out is the block."""
    text = road.vm.ssh(f"cat {NOUVEAU_BLOCK}").stdout
    assert "blacklist nouveau" in text
    inside = road.image().splitlines()
    assert NOUVEAU_BLOCK.lstrip("/") in inside
    assert any(re.search(r"/nouveau\.ko(\.\w+)?$", line) for line in inside)


def test_exactly_one_reboot_by_the_state_of_the_host(road: Road) -> None:
    assert road.vm.console.read_text(errors="replace").count(RESTART) == 1
    assert road.vm.boot_id() != road.boot_before
    assert _first(road).stderr.count("reboot: nouveau is loaded") == 1


def test_nothing_was_installed_or_refreshed(road: Road) -> None:
    """All packages of the plan are there, so nothing is rehearsed, fetched or compiled in the guest."""
    assert road.vm.ssh("ls /var/log/gpu-host").stdout.split() == ["initramfs.log"]
    assert road.vm.ssh("ls /var/lib/apt/lists | grep -c _Packages", check=False).stdout.strip() == "0"


def test_verdict_is_the_drivers_own_error(road: Road) -> None:
    steps = {step["name"]: step for step in road.outcome["steps"]}
    assert steps["pci_gpus"]["result"] == "PASS"
    assert steps["nouveau_absent"]["result"] == "PASS"
    assert steps["driver_built"]["result"] == "PASS"
    assert steps["driver_loaded"]["result"] == "FAIL"
    assert "NVRM: Can't find an IRQ for your NVIDIA card!" in steps["driver_loaded"]["detail"]
    assert "couldn't communicate with the NVIDIA driver" in steps["nvml"]["detail"]
    assert steps["cuda_call"]["result"] != "PASS"


def test_host_is_not_ready_and_the_exit_code_says_so(road: Road) -> None:
    assert _first(road).returncode == 1
    assert road.outcome["state"] == "not-ready"
    assert road.outcome["detail"].startswith("driver_loaded: ")
    assert re.search(r"^road +not-ready ", _first(road).stderr, re.MULTILINE)


def test_second_run_changes_nothing_and_costs_at_most_three_commands(road: Road) -> None:
    boot, state, before = road.vm.boot_id(), road.vm.ssh(_STATE).stdout, len(road.commands())
    second = road.run()
    spent = road.commands()[before:-1]
    assert len(spent) <= 3, spent
    assert road.vm.ssh(_STATE).stdout == state
    assert road.vm.boot_id() == boot
    assert road.outcome["changed"] == []
    assert road.outcome["state"] == "not-ready"
    assert "reboot: " not in second.stderr


def test_reboot_that_does_not_happen_is_told_within_its_limit(road: Road) -> None:
    """systemd refuses to reboot: the host goes on answering with its old boot identity."""
    boot = road.vm.boot_id()
    road.vm.ssh("systemctl mask --runtime --quiet reboot.target && modprobe --ignore-install nouveau")
    before = len(road.commands())
    run = road.run(TOO_SHORT)
    spent = road.commands()[before:-1]
    asked = next(int(line.split()[0]) for line in spent if "systemctl reboot" in line)
    assert TOO_SHORT / 2 < int(spent[-1].split()[0]) - asked < TOO_SHORT + 3 * LOOK_LIMIT  # connect, ask, ask once more
    assert run.returncode == 1
    assert f"within {TOO_SHORT} s: it still answers with the old boot identity" in run.stderr
    assert road.outcome["state"] == "failed"
    assert "Rebooted" in road.outcome["detail"]
    assert road.vm.boot_id() == boot


def test_host_that_stays_away_is_told_within_its_limit(road: Road) -> None:
    """Last of the module: the guest reboots and answers nobody any more."""
    road.vm.ssh(
        "systemctl unmask --runtime --quiet reboot.target && systemctl disable --quiet ssh.service && lsmod | grep -q ^nouveau"
    )
    run = road.run(TOO_SHORT)
    assert run.returncode == 1
    assert f"within {TOO_SHORT} s: it does not answer" in run.stderr
    assert road.report["seconds"] < TOO_SHORT + PROBE * PATIENCE
    assert road.outcome["state"] == "failed"
    assert re.search(r"^road +failed ", run.stderr, re.MULTILINE)
