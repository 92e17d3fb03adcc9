"""The lease of a host, by the very script that a host runs: who gets it, who is refused and by whose name."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploys.knowledge.paths import LEASE_SECONDS, RUN_DIR
from deploys.plan.lease import Lease
from deploys.plan.machine import Lock, UnitState
from deploys.support import lease
from deploys.support.outcome import LEDGER
from deploys.support.run import _steps_at_work
from facts.boot import parse
from tests.deploys.bench import commands
from tests.plan.hosts import changed, debian_12_bare, debian_13_converged

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Folder:
    """RUN_DIR of a host. `unit`: a step is at work there."""

    def __init__(self, path: Path) -> None:
        self.path, self.unit = path / "run", path / "active"
        systemctl = path / "systemctl"
        systemctl.write_text(f"#!/bin/sh\ntest -e {self.unit}\n")
        systemctl.chmod(0o755)

    @property
    def file(self) -> Path:
        return self.path / "lease"

    def sh(self, script: str) -> str:
        """What the script says on standard error; "" where it succeeds."""
        env = {"PATH": f"{self.path.parent}:{os.environ['PATH']}"}
        script = script.replace(RUN_DIR, str(self.path))
        done = subprocess.run(["sh", "-s"], input=script, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (done.stderr == ""), done
        return done.stderr

    def take(self, run: str, patch: pytest.MonkeyPatch, step: str = "a step") -> str:
        patch.setattr(lease, "RUN", run)
        return self.sh(lease._take("h", step))

    def read(self) -> Lease | None:
        """As the probe of the next run has it."""
        age = int(time.time() - self.file.stat().st_mtime)
        return parse(
            "".join(f"lease {line}\n" for line in self.file.read_text().splitlines()) + f"lease-age {age}"
        ).lease


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SEEN", "_GONE"):
        monkeypatch.setattr(lease, name, {})
    monkeypatch.setattr(lease, "_HELD", set())


def test_holder_is_named_with_the_command_that_looks_at_it(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.take("a", monkeypatch, 'Install "all" $(things)') == ""
    assert folder.take("a", monkeypatch, "the next step") == ""
    said = folder.take("b", monkeypatch)
    assert f"{lease.controller()} (pid {os.getpid()}) since " in said
    assert 'step "the next step" is at work on this host' in said
    assert "systemctl list-units 'gpu-host-*'" in said
    found = folder.read()
    assert found is not None
    assert (found.run, found.who, found.pid, found.step) == ("a", lease.controller(), os.getpid(), "the next step")
    assert LEASE_SECONDS - 5 < found.left <= LEASE_SECONDS


def test_one_of_many_that_start_at_once_proceeds(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = []
    for number in range(40):
        monkeypatch.setattr(lease, "RUN", f"run{number}")
        scripts.append(lease._take("h", "first step"))
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(folder.sh, scripts))
    assert said.count("") == 1
    assert all("is at work on this host" in text for text in said if text)


def test_dead_controller_blocks_for_minutes_only(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.take("a", monkeypatch)
    old = time.time() - LEASE_SECONDS - 1
    os.utime(folder.file, (old, old))
    folder.unit.touch()
    assert "is at work" in folder.take("b", monkeypatch), "its unit goes on"
    folder.unit.unlink()
    assert folder.take("b", monkeypatch) == ""


def test_run_that_is_provably_gone_is_followed_at_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.take("a", monkeypatch)
    lease._GONE["h"] = "a"
    folder.unit.touch()
    assert "is at work" in folder.take("b", monkeypatch), "its unit goes on"
    folder.unit.unlink()
    assert folder.take("b", monkeypatch) == ""


def test_run_that_lets_go_is_followed_at_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.take("a", monkeypatch)
    folder.sh(lease.end_lease())
    found = folder.read()
    assert found is not None
    assert found.left == 0
    assert folder.take("b", monkeypatch) == ""


def test_plan_is_stale_when_another_run_came_and_went(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    lease._SEEN["h"] = f"{BOOT} "
    folder.take("a", monkeypatch)
    folder.sh(lease.end_lease())
    lease._SEEN["h"] = f"{BOOT} "
    assert "the host has changed since this run looked at it" in folder.take("b", monkeypatch)
    lease._SEEN["h"] = f"{BOOT} a"
    assert folder.take("b", monkeypatch) == ""


def test_plan_is_stale_when_the_host_was_rebooted(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    lease._SEEN["h"] = "another-boot "
    assert "it was rebooted" in folder.take("a", monkeypatch)


def test_own_reboot_loses_nothing_and_a_lost_lease_is_noticed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    lease._SEEN["h"] = "the boot before "
    lease._HELD.add("h")
    assert folder.take("a", monkeypatch) == ""
    lease._HELD.clear()
    lease._SEEN["h"] = f"{BOOT} a"
    lease._GONE["h"] = "a"
    folder.take("b", monkeypatch)
    folder.sh(lease.end_lease())
    lease._HELD.add("h")
    assert "has worked on this host since the last step of this run" in folder.take("a", monkeypatch)


def test_process_is_gone_only_where_it_can_be_known() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    mine = Lease("a", place=lease.place(), pid=ended.pid)
    assert lease.is_gone(mine)
    assert not lease.is_gone(replace(mine, pid=os.getpid()))
    assert not lease.is_gone(replace(mine, place="another machine"))
    assert not lease.is_gone(replace(mine, pid=None))
    assert not lease.is_gone(replace(mine, pid=1 << 70))


def test_record_of_a_run_that_is_gone_holds_nothing(host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "is_gone", lambda found: found.run == "gone")
    for run, left in (("gone", 0), ("alive", 99)):
        found = lease.seen(changed(debian_12_bare(), boot__lease=Lease(run, left=99))).boot.lease
        assert found == Lease(run, left=left)
    del host


def test_operation_on_a_host_of_somebody_else_sends_nothing_but_a_failure(host: SimpleNamespace) -> None:
    from deploys.operations.initramfs import nouveau_blocked  # noqa: PLC0415 - the fixture stands in for pyinfra

    host.run_shell_command = lambda *_, **__: (False, SimpleNamespace(stderr="ops@control is at work on this host"))
    sent = commands(nouveau_blocked, debian_12_bare(), limit=60)
    assert [c.get_raw_value() for c in sent] == ["false"]
    assert host.said == ["ops@control is at work on this host"]
    assert LEDGER.outcomes.pop(host.name).state == "refused", "nothing was changed"


@pytest.mark.parametrize(
    ("active", "step", "waited_for"),
    [("inactive", "", []), ("active", "", ["rehearsal"]), ("inactive", "rehearsal", ["rehearsal"])],
    ids=["idle", "at work", "at work when the locks were read"],
)
def test_steps_of_an_earlier_run_that_are_waited_for(active: str, step: str, waited_for: list[str]) -> None:
    """A rehearsal that ended between two sections of the probe must not pass for somebody else's package manager."""
    lock = Lock("/var/lib/dpkg/lock", 812, "apt-get -q -y", step)
    units = {"gpu-host-rehearsal.service": UnitState("gpu-host-rehearsal.service", "loaded", active, "transient")}
    assert _steps_at_work(changed(debian_13_converged(), units=units, packages__locks=(lock,))) == waited_for
