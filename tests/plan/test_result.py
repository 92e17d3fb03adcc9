"""Results of hosts: what is taken from their records, and which word on a host is the newest that counts."""

from __future__ import annotations

from typing import Any

import pytest

from deploys.plan.machine import Proof, ProvenSet
from deploys.plan.proof_step import Step
from deploys.plan.result import Document, Outcome, document, instant, merge, remember_proofs, seconds_of
from tests.plan.hosts import A100, L4, debian_12_bare, debian_13_converged, gpus

RUN = {"deploys": ["gpu_host.py"], "dry": False}


def learnt(machine: Any, proof: Proof | None = None) -> Outcome:
    outcome = Outcome("a")
    outcome.learn(machine, proof)
    return outcome


def test_converged_host_is_told_with_all_its_parts() -> None:
    found = learnt(debian_13_converged())
    assert (found.system, found.kernel.startswith("6.12"), found.driver) == ("debian 13", True, "550.163.01")
    assert (found.docker, found.compose, found.cuda) == ("26.1.5+dfsg1", "2.26.1-4", ["12.4"])
    assert found.runtime
    assert found.driver_state is not None
    assert found.driver_state["name"] == "ready"
    assert found.reboot == {"pending": False, "why": []}


def test_bare_host_waits_for_the_driver_and_not_for_a_reboot() -> None:
    found = learnt(debian_12_bare())
    assert found.driver_state is not None
    assert found.driver_state["name"] == "bare"
    assert found.reboot == {"pending": False, "why": []}


def test_reboot_is_pending_with_its_reasons() -> None:
    found = learnt(
        debian_13_converged(driver__loaded="535.1", boot__reboot_flags=("/run/reboot-required", "dbus", "linux-image"))
    )
    assert found.reboot == {
        "pending": True,
        "why": ["driver 535.1 is loaded, 550.163.01 is on disk", "the system asks for one: dbus, linux-image"],
    }


@pytest.mark.parametrize(
    ("proof", "kinds"),
    [
        (None, [("10de:20b2", "Ampere (GA100)", 2), ("10de:27b8", "Ada (AD104)", 1)]),
        (Proof(smi_code=9, smi_text="a, b, c\n" * 3), [("10de:20b2", "Ampere (GA100)", 2), ("10de:27b8", "Ada (AD104)", 1)]),
        (
            Proof(smi_code=0, smi_text="0, NVIDIA A100, 5\n1, NVIDIA A100, 5\n2, NVIDIA L4, 5\n"),
            [("10de:20b2", "NVIDIA A100", 2), ("10de:27b8", "NVIDIA L4", 1)],
        ),
        (Proof(smi_code=0, smi_text="0, NVIDIA A100, 5\n"), [("10de:20b2", "Ampere (GA100)", 2), ("10de:27b8", "Ada (AD104)", 1)]),
    ],
)  # fmt: skip
def test_gpus_are_counted_by_kind(proof: Proof | None, kinds: list[tuple[str, str, int]]) -> None:
    found = learnt(debian_13_converged(pci=gpus(A100, A100, L4)), proof)
    assert [(g["id"], g["name"], g["count"]) for g in found.gpus] == kinds
    assert found.gpu_count == 3


def test_unknown_gpu_has_its_id_and_no_name() -> None:
    assert learnt(debian_13_converged(pci=gpus(0x7FFF))).gpus == [{"id": "10de:7fff", "name": "", "count": 1}]


def test_times_go_there_and_back() -> None:
    assert seconds_of(instant(1_795_000_000)) == 1_795_000_000
    assert seconds_of("yesterday") is None


def run(at: int, seconds: int = 10, **states: str) -> Document:
    """A run of hosts with these states; those of a proof have one."""
    hosts = [Outcome(name, state.replace("_", "-")) for name, state in states.items()]
    for host in hosts:
        if host.state in ("ready", "not-ready", "reboot-pending"):
            host.steps = [Step("nvml", "PASS", "")]
    found = document(hosts, started=at, ended=at + seconds, run=RUN)
    remember_proofs(found, {})
    return found


def merged(*runs: Document) -> dict[str, Any]:
    whole = merge(runs)
    assert whole is not None
    return {h["host"]: h for h in whole["hosts"]}


def test_summary_counts_what_is_there() -> None:
    found = run(1000, a="ready", b="refused", c="ready")
    assert found["summary"]["states"] == {"ready": 2, "refused": 1}
    assert (found["summary"]["hosts"], found["exit_code"], found["seconds"]) == (3, 3, 10.0)
    assert [h["host"] for h in found["hosts"]] == ["a", "b", "c"]


def test_newest_word_on_a_host_wins_whatever_the_order() -> None:
    old, new = run(1000, a="failed", b="ready"), run(2000, a="ready", c="failed")
    for hosts in (merged(old, new), merged(new, old)):
        assert {name: h["state"] for name, h in hosts.items()} == {"a": "ready", "b": "ready", "c": "failed"}


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        ("ready", "passed", "ready"),
        ("failed", "planned", "failed"),
        ("reboot_pending", "passed", "reboot-pending"),
        ("refused", "passed", "passed"),
        ("unreachable", "planned", "planned"),
        ("ready", "refused", "refused"),
        ("ready", "unreachable", "unreachable"),
        ("passed", "ready", "ready"),
    ],
)
def test_who_only_looked_says_less_than_a_proof(before: str, after: str, stays: str) -> None:
    assert merged(run(1000, a=before), run(2000, a=after))["a"]["state"] == stays


def test_last_proof_is_remembered_with_its_age() -> None:
    hosts = merged(run(1000, a="ready"), run(5000, a="unreachable"))
    assert hosts["a"]["last_proof"] == {"at": instant(1010), "state": "ready", "age_seconds": 4000}
    later = run(9000, a="refused", b="refused")
    remember_proofs(later, hosts)
    assert later["hosts"][0]["last_proof"] == {"at": instant(1010), "state": "ready", "age_seconds": 8000}
    assert later["hosts"][1]["last_proof"] is None


@pytest.mark.parametrize(("told", "newest"), [(None, 500), (400, 500), (900, 900)])
def test_host_remembers_its_proof_for_a_controller_that_does_not(told: int | None, newest: int) -> None:
    host = learnt(debian_13_converged(proven=ProvenSet(time=instant(500))))
    host.state = "refused"
    found = document([host], started=1000, ended=1500, run=RUN)
    before = {"a": {"last_proof": {"at": instant(told), "state": "ready", "age_seconds": 1}}} if told else {}
    remember_proofs(found, before)
    assert found["hosts"][0]["last_proof"] == {"at": instant(newest), "state": "ready", "age_seconds": 1500 - newest}


def test_merge_of_nothing_is_nothing() -> None:
    assert merge([]) is None


def test_merged_runs_are_one_result_again() -> None:
    whole = merge([run(1000, a="ready"), run(2000, 60, b="refused")])
    assert whole is not None
    assert (whole["run"]["runs"], whole["started"], whole["seconds"], whole["exit_code"]) == (
        2,
        instant(1000),
        1060.0,
        3,
    )
