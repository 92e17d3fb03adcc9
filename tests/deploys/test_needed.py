"""Which operations join the run of a host: what has nothing to do costs nothing, and what comes after a change is always asked anew."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from deploys.operations import needed
from deploys.operations.drain import drained
from deploys.operations.needed import note, when_needed
from deploys.operations.services import driver_loaded, running
from deploys.plan.machine import Machine
from deploys.support import world
from tests.deploys.bench import plan_for
from tests.plan.hosts import changed, debian_13_converged, holders


class Queue:
    """An operation that is queued by being called; what it would do is the real operation's."""

    def __init__(self, operation: Any, queued: list[str]) -> None:
        self._inner, self._queued = operation, queued

    def __call__(self, *, name: str, **_: Any) -> None:
        self._queued.append(name)


@pytest.fixture
def queued(host: SimpleNamespace) -> Generator[list[str]]:
    host.log = host.said.append
    yield []
    needed._UNDER_WAY.discard(host.name)


def _ask(queued: list[str], machine: Machine, *operations: Any) -> None:
    world._MACHINES["stand-in"] = machine
    for number, operation in enumerate(operations):
        step: Any = Queue(getattr(operation, "_inner", operation), queued)
        when_needed(step, f"step {number}")


def _units() -> Generator[Any]:
    return running._inner(units=("docker.service",))


def test_nothing_is_queued_on_a_host_that_is_as_wanted(queued: list[str]) -> None:
    _ask(queued, debian_13_converged(), driver_loaded, _units)
    assert queued == []


def test_what_acts_is_queued_with_all_that_follows(queued: list[str]) -> None:
    machine = debian_13_converged()
    stopped = {**machine.units, "docker.service": replace(machine.units["docker.service"], active="inactive")}
    _ask(queued, replace(machine, units=stopped), driver_loaded, _units, driver_loaded)
    assert queued == ["step 1", "step 2"]


def test_drained_host_to_which_work_came_back_is_looked_at(queued: list[str]) -> None:
    """Nothing is sent to it yet: what the operation has to do is to call its work back, and to leave it alone."""
    reboot = changed(debian_13_converged(), driver__loaded="550.90.07", driver__holders=holders("model-server"))
    machine = changed(reboot, boot__drained=True)
    steps: dict[str, Any] = {"plan": plan_for(machine), "drain": "away", "undrain": "back", "timeout": 60}
    _ask(queued, machine, lambda: drained._inner(**steps))
    assert queued == ["step 0"]


def test_what_only_has_something_to_say_says_it_when_its_turn_comes(queued: list[str], host: SimpleNamespace) -> None:
    def put_off() -> Generator[str]:
        note("reboot needed, put off")
        yield from ()

    _ask(queued, debian_13_converged(), put_off)
    assert queued == ["step 0"]
    assert "reboot needed, put off" not in host.said
    list(put_off())
    assert host.said[-1] == "reboot needed, put off"


def test_what_breaks_when_it_is_asked_breaks_at_its_turn(queued: list[str], host: SimpleNamespace) -> None:
    """An operation is guarded: its exception is a failed command of this host."""

    def no_host_to_ask() -> Generator[Any]:
        world._MACHINES.pop("stand-in")
        return driver_loaded._inner()

    _ask(queued, debian_13_converged(), no_host_to_ask)
    assert queued == ["step 0"]
    assert not needed.is_asked()
