"""Two controllers and one host: one proceeds, the other names it; a controller that was killed is followed at once."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploys.knowledge.paths import LEASE
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.shell import REPOSITORY, wait_for

# Two steps; each goes on as soon as the test lets it, however slow the machine is.
DEPLOY = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from pyinfra.api.operation import operation
from deploys.operations.needed import when_needed
from deploys.steps.finish import finish
from deploys.support.guard import guarded
from deploys.support.logged import logged_unit
from deploys.support.outcome import current
from deploys.support.run import begin, entry

@operation()
@guarded
def step(word):
    yield from logged_unit("rehearsal", f"echo {{word}} >>/root/steps; until [ -e /root/go ]; do sleep 1; done\\n", 300)

def main():
    if begin(decide=False):
        when_needed(step, "The first step", word="one")
        when_needed(step, "The last step", word="two")
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


def started(host: Host) -> bool:
    return bool(host.nsenter("cat /root/steps 2>/dev/null", check=False).stdout)


def test_second_controller_names_the_first_which_goes_on(host: Host, words: list[Path]) -> None:
    with begin(words) as first:
        wait_for(lambda: started(host), 300, "the first step to start")
        during = run_pyinfra(words[0], words[1], "-y")
        host.nsenter("touch /root/go")
        said, _ = first.communicate(timeout=300)
    print(said, during.stderr)
    assert first.returncode == 0
    assert during.returncode == 1
    assert f"{getpass.getuser()}@{os.uname().nodename} (pid {first.pid}) since " in during.stderr
    assert 'step "The first step" is at work on this host; look: systemctl list-units' in during.stderr
    assert host.nsenter("cat /root/steps").stdout.split() == ["one", "two"]
    assert host.nsenter(f"tail -n 1 {LEASE}").stdout == "ended\n"


def test_killed_controller_is_followed_at_once_and_its_step_is_not_cut_off(host: Host, words: list[Path]) -> None:
    host.nsenter("rm /root/steps /root/go")
    with begin(words) as first:
        wait_for(lambda: started(host), 300, "the first step to start")
        first.kill()
    with begin(words) as again:
        assert again.stdout is not None
        said = ""
        for line in again.stdout:
            said += line
            if "waiting for" in line:
                host.nsenter("touch /root/go")
    print(said)
    assert again.returncode == 0
    assert "an earlier run's step is still at work: waiting for" in said
    assert host.nsenter("cat /root/steps").stdout.split() == ["one", "one", "two"]
