"""DECIDE: which driver branch carries all GPUs of a host, and whether a branch is still fit to be installed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from deploys.knowledge.branches import AS_OF, BRANCHES, Branch, find_branch
from deploys.knowledge.floors import find_floor
from deploys.knowledge.gpus import Generation, find_generation
from deploys.plan.machine import Machine
from deploys.plan.reason import OWN, Reason, Verdict
from deploys.plan.versions import below

# What a source that offers several branches is asked for, in this order; new feature branches only by name.
PREFERENCE = ("LTS", "production")


def known_generations(machine: Machine) -> tuple[Generation, ...]:
    """The generations of the host's GPUs, each once, oldest first; unknown ids are left out."""
    found = {g for gpu in machine.gpus if (g := find_generation(gpu.device))}
    return tuple(sorted(found, key=lambda g: (g.first_branch, g.name, g.capabilities)))


def carries(generation: Generation, branch: int) -> bool:
    """Does the branch have code for the generation?"""
    return generation.first_branch <= branch and (generation.last_branch is None or branch <= generation.last_branch)


def why_not(
    branch: Branch, generations: Iterable[Generation], kernels: Sequence[str], flavour: str | None
) -> str | None:
    """Why the branch cannot serve these GPUs and kernels in that flavour (None: any); None where it can."""
    for generation in generations:
        if branch.number < generation.first_branch:
            return f"{generation.name} needs branch {generation.first_branch} or newer"
        if not carries(generation, branch.number):
            return f"{generation.name} is last carried by branch {generation.last_branch}"
    if flavour is not None and not branch.has(flavour):
        return f"it has no {flavour} kernel modules"
    old = [k for k in kernels if below(k, branch.min_kernel)]
    return f"it needs kernel {branch.min_kernel} or newer, this is {old[0]}" if old else None


def preferred() -> tuple[Branch, ...]:
    """Branches in the order in which they are chosen: newest LTS first, then newest production."""
    newest_first = sorted(BRANCHES, key=lambda b: b.number, reverse=True)
    return tuple(b for kind in PREFERENCE for b in newest_first if b.kind == kind)


def newest_production() -> Branch:
    """The newest production branch: what a GPU that is newer than this knowledge gets."""
    return max((b for b in BRANCHES if b.kind == "production"), key=lambda b: b.number)


def impossible_mix(generations: Sequence[Generation]) -> str:
    """Why no branch at all can carry these GPUs together; "" where one can."""
    ends = [g for g in generations if g.last_branch is not None]
    first = max(generations, key=lambda g: g.first_branch, default=None)
    last = min(ends, key=lambda g: g.last_branch or 0, default=None)
    if first is None or last is None or last.last_branch is None or first.first_branch <= last.last_branch:
        return ""
    return (
        f"{last.name} is last carried by branch {last.last_branch} and {first.name} needs {first.first_branch} "
        "or newer: no branch carries both"
    )


def today(machine: Machine) -> str:
    """The host's date (ISO), where its clock is later than this knowledge; else the date of the knowledge."""
    clock = machine.boot.clock
    if clock is None or not 0 < clock < 4_102_444_800:  # a clock beyond 2100 is damaged
        return AS_OF
    return max(AS_OF, time.strftime("%Y-%m-%d", time.gmtime(clock)))


def judge_branch(branch: str, version: str, machine: Machine, upgrade: str) -> Verdict | None:
    """Is this version of the branch below a security floor, or the branch past its end? `upgrade` brings a newer version."""
    floor = find_floor("driver", branch)
    if floor and below(version, floor.refuse):
        return Verdict("stop", f"driver {version}", f"{floor.refuse} or newer: {floor.why}", upgrade, floor.source)
    if floor and below(version, floor.warn):
        return Verdict("warn", f"driver {version}", f"{floor.warn} or newer: {floor.why}", upgrade, floor.source)
    row = find_branch(branch)
    if row is None or not row.ended(today(machine)):
        return None
    return Verdict(
        "warn",
        f"driver branch {branch}, which ended {row.end}",
        "a branch that still gets fixes",
        way_out(machine, row),
        row.source,
    )


def way_out(machine: Machine, row: Branch) -> str:
    """Where a host goes from a branch that has ended."""
    generations, kernels = known_generations(machine), machine.kernels.served
    for branch in preferred():
        if not branch.ended(today(machine)) and why_not(branch, generations, kernels, None) is None:
            return (
                f'move to branch {branch.number}: gpu_driver_source = "nvidia", gpu_driver_branch = "{branch.number}"'
            )
    return f"move to GPUs (or a kernel) that a living branch carries; nothing after {row.number} serves this host"


def branch_reason(branch: Branch) -> Reason:
    """What the branch is, as a rule with its source."""
    end = f"fixes until {branch.end}" if branch.end else "no end announced"
    kinds = "both module flavours" if branch.proprietary and branch.open_modules else "one module flavour only"
    text = f"branch {branch.number}: {branch.kind}, {end}, {kinds}, made with CUDA {branch.cuda}"
    return Reason("branch", text, branch.source)


def preference_reason(rejected: Sequence[tuple[Branch, str]], chosen: Branch) -> Reason:
    """Why this branch and not an earlier one in the order of preference."""
    passed = "; ".join(f"{b.number}, because {why}" for b, why in rejected)
    text = f"the newest LTS branch that carries every GPU, else production: {chosen.number}"
    return Reason("branch", f"{text} (not {passed})" if passed else text, OWN)
