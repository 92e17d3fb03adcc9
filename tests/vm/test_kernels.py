"""A second kernel on a host that serves: one that does not build, one that does not come up, and one that does. Debian's own kernels, GRUB and dkms.

The driver is a stand-in that is compiled for each kernel (`kernels.py`). One guest; the tests run in order, and each stage begins with what the
one before has left.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from deploys.knowledge.paths import KERNEL_GATE_LOG, PIN_RECORD, PROVEN_RECORD, TRIAL_RECORD
from tests.vm.bed import VmBed
from tests.vm.kernels import BROKEN, WAITING
from tests.vm.machine import PATIENCE, Vm
from tests.vm.road_lab import RESTART, Road

# An image of their own and four boots: a quarter of an hour that the whole tier has not to spare.
pytestmark = pytest.mark.skipif(
    not os.environ.get("GPU_HOST_TEST_SLOW"), reason="set GPU_HOST_TEST_SLOW=1 to try kernels"
)
INSTALL_LIMIT = 400.0  # seconds on a quiet machine: unpacked, built, a boot image, a menu
# The kernel stops as soon as its user space begins, and starts the machine anew.
CRASH = """[Unit]
DefaultDependencies=no
Before=sysinit.target
ConditionKernelVersion=*cloud*

[Service]
Type=oneshot
ExecStart=/bin/sh -c "echo 3 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger"

[Install]
WantedBy=sysinit.target
"""


@dataclass
class Stages:
    """The guest on its way, and what each stage said."""

    road: Road
    old: str
    new: str
    said: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    @property
    def vm(self) -> Vm:
        return self.road.vm

    def run(self, stage: str) -> subprocess.CompletedProcess[str]:
        self.said[stage] = self.road.run()
        return self.said[stage]

    def install(self, command: str) -> int:
        """As somebody else would: exit status."""
        done = self.vm.ssh(
            f"DEBIAN_FRONTEND=noninteractive {command} 2>&1", check=False, timeout=INSTALL_LIMIT * PATIENCE
        )
        print(done.stdout[-6000:])
        return done.returncode

    def default(self) -> str:
        """What GRUB's menu starts, in its own words."""
        return self.vm.ssh("sed -n 's/^ *set default=//p' /boot/grub/grub.cfg").stdout.splitlines()[-1].strip('"')

    def there(self, path: str) -> str:
        return self.vm.ssh(f"cat {path}", check=False).stdout.strip()

    def crashes(self) -> int:
        """The kernel's own last words; what it says at a start is too quiet for this console."""
        return self.vm.console.read_text(errors="replace").count("sysrq triggered crash")


@pytest.fixture(scope="module")
def stages(vm_bed: VmBed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    guest = vm_bed.new_vm("kernels", "kernels")
    try:
        old = guest.release()
        new = f"{old.removesuffix('amd64')}cloud-amd64"
        yield Stages(Road(guest, tmp_path_factory.mktemp("kernels")), old, new)
    finally:
        vm_bed.discard(guest)


def test_first_run_proves_the_kernel_that_runs(stages: Stages) -> None:
    run = stages.run("first")
    assert run.returncode == 0
    assert stages.road.outcome["state"] == "ready"
    assert "boot          GRUB, can start a kernel once; nothing held" in run.stderr
    assert f'"kernel": "{stages.old}"' in stages.there(PROVEN_RECORD)


def test_kernel_whose_module_does_not_build_never_comes_next(stages: Stages) -> None:
    """Installed by the package manager between two runs; the menu is made anew by whoever comes next."""
    stages.vm.ssh(f"touch {BROKEN}")
    assert stages.install(f"apt-get install -y {WAITING}/*.deb") != 0
    assert stages.install("update-grub") == 0
    assert f"/boot/vmlinuz-{stages.new}" in stages.there("/boot/grub/grub.cfg")
    assert f">gnulinux-{stages.old}-advanced-" in stages.default()
    assert stages.there(PIN_RECORD).splitlines()[0] == stages.old
    assert f"{stages.new} has no NVIDIA module: {stages.old} is held as default" in stages.there(KERNEL_GATE_LOG)


def test_run_says_unproven_kernel_and_does_not_reboot(stages: Stages) -> None:
    boot = stages.vm.boot_id()
    run = stages.run("broken")
    assert f"unproven-kernel: kernel {stages.new} comes next and has no NVIDIA module" in run.stderr
    assert f"{stages.old} stays installed and the default" in run.stderr
    assert "reboot: " not in run.stderr
    assert stages.vm.boot_id() == boot
    assert stages.vm.release() == stages.old


def test_pin_goes_as_soon_as_the_module_builds(stages: Stages) -> None:
    stages.vm.ssh(f"rm {BROKEN}")
    assert stages.install("dpkg --configure -a") == 0
    assert stages.default() == "0"
    assert stages.there(PIN_RECORD) == ""


def test_kernel_that_does_not_come_up_is_left_after_one_trial(stages: Stages) -> None:
    stages.vm.write("/etc/systemd/system/crash.service", CRASH)
    stages.vm.ssh("systemctl enable --quiet crash.service && sync")
    boot, crashes = stages.vm.boot_id(), stages.crashes()
    run = stages.run("trial")
    assert stages.crashes() == crashes + 1
    assert stages.vm.boot_id() != boot
    assert f"reboot: kernel {stages.new} is installed, fit, and comes next; {stages.old} is running" in run.stderr
    assert f"booted {stages.old} instead of {stages.new}" in run.stderr
    assert stages.vm.release() == stages.old
    assert f">gnulinux-{stages.old}-advanced-" in stages.default()
    assert stages.road.outcome["state"] == "ready"
    assert stages.road.outcome["detail"].startswith(f"unproven-kernel: booted {stages.old} instead of {stages.new}")


def test_no_second_trial(stages: Stages) -> None:
    boot = stages.vm.boot_id()
    run = stages.run("after the trial")
    assert "unproven-kernel" in run.stderr
    assert stages.vm.boot_id() == boot
    assert stages.road.outcome["changed"] == []


def test_kernel_that_comes_up_is_the_default_after_one_reboot(stages: Stages) -> None:
    stages.vm.ssh(f"systemctl disable --quiet crash.service; rm {TRIAL_RECORD}; sync")
    restarts = stages.vm.console.read_text(errors="replace").count(RESTART)
    run = stages.run("new kernel")
    assert run.returncode == 0
    assert stages.vm.console.read_text(errors="replace").count(RESTART) == restarts + 1
    assert stages.vm.release() == stages.new
    assert stages.road.outcome["state"] == "ready"
    assert stages.default() == "0"
    assert [stages.there(path) for path in (PIN_RECORD, TRIAL_RECORD)] == ["", ""]
    assert f'"kernel": "{stages.new}"' in stages.there(PROVEN_RECORD)


def test_next_run_changes_nothing(stages: Stages) -> None:
    boot, before = stages.vm.boot_id(), len(stages.road.commands())
    run = stages.run("last")
    assert run.returncode == 0
    assert len(stages.road.commands()[before:-1]) <= 3
    assert stages.road.outcome["changed"] == []
    assert stages.vm.boot_id() == boot
