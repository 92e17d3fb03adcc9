"""The reboot operation on real hosts: back, slow to go, late, and never back; each within its limit by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploys.knowledge.paths import LEASE
from deploys.plan.devices import device_files
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory

OPERATION = "deploys.operations.reboot.rebooted_when_needed"

SLOW = """[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sleep 8
[Unit]
After=ssh.service network.target
Before=shutdown.target
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    """nouveau is loaded on it, so its state asks for a reboot."""
    return make_host("bookworm", "reboots", nouveau="loaded")


def reboot(host: Host, tmp_path: Path, allowed: str = "true", timeout: int = 90) -> tuple[int, str, float]:
    inventory = write_inventory(tmp_path / "inventory.py", [host])
    started = time.monotonic()
    done = run_pyinfra(inventory, OPERATION, f"allowed={allowed}", f"timeout={timeout}", "-y", timeout=timeout + 120)
    return done.returncode, done.stderr, time.monotonic() - started


def test_comes_back_with_another_boot_identity(host: Host, tmp_path: Path) -> None:
    before = host.boot_id()
    code, text, _ = reboot(host, tmp_path)
    assert code == 0, text
    assert "back after" in text
    assert host.boot_id() != before


def test_slow_shutdown_with_a_living_sshd_is_waited_for(host: Host, tmp_path: Path) -> None:
    host.put("/etc/systemd/system/slow.service", SLOW)
    host.nsenter("systemctl enable --now slow.service")
    before = host.boot_id()
    code, text, spent = reboot(host, tmp_path)
    assert code == 0, text
    assert spent > 8
    assert host.boot_id() != before


def test_never_back_is_told_within_the_limit(host: Host, tmp_path: Path) -> None:
    host.on_reboot(returns=False)
    code, text, spent = reboot(host, tmp_path, timeout=15)
    assert code != 0
    assert "did not come back from its reboot within 15 s: it does not answer" in text
    assert spent < 15 + 45


def test_not_allowed_means_not_rebooted(host: Host, tmp_path: Path) -> None:
    before = host.boot_id()
    code, text, _ = reboot(host, tmp_path, allowed="false")
    assert code == 0
    assert 'not allowed by gpu_reboot = "never"' in text
    assert host.boot_id() == before


def test_cause_that_a_reboot_does_not_remove_gets_no_second_one(host: Host, tmp_path: Path) -> None:
    """nouveau is loaded in every boot of this host, whatever modprobe.d says."""
    assert reboot(host, tmp_path)[0] == 0
    once = host.boot_id()
    code, text, _ = reboot(host, tmp_path)
    assert code == 0, text
    assert "and one for this very cause has not helped: not again" in text
    assert host.boot_id() == once


RMMOD = """#!/bin/sh
[ -e /srv/stuck ] && { echo "rmmod: ERROR: Module $1 is in use" >&2; exit 1; }
rm -r /sys/module/"$1"; [ "$1" != nvidia ] || : >/etc/hostmask/root/proc/driver/nvidia/version
"""
MODPROBE = """#!/bin/sh
[ "$1" = nvidia ] && [ ! -d /sys/module/nvidia ] || exit 0
mkdir /sys/module/nvidia && echo 550.163.01 >/sys/module/nvidia/version
echo 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025' >/etc/hostmask/root/proc/driver/nvidia/version
"""
OLD = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31 09:35:42 UTC 2024\n"


@pytest.mark.parametrize("stuck", [False, True], ids=["goes", "stays"])
def test_driver_that_nobody_uses_is_loaded_anew(make_host: Callable[..., Host], tmp_path: Path, stuck: bool) -> None:
    """The module on disk is another one than that in the kernel; rmmod and modprobe are played. One that stays leads to the reboot."""
    host = make_host(
        "bookworm", "reload", nouveau="absent", gpu_driver="nvidia", stand_ins={"/proc/driver/nvidia/version": OLD}
    )
    release = host.nsenter("uname -r").stdout.strip()
    host.put("/usr/local/sbin/rmmod", RMMOD, 0o755)
    host.put("/usr/local/sbin/modprobe", MODPROBE, 0o755)
    host.put(
        "/usr/local/bin/modinfo",
        "#!/bin/sh\ncase $* in -F*nvidia.ko*) echo 550.163.01 ;; *nvidia.ko*) echo version: 550.163.01 ;; esac",
        0o755,
    )
    for file in device_files():
        host.put(file.path, file.content)
    host.nsenter(
        f"mkdir -p /lib/modules/{release}/updates/dkms /sys/module/nvidia; : >/lib/modules/{release}/updates/dkms/nvidia.ko; "
        f"echo 550.90.07 >/sys/module/nvidia/version; {'touch /srv/stuck' if stuck else ':'}"
    )
    before = host.boot_id()
    inventory = write_inventory(tmp_path / "inventory.py", [host])
    done = run_pyinfra(inventory, "deploys.operations.services.driver_reloaded", "-y")
    assert "the loaded driver is not the one on disk, and nobody uses it: loading 550.163.01" in done.stderr
    loaded = host.nsenter("cat /sys/module/nvidia/version").stdout.strip()
    assert loaded == ("550.90.07" if stuck else "550.163.01")
    # An operation alone has no end of a run that would let go of the host.
    host.nsenter(f"rm -f {LEASE}")
    code, text, _ = reboot(host, tmp_path)
    assert code == 0, text
    assert (host.boot_id() != before) == stuck
    assert ("driver 550.90.07 is loaded, 550.163.01 is on disk" in text) == stuck


def test_pyinfras_own_reboot_gives_a_slow_host_up_for_lost(host: Host, tmp_path: Path) -> None:
    """Why there is an operation of our own: `server.reboot` connects to the dying machine, and fails it for good."""
    host.put("/etc/systemd/system/slow.service", SLOW)
    host.nsenter("systemctl enable --now slow.service")
    inventory = write_inventory(tmp_path / "inventory.py", [host])
    before = host.boot_id()
    done = run_pyinfra(inventory, "server.reboot", "delay=2", "-y", timeout=400)
    host.wait_ssh()
    assert host.boot_id() != before
    assert done.returncode != 0
