"""A host is drained before it is disturbed, gets its work back once it is ready, and is left alone where it stays busy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.hosts.drain_lab import DEPLOY


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    """nouveau is loaded on it by udev until modprobe.d blocks it, so its state asks for one reboot."""
    host = make_host("bookworm", "drains", nouveau="udev")
    host.put("/etc/modprobe.d/no.conf", "blacklist nouveau\n")
    host.nsenter("mknod /dev/nvidia0 c 10 229; cp /bin/sleep /usr/bin/model-server")
    host.nsenter("systemd-run --quiet --unit=work sh -c 'exec model-server 9999 </dev/nvidia0'")
    return host


def run(host: Host, folder: Path, drain: str, **data: object) -> tuple[int, str]:
    (folder / "deploy.py").write_text(DEPLOY)
    settings = {"gpu_drain": drain, "gpu_undrain": "echo back >>/srv/log", "gpu_report_dir": None, **data}
    done = run_pyinfra(
        write_inventory(folder / "inventory.py", [host], settings), folder / "deploy.py", "-y", timeout=300
    )
    print(done.stderr[-4000:])
    return done.returncode, done.stderr + done.stdout


def test_host_is_drained_rebooted_and_called_back(host: Host, tmp_path: Path) -> None:
    before = host.boot_id()
    code, _ = run(host, tmp_path, "echo away >>/srv/log; systemctl stop work")
    assert code == 0
    assert host.boot_id() != before
    assert host.nsenter("cat /srv/log; ls -A /var/lib/gpu-host", check=False).stdout == "away\nback\n"
    assert run(host, tmp_path, "echo away >>/srv/log")[0] == 0
    assert host.nsenter("cat /srv/log").stdout == "away\nback\n"


def test_host_that_stays_busy_is_called_back_and_left_alone(host: Host, tmp_path: Path) -> None:
    before, pid = host.boot_id(), host.nsenter("systemctl show -p MainPID --value work").stdout
    code, said = run(host, tmp_path, "echo away >>/srv/log")
    assert code == 1
    assert "drained, and the GPUs are still in use by model-server" in said
    assert host.nsenter("cat /srv/log; ls -A /var/lib/gpu-host", check=False).stdout == "away\nback\n"
    assert (host.boot_id(), host.nsenter("systemctl show -p MainPID --value work").stdout) == (before, pid)


def test_command_that_hangs_is_ended_at_its_limit(host: Host, tmp_path: Path) -> None:
    before = host.boot_id()
    code, said = run(host, tmp_path, "sleep 500", gpu_drain_timeout=3)
    assert code == 1
    assert "this command failed, or did not end within 3 s: sleep 500" in said
    assert host.nsenter("ls -A /var/lib/gpu-host", check=False).stdout == "", (
        "a host that was not drained is not called drained"
    )
    assert host.boot_id() == before


def test_work_that_came_back_to_a_drained_host_is_not_disturbed(host: Host, tmp_path: Path) -> None:
    host.nsenter("mkdir -p /var/lib/gpu-host; touch /var/lib/gpu-host/drained")
    before = host.boot_id()
    code, said = run(host, tmp_path, "echo away >>/srv/log")
    assert code == 1
    assert "still in use by model-server" in said
    assert host.nsenter("cat /srv/log").stdout == "back\n"
    assert host.boot_id() == before
