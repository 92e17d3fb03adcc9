"""Which hosts go back by themselves, what is sent to them, and what their result says."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from deploys.operations import proof, rollback
from deploys.plan.rollback import way_back
from deploys.plan.settings import Settings
from deploys.support.outcome import LEDGER, Outcome
from tests.deploys.bench import commands
from tests.plan.hosts import changed
from tests.plan.test_rollback import PROVEN
from tests.plan.test_rollback import host as upgraded

FAILED = upgraded(proven=PROVEN)


@pytest.fixture
def outcome(host: SimpleNamespace) -> Iterator[Outcome]:
    """Of a host whose proof has just failed."""
    host.log = host.said.append
    found = LEDGER.of(host.name)
    found.state, found.detail = "not-ready", "nvml: no answer"
    yield found
    LEDGER.outcomes.pop(host.name)


def test_failed_proof_is_followed_by_a_rehearsal_and_one_transaction(outcome: Outcome) -> None:
    (rehearsal,) = commands(rollback.rehearsed, FAILED, limit=60)
    assert "--unit=gpu-host-rehearsal.service" in rehearsal.get_raw_value()
    text = str(rehearsal.connector_arguments["_stdin"])
    assert (
        "TARGET='docker.io=26.1.5-1 libcuda1=550.163.01-2 nvidia-driver=550.163.01-2 nvidia-kernel-dkms=550.163.01-2'"
        in text
    )
    note, transaction = commands(rollback.installed, FAILED, limit=60)
    assert f"echo '{way_back(FAILED, PROVEN).identity} " in note.get_raw_value()
    assert note.get_raw_value().endswith(">>/var/lib/gpu-host/given-up && sync /var/lib/gpu-host/given-up")
    assert "--unit=gpu-host-rollback.service" in transaction.get_raw_value()
    assert "RuntimeMaxSec" not in transaction.get_raw_value()
    assert outcome.state == "rolled-back"
    assert outcome.detail.startswith(
        "driver 590.10.01 failed its proof (nvml: no answer) and was given up for driver 550"
    )


@pytest.mark.parametrize("state", ["ready", "planned", "reboot-pending", "rolled-back"])
def test_no_other_host_goes_back(outcome: Outcome, state: str) -> None:
    outcome.state = state
    assert commands(rollback.rehearsed, FAILED, limit=60) == []
    assert commands(rollback.installed, FAILED, limit=60) == []
    assert outcome.state == state


def test_set_that_was_given_up_once_is_not_given_up_again(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[bool] = []
    monkeypatch.setattr(rollback, "refuse_host", lambda: refused.append(True))
    again = changed(FAILED, boot__given_up=(way_back(FAILED, PROVEN).identity,))
    assert commands(rollback.installed, again, limit=60) == []
    assert (outcome.state, refused) == ("not-ready", [True])
    asked = way_back(again, PROVEN, again=True)
    (transaction,) = commands(rollback.installed, again, limit=60, asked=asked)
    assert "gpu-host-rollback" in transaction.get_raw_value()


def test_steps_after_the_way_back_are_for_those_who_go_it(outcome: Outcome) -> None:
    gone = rollback.has_gone_back(asked=False)
    for state, goes in (("ready", False), ("not-ready", False), ("rolled-back", True)):
        outcome.state = state
        assert gone() is goes
    outcome.state = "ready"
    assert rollback.has_gone_back(asked=True)()


CASES = {
    "has a way back": (FAILED, True, True),
    "is told not to": (FAILED, False, False),
    "was never proven": (changed(FAILED, proven=None), True, False),
}


@pytest.mark.parametrize("case", CASES)
def test_host_stays_in_the_run_only_for_its_way_back(
    host: SimpleNamespace, outcome: Outcome, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    machine, may, stays = CASES[case]
    refused: list[bool] = []
    monkeypatch.setattr(proof, "_judge", lambda *_, **__: ("not-ready", "nvml: no answer"))
    monkeypatch.setattr(proof, "refuse_host", lambda: refused.append(True))
    assert commands(proof.proven, machine, settings=Settings(), may_go_back=may) == []
    assert refused == ([] if stays else [True])
    assert outcome.state == "not-ready"
    assert any("never proven" in line for line in host.said) == (may and not stays)


def test_host_that_went_back_is_judged_again_and_never_called_ready(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[bool] = []
    monkeypatch.setattr(proof, "_judge", lambda *_, **__: ("ready", ""))
    for module in (proof, rollback):
        monkeypatch.setattr(module, "refuse_host", lambda: refused.append(True))
    outcome.state, outcome.detail = "rolled-back", "back"
    assert commands(proof.proven_again, FAILED, settings=Settings()) == []
    assert (outcome.state, outcome.detail, refused) == ("rolled-back", "back; now ready", [])
    assert commands(rollback.settled, FAILED) == []
    assert refused == [True]
