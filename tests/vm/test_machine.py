"""Proof of the bed itself: what the other tests of this tier take for granted about the guest."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.vm import recipe
from tests.vm.commands import VmError, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vm.image import BaseImage
    from tests.vm.machine import Vm

_IDS = "cd /sys/bus/pci/devices && for d in 0000:41:*; do cat $d/vendor $d/device $d/class | tr '\\n' ' '; echo; done"


def _devices(vm: Vm) -> list[str]:
    return vm.ssh(_IDS).stdout.split("\n")[:-1]


EXPECTED = ["0x10de 0x20b0 0x030200 ", "0x10de 0x1eb8 0x030200 "]


def test_runs_the_kernel_of_the_image(module_vm: Vm, base_image: BaseImage) -> None:
    assert module_vm.release() == base_image.release
    assert f"/boot/vmlinuz-{base_image.release}" in module_vm.ssh("cat /proc/cmdline").stdout  # said by GRUB only


def test_invented_gpus_are_in_sysfs(module_vm: Vm) -> None:
    assert _devices(module_vm) == EXPECTED


def test_udev_loads_nouveau_for_them(module_vm: Vm) -> None:
    """No file asks for it: it came by the devices' modalias."""
    assert "nouveau" in module_vm.loaded_modules()
    assert module_vm.ssh("grep -rl nouveau /etc/modules-load.d /etc/modules", check=False).stdout == ""
    assert "nouveau" in module_vm.ssh("dmesg").stdout  # its probe ran, and failed


def test_reaches_the_package_archive(module_vm: Vm) -> None:
    module_vm.ssh("apt-get update -q -o APT::Update::Error-Mode=any", timeout=600)
    assert "Candidate: (none)" not in module_vm.ssh("apt-cache policy linux-headers-amd64", timeout=300).stdout


def test_pyinfra_reaches_it(module_vm: Vm, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.py"
    inventory.write_text(f"guests = [({module_vm.name!r}, {module_vm.inventory_data()!r})]\n")
    done = run(sys.executable, "-m", "pyinfra", str(inventory), "fact", "server.KernelVersion", env={"NO_COLOR": "1"})
    assert module_vm.release() in done.stdout


def test_modules_for_another_kernel_are_refused(module_vm: Vm, base_image: BaseImage, tmp_path: Path) -> None:
    wrong = base_image.fakepci.read_bytes().replace(
        f"vermagic={base_image.release} ".encode(), f"vermagic={'9' * len(base_image.release)} ".encode()
    )
    (tmp_path / "wrong.ko").write_bytes(wrong)
    with pytest.raises(VmError, match="was built for kernel 999"):
        module_vm.install_modules(tmp_path)
    assert module_vm.ssh("find /lib/modules -name wrong.ko").stdout == ""


def test_modules_built_elsewhere_are_found_by_modprobe(module_vm: Vm, base_image: BaseImage, tmp_path: Path) -> None:
    shutil.copy(base_image.fakepci, tmp_path / "elsewhere.ko")
    module_vm.install_modules(tmp_path)
    assert module_vm.ssh("modinfo -n elsewhere").stdout.strip().endswith("/updates/dkms/elsewhere.ko")


def test_blocked_nouveau_stays_away_after_a_reboot(module_vm: Vm) -> None:
    """The bed can tell a blocked nouveau from one that merely had no reason to load: the devices are still there."""
    before = module_vm.boot_id()
    module_vm.write("/etc/modprobe.d/block.conf", "blacklist nouveau\n")
    module_vm.reboot()
    assert module_vm.boot_id() != before
    assert _devices(module_vm) == EXPECTED
    assert "nouveau" not in module_vm.loaded_modules()


def test_nouveau_can_be_put_into_the_boot_image(module_vm: Vm) -> None:
    listing = "unmkinitramfs /boot/initrd.img-$(uname -r) /tmp/initrd && find /tmp/initrd -name 'nouveau.ko*'"
    module_vm.put_nouveau_in_initramfs()
    assert "/nouveau.ko" in module_vm.ssh(listing, timeout=600).stdout
    assert "nouveau" in module_vm.ssh(f"cat {recipe.INITRAMFS_MODULES}").stdout.split()


def test_nothing_is_left_when_a_guest_is_killed(module_vm: Vm) -> None:
    """Last of the module: it pulls the plug."""
    module_vm.kill()
    assert not module_vm.running
    assert run("ip", "link", "show", f"gpuvm{module_vm.slot}", check=False).returncode != 0
