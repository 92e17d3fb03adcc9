"""Holds on the page of a host, and the parts of the toolkit, which move together."""

from __future__ import annotations

import pytest

from deploys.plan.describe import describe
from deploys.plan.machine import Hold, Machine
from deploys.plan.plan import Plan, make_plan
from deploys.plan.settings import Settings
from tests.plan.hosts import changed, debian_13_converged, distro_of, installed
from tests.plan.rows.holds import OURS, held

DONE = debian_13_converged()
TOOLKIT = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)


def plan_of(machine: Machine) -> Plan:
    return make_plan(machine, Settings(), distro_of(machine))


def test_page_says_who_holds_what_since_when_and_why() -> None:
    machine = held(DONE, OURS, Hold("libcuda1", True, "1", "2026-11-01"), "vim", "linux-*")
    page = describe(plan_of(machine), machine, "host").splitlines()
    assert [line.split(maxsplit=1)[1] for line in page if line.strip().startswith("holds")] == [
        "nvidia-kernel-dkms, libcuda1: by gpu-host since 2026-08-25 (90 days): modules and libraries of the driver must stay of one version",
        "vim, linux-*: by others, left alone",
    ]
    assert "  holds  " not in describe(plan_of(DONE), DONE, "host")


def without(machine: Machine, *names: str) -> Machine:
    return changed(machine, packages__installed={n: p for n, p in machine.packages.installed.items() if n not in names})


@pytest.mark.parametrize(
    ("machine", "moves"),
    [
        (DONE, ()),
        (without(DONE, *TOOLKIT), TOOLKIT),
        (without(DONE, TOOLKIT[1]), TOOLKIT),
        (installed(DONE, libnvidia_container1="1.17.8-1"), TOOLKIT),
        (installed(DONE, libnvidia_container1="1.20.0-2"), ()),
    ],
    ids=["all of one version", "none", "one missing", "one older", "another revision only"],
)
def test_parts_of_the_toolkit_move_together_or_not_at_all(machine: Machine, moves: tuple[str, ...]) -> None:
    plan = plan_of(machine)
    assert set(plan.packages.missing) & set(TOOLKIT) == set(moves)
    assert set(plan.packages.together) == set(TOOLKIT)
