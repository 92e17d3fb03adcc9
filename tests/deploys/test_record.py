"""What a host remembers: written after a proof, once per set, and never half."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploys.knowledge.paths import BOOT_IMAGES, STATE_DIR
from deploys.operations.record import boot_images_noted, remembered
from deploys.plan.proven import read_proven
from deploys.plan.remember import proven_now
from deploys.support.outcome import LEDGER, current
from tests.deploys.bench import commands, plan_for
from tests.plan.hosts import changed, debian_13_converged


@pytest.fixture
def ready(host: SimpleNamespace) -> Iterator[SimpleNamespace]:
    current().state = "ready"
    yield host
    LEDGER.outcomes.pop(host.name, None)


@pytest.mark.parametrize("state", ["not-ready", "reboot-pending", "planned"])
def test_what_was_not_proven_is_not_remembered(ready: SimpleNamespace, state: str) -> None:
    machine = debian_13_converged()
    current().state = state
    assert commands(remembered, machine, plan=plan_for(machine)) == []
    assert ready.said == ["not proven"]


def test_set_of_which_a_part_could_not_be_read_is_not_remembered(ready: SimpleNamespace) -> None:
    ready.log = ready.said.append
    machine = debian_13_converged(unknown={"holds": "no answer within its time limit", "sources": "cut off"})
    assert commands(remembered, machine, plan=plan_for(machine)) == []
    assert ready.said == [
        "ready, and not remembered, as a part of it could not be read: holds: no answer within its time limit"
    ]


def test_set_is_remembered_once(ready: SimpleNamespace) -> None:
    machine = debian_13_converged()
    (command,) = commands(remembered, machine, plan=plan_for(machine))
    written = read_proven(command.connector_arguments["_stdin"])
    assert written == proven_now(plan_for(machine), machine)
    later = changed(machine, proven=written, boot__clock=1999999999.0, boot__boot_id="f" * 36)
    assert commands(remembered, later, plan=plan_for(later)) == []
    assert ready.said == [f"this set was proven at {written.time}"]


@pytest.mark.usefixtures("ready")
def test_record_of_the_set_before_is_kept_and_both_are_whole(tmp_path: Path) -> None:
    """The command itself, on a folder that stands in for the host's."""
    machine = debian_13_converged()
    plan = plan_for(machine)
    first = proven_now(plan, machine)
    state = tmp_path / "state"
    for old, now in ((None, machine), (first, changed(machine, driver__loaded="550.200.01"))):
        (command,) = commands(remembered, replace(now, proven=old), plan=plan)
        script = command.get_raw_value().replace(STATE_DIR, str(state)).replace("chown root:root", ":")
        done = subprocess.run(
            ["sh", "-c", script], input=str(command.connector_arguments["_stdin"]), text=True, check=False
        )
        assert done.returncode == 0
    assert read_proven((state / "proven-before.json").read_text()) == first
    assert read_proven((state / "proven.json").read_text()).driver == "550.200.01"
    assert {f.name for f in state.iterdir()} == {"proven.json", "proven-before.json"}
    assert (state / "proven.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.usefixtures("ready")
def test_damaged_record_gives_way_and_does_not_become_the_one_before() -> None:
    machine = debian_13_converged(unknown={"record": "proven.json is no record of a proof"})
    (command,) = commands(remembered, machine, plan=plan_for(machine))
    assert "proven-before" not in command.get_raw_value()


@pytest.mark.usefixtures("ready")
def test_host_that_went_back_by_hand_remembers_that_set_as_it_is_now() -> None:
    machine = debian_13_converged()
    older = proven_now(plan_for(machine), machine)
    newer = replace(older, driver="590.10.01", packages={**older.packages, "libcuda1": "590.10.01-1"})
    target = replace(older, packages={**older.packages, "gone-since": "1"}, kernel="6.1.0-1-amd64")
    (command,) = commands(remembered, changed(machine, proven=newer), target=target)
    written = read_proven(command.connector_arguments["_stdin"])
    assert written == older
    assert "proven-before" in command.get_raw_value()
    assert commands(remembered, changed(machine, proven=written), target=target) == []


@pytest.mark.parametrize(
    ("state", "identity", "written"), [("ready", "9:1", True), ("ready", "", False), ("not-ready", "9:1", False)]
)
def test_boot_images_are_noted_on_a_host_that_is_ready(
    ready: SimpleNamespace, state: str, identity: str, written: bool
) -> None:
    current().state = state
    machine = debian_13_converged()
    (kernel, *_) = machine.kernels.installed
    assert kernel.initramfs
    seen = replace(kernel, initramfs=replace(kernel.initramfs, identity=identity))
    done = commands(boot_images_noted, changed(machine, kernels__installed=(seen,)))
    assert [(c.connector_arguments["_stdin"], BOOT_IMAGES in str(c)) for c in done] == (
        [(f"9:1 - blocked {kernel.initramfs.path}\n", True)] if written else []
    )
    assert ready.said == ([] if written else ["nothing new"])
