"""When a host is rebooted, how often, and when loading the driver anew does instead."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from deploys.knowledge.paths import REBOOT_RECORD
from deploys.operations import services
from deploys.operations.reboot import rebooted_when_needed
from deploys.plan.describe import describe
from deploys.plan.machine import Process
from deploys.plan.reboot import reboot_reasons
from tests.deploys.bench import commands, commands_of, engine, plan_for
from tests.plan.hosts import changed, debian_12_bare, debian_13_converged, holders


def test_busy_gpus_put_a_reboot_off(host: SimpleNamespace) -> None:
    machine = debian_12_bare()
    worker = Process(4711, "ml", "python3 -m vllm", ("/dev/nvidia0",))
    machine = replace(machine, driver=replace(machine.driver, holders=(worker,)))
    host.connector, host.log = object(), host.said.append
    assert commands(rebooted_when_needed, machine, allowed=True, timeout=60) == []
    assert "put off: the GPUs are in use by python3 -m vllm[4711] of ml" in host.said[0]


def test_consent_lets_a_reboot_end_somebodys_work(host: SimpleNamespace) -> None:
    machine = engine(debian_12_bare(), gpu_containers=("llm",))
    host.connector, host.log, host.current_op_global_arguments = object(), host.said.append, {}
    assert commands(rebooted_when_needed, machine, allowed=True, timeout=60) == []
    assert "put off: the GPUs are in use by container llm" in host.said[0]
    sent = commands_of(rebooted_when_needed, machine, machine, allowed=True, timeout=60, consent=True)
    assert [type(c).__name__ for c in sent] == ["StringCommand", "FunctionCommand"]


def test_fifty_runs_against_a_cause_that_stays_reboot_once(host: SimpleNamespace) -> None:
    """nouveau comes back each time: whatever brings it is not in the boot images."""
    host.connector, host.log, host.current_op_global_arguments = object(), host.said.append, {}
    machine, reboots = debian_12_bare(), 0
    for _ in range(50):
        sent = commands_of(rebooted_when_needed, machine, machine, allowed=True, timeout=60)
        reboots += sum(type(c).__name__ == "FunctionCommand" for c in sent)
        if sent:
            boot, *cause = str(sent[0].connector_arguments["_stdin"]).splitlines()
            after = replace(machine.boot, boot_id="another", rebooted_in=boot, rebooted_for="; ".join(cause))
            machine = replace(machine, boot=after)
    assert reboots == 1
    assert "has not helped: not again" in host.said[-1]
    assert "not again: one has not helped; nouveau holds" in describe(plan_for(machine), machine, "host")


def test_record_of_a_reboot_goes_with_its_cause(host: SimpleNamespace) -> None:
    host.connector, host.log, host.current_op_global_arguments = object(), host.said.append, {}
    bare, done = debian_12_bare(), debian_13_converged()
    *_, last = commands_of(rebooted_when_needed, bare, done, allowed=True, timeout=60)
    assert last.get_raw_value().startswith(f"rm -f {REBOOT_RECORD}")
    left = replace(done, boot=replace(done.boot, rebooted_in="x", rebooted_for="nouveau is loaded"))
    (forget,) = commands(rebooted_when_needed, left, allowed=True, timeout=60)
    assert forget.get_raw_value().startswith(f"rm -f {REBOOT_RECORD}")


def test_reboot_that_never_happened_is_tried_again(host: SimpleNamespace) -> None:
    host.connector, host.log, host.current_op_global_arguments = object(), host.said.append, {}
    machine = debian_12_bare()
    cause = "; ".join(reboot_reasons(machine))
    same = replace(machine.boot, rebooted_in=machine.boot.boot_id or "", rebooted_for=cause)
    assert len(commands_of(rebooted_when_needed, replace(machine, boot=same), machine, allowed=True, timeout=60)) == 2


@pytest.mark.parametrize(
    ("change", "reloads"),
    [
        ({"driver__loaded": "550.90.07"}, True),
        ({}, False),
        ({"driver__loaded": ""}, False),
        ({"driver__loaded": "550.90.07", "driver__reload_tried": "550.163.01"}, False),
        ({"driver__loaded": "550.90.07", "driver__holders": (Process(7, "ml", "python3", ("/dev/nvidia0",)),)}, False),
        ({"driver__loaded": "550.90.07", "docker__gpu_containers": ("llm",)}, False),
        ({"driver__loaded": "550.90.07", "docker__gpu_containers": ("gpu-host-exporter",)}, True),
        ({"driver__loaded": "550.90.07", "docker__gpu_containers": None}, False),
        (
            {
                "driver__loaded": "550.90.07",
                "driver__holders": holders("/usr/bin/nv-fabricmanager -c x", "dcgm-exporter"),
            },
            True,
        ),
        ({"driver__loaded": "550.90.07", "nouveau__loaded": True}, False),
    ],
)
def test_driver_is_loaded_anew_only_where_nobody_uses_it(
    host: SimpleNamespace, change: dict[str, Any], reloads: bool
) -> None:
    host.log = host.said.append
    assert len(commands(services.driver_reloaded, changed(debian_13_converged(), **change))) == reloads


def test_machine_that_provisions_itself_reboots_after_its_run(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes down why, in which boot; `./provision pull` reboots once the result is delivered."""
    host.connector, host.log = type("LocalConnector", (), {})(), host.said.append
    host.current_op_global_arguments = {}
    machine = debian_12_bare()
    assert commands(rebooted_when_needed, machine, allowed=True, timeout=60) == []
    assert "reboot this machine, then run again" in host.said[-1]
    monkeypatch.setenv("GPU_HOST_PULL", "/etc/gpu-host/pull.json")
    (record,) = commands_of(rebooted_when_needed, machine, machine, allowed=True, timeout=60)
    assert str(record.connector_arguments["_stdin"]).splitlines()[0] == machine.boot.boot_id
    assert commands(rebooted_when_needed, machine, allowed=False, timeout=60) == []
