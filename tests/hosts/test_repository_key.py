"""A repository signed with another key is refused in the rehearsal, before anything on the host has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.repository import Repository
from tests.bed.snapshot import diff, snapshot
from tests.hosts.test_road import own_traces
from tests.plan import gpg_keys


def test_wrong_key_is_refused_before_any_change(
    make_host: Callable[..., Host], toolkit_repository: Repository, tmp_path: Path
) -> None:
    host = make_host("bookworm", "wrong-key")
    mirror = {
        "nvidia-container-toolkit": {"url": toolkit_repository.url, "key": str(toolkit_repository.stranger_key_path)}
    }
    data = {"gpu_mirrors": mirror, "gpu_profile": "containers", "gpu_report_dir": str(tmp_path)}
    inventory = write_inventory(tmp_path / "inventory.py", [host], data)
    # Links out of /etc must not lead the rehearsal out of its overlay.
    host.nsenter("mkdir /srv/cfg && mv /etc/apt/sources.list /srv/cfg/ && chmod 600 /srv/cfg/sources.list")
    host.nsenter("ln -s /srv/cfg/sources.list /etc/apt/sources.list && ln -s /srv/cfg/policy /usr/sbin/policy-rc.d")
    linked = host.nsenter("touch /srv/cfg/policy; cd /srv/cfg; stat -c '%n %a %Y' *; cat *").stdout
    before = snapshot(host)
    run = run_pyinfra(inventory, "deploys/gpu_host.py", "-y")
    assert run.returncode == 1
    assert "the package index cannot be refreshed with these sources" in run.stderr
    assert own_traces(diff(before, snapshot(host))) == []
    assert host.nsenter("cd /srv/cfg; stat -c '%n %a %Y' *; cat *").stdout == linked
    assert "gpu-host-trial" not in host.nsenter("cat /proc/mounts").stdout


def test_expired_key_is_refused_before_anything_is_asked(make_host: Callable[..., Host], tmp_path: Path) -> None:
    """apt itself would take what the key has signed before its end."""
    host = make_host("bookworm", "expired-key")
    (tmp_path / "expired.asc").write_text(gpg_keys.EXPIRED)
    mirror = {"nvidia-container-toolkit": {"url": "http://mirror.invalid/x", "key": str(tmp_path / "expired.asc")}}
    data = {"gpu_mirrors": mirror, "gpu_profile": "containers", "gpu_report_dir": str(tmp_path)}
    inventory = write_inventory(tmp_path / "inventory.py", [host], data)
    before = snapshot(host)
    run = run_pyinfra(inventory, "deploys/gpu_host.py", "-y")
    assert run.returncode == 1
    assert "STOP  repository_keys_known" in run.stderr
    assert f"its key {gpg_keys.EXPIRED_FINGERPRINT} ended on 2024-12-31" in run.stderr
    assert diff(before, snapshot(host)) == []
