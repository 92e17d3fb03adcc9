"""What an operation would send to a host whose record the test sets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploys.knowledge.distros import find_distro
from deploys.operations import reboot as reboot_operation
from deploys.plan.machine import Machine
from deploys.plan.plan import Plan, make_plan
from deploys.plan.settings import Settings
from deploys.support import world


def commands(operation: Any, machine: Machine, **arguments: Any) -> list[Any]:
    """The commands of an operation on a host with this record."""
    world._MACHINES["stand-in"] = machine
    return list(operation._inner(**arguments))


def commands_of(operation: Any, machine: Machine, after: Machine, **arguments: Any) -> list[Any]:
    """As `commands`, where the host answers `after` as soon as something was sent."""
    world._MACHINES["stand-in"] = machine
    sent = []
    with pytest.MonkeyPatch.context() as patch:
        for command in operation._inner(**arguments):
            sent.append(command)
            patch.setattr(reboot_operation, "machine", lambda: after)
    return sent


def engine(machine: Machine, **values: Any) -> Machine:
    return replace(machine, docker=replace(machine.docker, **values))


def plan_for(machine: Machine, **settings: Any) -> Plan:
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    assert distro is not None
    return make_plan(machine, Settings(**settings), distro)
