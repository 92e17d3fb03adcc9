"""A rolling run over real hosts: one is drained, rebooted, proven and called back before the next begins; a canary that fails spares all others."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploys.support import reports
from tests.bed.host import Host
from tests.bed.inventory import write_inventory
from tests.bed.shell import REPOSITORY, run
from tests.hosts.drain_lab import DEPLOY


@pytest.fixture
def fleet(make_host: Callable[..., Host]) -> list[Host]:
    hosts = [make_host("bookworm", f"roll-{n}") for n in range(3)]
    for host in hosts:
        host.put("/etc/modprobe.d/no.conf", "blacklist nouveau\n")
    return hosts


def roll(hosts: list[Host], folder: Path, **data: Any) -> subprocess.CompletedProcess[str]:
    (folder / "deploy.py").write_text(DEPLOY)
    log = "date +%s.%N >>/srv/{}; cat /proc/sys/kernel/random/boot_id >/srv/{}-boot"
    settings = {
        "gpu_drain": log.format("away", "away"),
        "gpu_undrain": log.format("back", "back"),
        "gpu_report_dir": str(folder / "reports"),
        **data,
    }
    inventory = write_inventory(folder / "inventory.py", hosts, settings)
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "deploys.support.front",
        inventory,
        folder / "deploy.py",
        "--rolling",
        "-y",
    ]
    done = run(words, check=False, timeout=600, cwd=REPOSITORY)
    print(done.stderr[-6000:])
    return done


def test_one_host_is_over_before_the_next_begins(fleet: list[Host], tmp_path: Path) -> None:
    done = roll(fleet, tmp_path)
    assert done.returncode == 0
    turns = []
    for host in fleet:
        away, back = (float(host.nsenter(f"cat /srv/{name}").stdout) for name in ("away", "back"))
        turns.append((away, back))
        assert host.nsenter("cat /srv/away-boot").stdout != host.nsenter("cat /srv/back-boot").stdout
    assert turns == sorted(turns)
    assert all(back < away for (_, back), (away, _) in itertools.pairwise(turns))
    assert "rolling: wave 3: roll-2" in done.stderr
    whole = reports.read((tmp_path / "reports/latest.json").resolve())
    assert (whole["run"]["runs"], whole["exit_code"]) == (4, 0)
    for found in whole["hosts"]:
        (reboot,) = [t for t in found["timings"] if t["step"] == "Reboot"]
        assert (reboot["result"], reboot["changed"], reboot["seconds"] > 1) == ("ok", True, True)
        assert reboot["step"] in found["changed"]
    assert "3 GPU hosts" in (tmp_path / "reports/latest.html").read_text()


def test_canary_that_does_not_come_back_spares_the_others(fleet: list[Host], tmp_path: Path) -> None:
    fleet[0].on_reboot(returns=False)
    boots = [host.boot_id() for host in fleet[1:]]
    done = roll(fleet, tmp_path, gpu_max_unavailable=3)
    assert done.returncode == 1
    assert "1 host (roll-0) failed, 0 may (gpu_max_failed); 2 hosts were not begun" in done.stderr
    assert [host.boot_id() for host in fleet[1:]] == boots
    assert fleet[1].nsenter("ls /srv").stdout == ""
