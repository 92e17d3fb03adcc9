"""Holds outside of a transaction: put back once, released by a word."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from deploys.operations.holds import kept, released, script
from deploys.operations.packages import FAMILY, SCRIPTS
from deploys.plan.holds import lacking
from deploys.plan.machine import Hold
from deploys.plan.plan import Plan
from deploys.support.outcome import LEDGER
from tests.deploys.bench import commands, plan_for
from tests.plan.hosts import debian_13_converged
from tests.plan.rows.holds import OURS, held

DONE = debian_13_converged()
NAMES = ("nvidia-kernel-dkms", "libcuda1", "nvidia-smi", "not-installed")


def holding() -> Plan:
    plan = plan_for(DONE)
    assert plan.packages.holds == (), "Debian's own driver is not held"
    return replace(plan, packages=replace(plan.packages, holds=NAMES))


def test_hold_that_was_lost_is_put_back_once(host: SimpleNamespace) -> None:
    machine = held(DONE, OURS, "libcuda1")
    assert lacking(NAMES, machine) == ("nvidia-smi",)
    (command,) = commands(kept, machine, plan=holding())
    assert f"HOLDS='{' '.join(NAMES)}'\n" in command.connector_arguments["_stdin"]
    later = held(machine, OURS, "libcuda1", Hold("nvidia-smi", True))
    assert commands(kept, later, plan=holding()) == []
    assert host.said[-1] == "what is to be held is held"


@pytest.mark.usefixtures("host")
def test_holds_that_could_not_be_read_are_not_written_again_and_again() -> None:
    assert commands(kept, replace(DONE, unknown={"holds": "cut off"}), plan=holding()) == []


@pytest.mark.parametrize("manager", FAMILY)
def test_every_variable_that_the_script_of_holds_reads_is_set(manager: str) -> None:
    """The scripts end at one that is not."""
    text = script(manager, NAMES)
    parts = "".join((SCRIPTS / f"{part}.sh").read_text() for part in ("common", *FAMILY[manager], "hold"))
    code = "\n".join(line for line in parts.splitlines() if not line.lstrip().startswith("#"))
    reads = set(re.findall(r"\$\{?([A-Z][A-Z_]+)(?![A-Z_:-])", code))
    unset = {name for name in reads if not re.search(rf"(^|[\s;({{]){name}=", text)}
    # Those belong to the rehearsal, the transaction and the uninstall alone.
    assert unset <= {"DATA", "MAY_REMOVE", "MUST_STAY", "NEEDED", "ROOT"}


def test_only_ours_are_released(host: SimpleNamespace) -> None:
    (command,) = commands(released, held(DONE, OURS, "vim"))
    assert "HOLDS=''\n" in command.connector_arguments["_stdin"]
    assert LEDGER.of(host.name).detail == "released: nvidia-kernel-dkms"
    assert commands(released, held(DONE, "vim")) == []
    assert LEDGER.outcomes.pop(host.name).state == "passed"
