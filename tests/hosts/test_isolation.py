"""One host's trouble stays that host's: garbage, silence and refusals beside two good hosts in the same run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.bed.fleet import Fleet
from tests.bed.host import Host
from tests.bed.inventory import Member, run_pyinfra, write_inventory
from tests.hosts import isolation_lab
from tests.hosts.isolation_lab import ANSWER, CONNECT, WAYS


def test_bad_neighbours_do_not_disturb_good_hosts(make_host: Callable[..., Host], tmp_path: Path) -> None:
    good = [make_host("bookworm", "good-a"), make_host("bookworm", "good-b")]
    garbage = make_host("bookworm", "garbage")
    # Every tool that the probe leans on prints noise: bytes that are no text, and far too many of them.
    garbage.put("/usr/local/bin/timeout", "#!/bin/sh\nhead -c 3000000 /dev/urandom\n", 0o755)
    garbage.put("/usr/bin/tr", "#!/bin/sh\nexec head -c 3000000 /dev/urandom\n", 0o755)
    refuses = make_host("bookworm", "refuses")
    refuses.refuse_ssh()
    dead = make_host("bookworm", "dead")
    dead.cut()
    hosts = [*good, garbage, refuses, dead]
    inventory = write_inventory(tmp_path / "inventory.py", hosts, {"gpu_report_dir": str(tmp_path)})
    run = run_pyinfra(inventory, "deploys/preflight.py", "-y", timeout=300)
    print(run.stderr[-5000:])
    states = {h["host"]: h["state"] for h in json.loads((tmp_path / "latest.json").read_text())["hosts"]}
    assert run.returncode != 0
    assert states["good-a"] == states["good-b"] == "passed"
    assert states["garbage"] in ("failed", "refused")
    assert states["refuses"] == states["dead"] == "unreachable"
    for name, state in states.items():
        assert any(line.split()[:2] == [name, state] for line in run.stderr.splitlines()), f"{name} is in the table"


def test_settings_of_one_host_refuse_that_host_alone(make_host: Callable[..., Host], tmp_path: Path) -> None:
    good, bad = make_host("bookworm", "good-c"), make_host("bookworm", "bad-settings")
    members: list[Member] = [good, (bad, {"gpu_driver_branch": 535.1, "gpu_profil": "full", "gpu_expected_gpus": -1})]
    inventory = write_inventory(tmp_path / "inventory.py", members, {"gpu_report_dir": str(tmp_path)})
    commands = bad.count_commands()
    run = run_pyinfra(inventory, "deploys/preflight.py", "-y")
    states = {h["host"]: h["state"] for h in json.loads((tmp_path / "latest.json").read_text())["hosts"]}
    assert run.returncode != 0
    assert states == {"good-c": "passed", "bad-settings": "refused"}
    assert bad.count_commands() == commands, "not even a probe was sent"
    for key in ("gpu_driver_branch", "gpu_profil", "gpu_expected_gpus"):
        assert key in run.stderr


def test_ten_bad_hosts_of_twenty_fail_alone_and_by_name(make_host: Callable[..., Host], tmp_path: Path) -> None:
    """Each is bad in another way; `bench/run isolation` tries the ways one by one."""
    fleet = Fleet.of(make_host("bookworm", "fleet"), isolation_lab.SIZE, isolation_lab.answers())
    alone = isolation_lab.run(fleet, tmp_path, {})
    bad = dict(zip(list(fleet.addresses)[::2], WAYS, strict=True))
    done = isolation_lab.run(fleet, tmp_path, bad)
    print(done.text[-6000:])
    assert (alone.code, done.code) == (0, 1)
    assert {h["state"] for h in alone.hosts.values()} == {"ready"}
    for name in alone.hosts:
        if name not in bad:
            assert done.end(name) == alone.end(name)
            assert done.row(name).split() == alone.row(name).split()
    for name, way in bad.items():
        found, expected = done.hosts[name], WAYS[way]
        assert (way, found["state"], expected.words in found["detail"]) == (way, expected.state, True), found["detail"]
        assert done.row(name).split()[1] == expected.state
    assert done.seconds < 2 * alone.seconds + CONNECT + ANSWER
