"""The doctor on real hosts: nothing to say about a bare one, a real journal's words with their repair, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.snapshot import diff, snapshot

SMI = """#!/bin/sh
echo "Failed to initialize NVML: Driver/library version mismatch"
echo "NVML library version: 580.178"
exit 18
"""


def test_symptoms_are_named_with_their_repair_and_the_host_stays_as_it_is(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    bare, ill = make_host("trixie", "bare"), make_host("bookworm", "ill")
    ill.put("/usr/local/bin/nvidia-smi", SMI, 0o755)
    ill.nsenter(
        "systemd-cat -t modprobe echo \"modprobe: ERROR: could not insert 'nvidia': Key was rejected by service\""
    )
    inventory = write_inventory(tmp_path / "inventory.py", [bare, ill], {"gpu_report_dir": str(tmp_path)})
    before = {host.name: snapshot(host) for host in (bare, ill)}
    run = run_pyinfra(inventory, "deploys/doctor.py", "-y")
    assert run.returncode == 1
    hosts = {h["host"]: h for h in json.loads((tmp_path / "latest.json").read_text())["hosts"]}
    assert (hosts["bare"]["state"], hosts["bare"]["symptoms"]) == ("passed", [])
    assert hosts["ill"]["state"] == "not-ready"
    assert [s["name"] for s in hosts["ill"]["symptoms"]] == ["version_mismatch", "key_rejected"]
    assert all(s["cause"] and s["repair"] for s in hosts["ill"]["symptoms"])
    assert "mokutil --import /var/lib/dkms/mok.pub" in run.stderr
    assert {host.name: diff(before[host.name], snapshot(host)) for host in (bare, ill)} == {"bare": [], "ill": []}
