"""When containers need not be tried again: only while all that they depend on is as it was when they were."""

from __future__ import annotations

import pytest

from deploys.plan.machine import Machine, TextFile
from deploys.plan.proof import prove, verdict
from deploys.plan.proof_containers import container_identity, proven_in_containers
from deploys.plan.settings import Settings
from tests.plan.hosts import changed, debian_13_converged
from tests.plan.test_proof import CONTAINERS, GOOD

DONE = debian_13_converged()
WORDS = ("--gpus", "all")


def noted(machine: Machine, extent: str = "all") -> Machine:
    """The same host, on which that was proven."""
    identity = container_identity(machine, WORDS, "")
    return changed(machine, toolkit__proven=(identity, "2026-11-28T07:00:00Z", extent))


def again(machine: Machine, *, reload: bool = True, words: tuple[str, ...] = WORDS) -> bool:
    return proven_in_containers(machine, container_identity(machine, words, ""), reload=reload) is None


def test_what_was_proven_since_this_boot_is_ready_and_says_since_when() -> None:
    host = noted(DONE)
    proven = proven_in_containers(host, container_identity(host, WORDS, ""), reload=True)
    steps = [s for s in prove(host, GOOD, Settings(), proven) if s.name in CONTAINERS]
    assert {s.result for s in steps} == {"SKIP"}
    assert all(s.detail.startswith("proven 2026-11-28T07:00:00Z") for s in steps)
    assert verdict(host, prove(host, GOOD, Settings(), proven)) == "ready"


@pytest.mark.parametrize(
    "change",
    [
        {"boot__boot_id": "f" * 36},
        {"driver__loaded": "550.163.02"},
        {"docker__engine": "29.0"},
        {"docker__daemon_json": TextFile("/etc/docker/daemon.json", "{}")},
        {"docker__flags": ("cgroup-parent",)},
        {"toolkit__version": "1.99"},
        {"toolkit__config": "0" * 64},
        {"toolkit__cdi_specs": {"/etc/cdi/nvidia.yaml": "0" * 64}},
        {"pci": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_is_reason_enough(change: dict[str, object]) -> None:
    assert not again(noted(DONE))
    assert again(changed(noted(DONE), **change))


def test_other_words_and_no_note_are_reasons_too() -> None:
    assert again(DONE)
    assert again(noted(DONE), words=("--runtime", "nvidia"))
    assert again(changed(DONE, toolkit__proven=("damaged",)))


def test_reload_that_could_not_be_tried_is_tried_as_soon_as_nothing_runs() -> None:
    busy = noted(DONE, "but-reload")
    assert not again(busy, reload=False)
    assert again(busy, reload=True)
    assert not again(noted(DONE), reload=False)
