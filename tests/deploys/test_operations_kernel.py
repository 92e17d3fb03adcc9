"""What the kernel gate sends to a host: nothing where all is well, one command where it is not, and a reboot as a trial."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from deploys.knowledge.managers import APT
from deploys.knowledge.paths import KEEP_KERNEL, KERNEL_GATE
from deploys.operations import kernel_gate as operations
from deploys.operations.drain import is_disturbing
from deploys.operations.reboot import rebooted_when_needed
from deploys.plan.files import digest
from deploys.plan.kernel_gate import kept_kernel
from deploys.plan.machine import BootLoader, FileState, Machine
from deploys.support.outcome import LEDGER
from tests.deploys.bench import commands, commands_of, plan_for
from tests.plan.hosts import changed, holders
from tests.plan.test_kernel_gate import LOADER, NEW, NOTHING, NOW, host, kernel, trial

HELD = replace(LOADER, default=NOW, pinned=NOW)
BROKEN = kernel(NEW, **NOTHING)


@pytest.fixture
def bench(host: SimpleNamespace) -> SimpleNamespace:
    host.connector, host.log, host.current_op_global_arguments = object(), host.said.append, {}
    return host


def sent(operation: object, machine: Machine, after: Machine | None = None, **arguments: object) -> list[str]:
    """Commands as text; the host answers `after` as soon as one was sent."""
    with pytest.MonkeyPatch.context() as patch:
        answers = [machine, after or machine]
        patch.setattr(operations, "machine", lambda: answers[0])
        found = []
        for command in operation._inner(**arguments):  # type: ignore[attr-defined]
            answers[0] = answers[1]
            found.append(command.get_raw_value())
    return found


GATE = operations.default_kernel_fit
EVERYTHING_FINE = [
    ("no boot loader that is known", host(BROKEN, loader=BootLoader())),
    ("fit", host()),
    ("held, and still needed", host(BROKEN, loader=HELD)),
    ("the trial failed, held", trial(NOW)),
    ("on trial, its driver has not loaded", trial(NEW, loaded="")),
]


@pytest.mark.parametrize(("why", "machine"), EVERYTHING_FINE, ids=[c[0] for c in EVERYTHING_FINE])
def test_nothing_to_do(bench: SimpleNamespace, why: str, machine: Machine) -> None:
    assert sent(GATE, machine) == [], why


@pytest.mark.parametrize(
    ("machine", "after", "verb"),
    [
        (host(BROKEN), host(BROKEN, loader=HELD), "apply"),
        (host(loader=HELD), host(), "apply"),
        (trial(NOW, boot="this boot"), host(), "settle"),
    ],
    ids=["to be held", "to be let go", "a trial that never came"],
)
def test_one_command(bench: SimpleNamespace, machine: Machine, after: Machine, verb: str) -> None:
    assert sent(GATE, machine, after) == [f"sh {KERNEL_GATE} {verb} >/dev/null"]


def test_trial_ends_with_the_proof_and_not_before(bench: SimpleNamespace) -> None:
    machine, after = trial(NEW), changed(host(), kernels__running=NEW)
    LEDGER.of(bench.name).state = "planned"
    assert sent(GATE, machine, after) == sent(GATE, machine, after, rebooted=True) == []
    assert sent(GATE, machine, after, rebooted=True, proven=True) == []
    LEDGER.of(bench.name).state = "ready"
    assert sent(GATE, machine, after, rebooted=True, proven=True) == [f"sh {KERNEL_GATE} settle >/dev/null"]
    assert sent(GATE, trial(NEW, loaded=""), rebooted=True, proven=True) == []


def test_trial_of_a_machine_that_provisions_itself_stays_armed_until_its_run_has_ended(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    armed = trial(NOW, boot="this boot")
    assert sent(GATE, armed, host(), rebooted=True) == [f"sh {KERNEL_GATE} settle >/dev/null"]
    monkeypatch.setenv("GPU_HOST_PULL", "/etc/gpu-host/pull.json")
    assert sent(GATE, armed, host(), rebooted=True) == []
    # The next run, in the same boot: the reboot never came.
    assert sent(GATE, armed, host()) == [f"sh {KERNEL_GATE} settle >/dev/null"]


def test_boot_loader_that_does_not_obey_fails_the_host(bench: SimpleNamespace) -> None:
    assert sent(GATE, host(BROKEN))[-1] == "false"
    assert f"the boot loader starts {NEW} next, and not {NOW}" in bench.said[-1]


def test_reboot_into_a_new_kernel_is_a_trial(bench: SimpleNamespace) -> None:
    done = changed(host(), kernels__running=NEW)
    arguments = {"allowed": True, "timeout": 60, "new_kernel": True}
    note, once, reboot, forget = commands_of(rebooted_when_needed, host(), done, **arguments)
    assert "kernel 6.12.11-amd64 is installed, fit, and comes next" in note.connector_arguments["_stdin"]
    assert once.get_raw_value() == f"sh {KERNEL_GATE} trial {NEW} >/dev/null"
    assert reboot.kwargs["kernel"] == NEW
    assert forget.get_raw_value().startswith("rm -f")
    assert commands(rebooted_when_needed, host(), **{**arguments, "new_kernel": False}) == []


def test_reboot_for_another_reason_stays_with_the_held_kernel(bench: SimpleNamespace) -> None:
    machine = changed(trial(NOW, loaded=""), nouveau__loaded=True)
    _, reboot = commands_of(rebooted_when_needed, machine, machine, allowed=True, timeout=60, new_kernel=True)
    assert reboot.kwargs["kernel"] == NOW


@pytest.mark.parametrize("accepted", [False, True])
def test_kernel_that_cannot_be_tried_waits_for_consent(bench: SimpleNamespace, accepted: bool) -> None:
    stuck = host(loader=replace(LOADER, one_shot=False, obstacle="GRUB cannot write to LVM"))
    arguments = {"allowed": True, "timeout": 60, "new_kernel": True, "untried": accepted}
    found = commands_of(rebooted_when_needed, stuck, stuck, **arguments)
    assert [type(c).__name__ for c in found] == (["StringCommand", "FunctionCommand"] if accepted else [])
    assert ("not done: kernel 6.12.11-amd64 comes next" in bench.said[-1]) is not accepted


def test_busy_host_keeps_its_kernel(bench: SimpleNamespace) -> None:
    busy = changed(host(), driver__holders=holders("python3 -m vllm"))
    assert commands(rebooted_when_needed, busy, allowed=True, timeout=60, new_kernel=True) == []
    assert "put off: the GPUs are in use by python3 -m vllm" in bench.said[-1]


def test_only_a_reboot_that_comes_is_drained_for(bench: SimpleNamespace) -> None:
    machine, failed = host(), trial(NOW)
    stuck = host(loader=replace(LOADER, one_shot=False))
    assert is_disturbing(plan_for(machine), machine)
    assert not is_disturbing(plan_for(machine, new_kernel="wait"), machine)
    assert not is_disturbing(plan_for(failed), failed)
    assert not is_disturbing(plan_for(stuck), stuck)
    cut_off = changed(failed, packages__cut_off=True)
    assert is_disturbing(plan_for(cut_off), cut_off), "nobody knows what of the driver it has left to do"


def test_fifty_runs_against_a_kernel_that_does_not_come_up_try_it_once(bench: SimpleNamespace) -> None:
    machine, reboots = host(), 0
    for _ in range(50):
        found = commands_of(rebooted_when_needed, machine, trial(NOW), allowed=True, timeout=60, new_kernel=True)
        reboots += sum(type(c).__name__ == "FunctionCommand" for c in found)
        machine = trial(NOW)
    assert reboots == 1


@pytest.mark.parametrize("running", [NOW, NEW])
def test_proven_kernel_stays_installed_while_it_is_not_the_newest(bench: SimpleNamespace, running: str) -> None:
    LEDGER.of("stand-in").state = "ready"
    machine = changed(host(), kernels__running=running)
    how, text = kept_kernel(APT.keep_kernel, changed(host(), kernels__running=NOW))
    kept = changed(machine, files={**machine.files, how: FileState(how, digest(text), "644", "root:root")})
    bare, there = sent(operations.proven_kernel_kept, machine), sent(operations.proven_kernel_kept, kept)
    LEDGER.outcomes.pop("stand-in")
    if running == NOW:
        assert f"f={KEEP_KERNEL}\n" in bare[0]
        assert there == []
    else:
        assert (bare, there) == ([], [f"rm -f {KEEP_KERNEL}"])


def test_host_that_is_not_ready_proves_nothing(bench: SimpleNamespace) -> None:
    LEDGER.of("stand-in").state = "not-ready"
    assert sent(operations.proven_kernel_kept, host()) == []
    LEDGER.outcomes.pop("stand-in")
