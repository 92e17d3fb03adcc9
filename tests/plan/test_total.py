"""Decisions are total: whatever is damaged in a record gives a decision or a refusal, never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass, replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.knowledge.distros import DISTROS
from deploys.knowledge.records import Distro
from deploys.plan.checks import WAIVABLE, judge
from deploys.plan.describe import describe, describe_finding, describe_steps
from deploys.plan.machine import Machine, Proof
from deploys.plan.plan import make_plan
from deploys.plan.proof import prove, verdict
from deploys.plan.settings import Settings
from inventories.releases import RELEASES
from tests.plan.hosts import (
    debian_12_bare,
    debian_13_converged,
)
from tests.plan.test_releases import SYSTEMS, bare

BARE, DONE = debian_12_bare(), debian_13_converged()
MACHINES = [BARE, DONE, *(SYSTEMS[s](bare(r)) for r in RELEASES for s in SYSTEMS)]


# Damage: any value of a record may be gone, emptied or replaced, as its own type allows.
WORDS = ("", "0", "-1", "1.2.3", "999999999999.1", "\u0663.\u0664", "a b/c", "None", "{", "x" * 300, "\n")


def damaged(value: Any, dice: Random) -> Any:
    """A copy of the value with some of its parts damaged."""
    hit = dice.random() < 0.1
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: damaged_field(value, f, dice) for f in fields(value)})
    if isinstance(value, tuple):
        return dice.choice(((), value * 2)) if hit else tuple(damaged(v, dice) for v in value)
    if isinstance(value, Mapping):
        return {} if hit else {k: damaged(v, dice) for k, v in value.items()}
    if isinstance(value, str):
        return dice.choice(WORDS) if hit else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return dice.choice((0, 1, 2**63)) if hit else value
    return value


def damaged_field(record: Any, field: Field[Any], dice: Random) -> Any:
    if "None" in str(field.type) and dice.random() < 0.1:
        return None
    return damaged(getattr(record, field.name), dice)


WISHES = st.builds(
    Settings,
    profile=st.sampled_from(["full", "containers", "raw"]),
    kernel_modules=st.sampled_from(["auto", "proprietary", "open"]),
    driver_branch=st.sampled_from([None, None, "535", "550.163.01", "595"]),
    driver_source=st.sampled_from(["auto", "auto", "distro", "nvidia"]),
    cuda=st.sampled_from(["auto", None, ("12.4",)]),
    container_runtime=st.sampled_from(["nvidia", None]),
    expected_gpus=st.sampled_from([None, 1, 8]),
    reboot=st.sampled_from(["when-needed", "never"]),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MACHINES), st.integers(0, 2**32), WISHES, st.sampled_from(DISTROS))
def test_decisions_are_total_and_repeatable(sound: Machine, seed: int, wanted: Settings, distro: Distro) -> None:
    machine = damaged(sound, Random(seed))
    findings = judge(machine, wanted)
    plan = make_plan(machine, wanted, distro)
    text = describe(plan, machine, "host", findings)
    steps = prove(machine, Proof(), wanted)
    assert (plan, text) == (make_plan(machine, wanted, distro), describe(plan, machine, "host", judge(machine, wanted)))
    assert all(f.found.strip() and f.needed.strip() and f.fix.strip() for f in findings)
    assert all(describe_finding(f, "host", f.check in WAIVABLE) for f in findings)
    assert describe_steps("host", steps, verdict(machine, steps))
    assert verdict(machine, steps) != "ready"
