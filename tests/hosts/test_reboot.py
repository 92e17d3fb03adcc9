"""The reboot operation on real hosts: back, slow to go, late, and never back; each within its limit by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

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
