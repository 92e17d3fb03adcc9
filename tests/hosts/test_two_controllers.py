"""Two controllers and one host: one proceeds, the other names it; a controller that was killed is followed at once."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploys.knowledge.paths import LEASE, unit_name
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.shell import REPOSITORY, wait_for

# Two steps with a pause between them, in which no unit is at work.
DEPLOY = f"""
import sys, time
sys.path.insert(0, {str(REPOSITORY)!r})
from pyinfra.api.operation import operation
from pyinfra.operations import python
from deploys.steps.finish import finish
from deploys.support.guard import guarded
from deploys.support.logged import logged_unit
from deploys.support.outcome import current
from deploys.support.run import begin, entry

@operation()
@guarded
def step(seconds):
    yield from logged_unit("rehearsal", f"echo {{seconds}} >>/root/steps; sleep {{seconds}}\\n", 60)

def main():
    if begin(decide=False):
        step(name="The long step", seconds=6)
        python.call(name="A pause", function=lambda: time.sleep(6))
        step(name="The last step", seconds=1)
        finish()
        current().state = "passed"

entry(main)
"""


@pytest.fixture(scope="module")
def host(make_module_host: Callable[..., Host]) -> Host:
    return make_module_host("bookworm", "controllers")


@pytest.fixture(scope="module")
def words(host: Host, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Inventory and deploy."""
    folder = tmp_path_factory.mktemp("controllers")
    (folder / "deploy.py").write_text(DEPLOY)
    return [write_inventory(folder / "inventory.py", [host], {"gpu_report_dir": None}), folder / "deploy.py"]


def begin(words: list[Path]) -> subprocess.Popen[str]:
    pyinfra = Path(sys.executable).with_name("pyinfra")
    command = [str(pyinfra), *map(str, words), "-y"]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def is_at_work(host: Host) -> bool:
    return host.nsenter(f"systemctl is-active --quiet {unit_name('rehearsal')}", check=False).returncode == 0


def test_second_controller_names_the_first_which_goes_on(host: Host, words: list[Path]) -> None:
    with begin(words) as first:
        name = f"{getpass.getuser()}@{os.uname().nodename} (pid {first.pid})"
        wait_for(lambda: is_at_work(host), 60, "the long step to start")
        during = run_pyinfra(words[0], words[1], "-y")
        wait_for(lambda: not is_at_work(host), 60, "the long step to end")
        said, _ = first.communicate(timeout=120)
    print(said, during.stderr)
    assert first.returncode == 0
    assert during.returncode == 1
    assert f"{name} since " in during.stderr
    assert 'step "The long step" is at work on this host; look: systemctl list-units' in during.stderr
    assert host.nsenter("cat /root/steps").stdout.split() == ["6", "1"]
    assert host.nsenter(f"tail -n 1 {LEASE}").stdout == "ended\n"


def test_killed_controller_is_followed_at_once_and_its_step_is_not_cut_off(host: Host, words: list[Path]) -> None:
    host.nsenter("rm /root/steps")
    with begin(words) as first:
        wait_for(lambda: is_at_work(host), 60, "the long step to start")
        first.kill()
    again = run_pyinfra(words[0], words[1], "-y")
    print(again.stderr)
    assert again.returncode == 0
    assert "an earlier run's step is still at work: waiting for" in again.stderr
    assert host.nsenter("cat /root/steps").stdout.split() == ["6", "6", "1"]
