"""What an uninstall takes away, what it leaves and names, and when it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploys.knowledge.paths import DAEMON_JSON, NOUVEAU_BLOCK, PULL_CONFIG, PULL_UNITS
from deploys.plan import daemon_json
from deploys.plan.checks import may_change
from deploys.plan.daemon_json import Wanted
from deploys.plan.edits import json_edits, text_edits
from deploys.plan.lease import Lease
from deploys.plan.machine import Footprint, Hold, Machine, TextFile
from deploys.plan.removal import describe_removal, make_removal
from deploys.plan.settings import Settings
from facts.footprint import SUBJECT, parse
from tests.parse.host import program, read_root, write
from tests.plan.hosts import changed, debian_13_converged, holders

PACKAGES = {"nvidia-driver": "wanted", "docker.io": "wanted", "libnvidia-x": "needed"}
LIST = "/etc/apt/sources.list"
BEFORE, AFTER = "deb http://m trixie main\n", "deb http://m trixie main contrib\n"


def host(**changes: Any) -> Machine:
    """A converged host where nothing runs on the GPUs."""
    return changed(
        debian_13_converged(),
        **{
            "docker__running": 0,
            "docker__gpu_containers": (),
            "driver__holders": (),
            "packages__manager": "apt",
            **changes,
        },
    )


def test_only_what_is_written_down_leaves() -> None:
    ours = daemon_json.merge("{}", Wanted()) or ""
    found = Footprint(
        PACKAGES,
        (*text_edits(LIST, BEFORE, AFTER), *json_edits(DAEMON_JSON, "{}", ours)),
        enabled=("docker.service", "gpu-host-devices.service"),
        paths=(NOUVEAU_BLOCK, "/etc/gpu-host", "/var/lib/gpu-host"),
    )
    machine = host(
        packages__sources=(TextFile(LIST, AFTER), TextFile("/etc/apt/other.list", AFTER)),
        docker__daemon_json=TextFile(DAEMON_JSON, ours.replace("{", '{"debug": true,', 1)),
        docker__daemon_json_exists=True,
    )
    removal = make_removal(machine, found, Settings())
    assert removal.packages == tuple(PACKAGES)
    assert {c.path: c.content for c in removal.rewrites} == {LIST: BEFORE, DAEMON_JSON: '{\n    "debug": true\n}\n'}
    assert removal.deleted == (NOUVEAU_BLOCK,)
    assert removal.disabled == ("docker.service",)
    assert removal.stops == ()
    page = describe_removal(removal, "gpu-01")
    assert "packages      3: nvidia-driver, docker.io, libnvidia-x" in page
    assert f"restore       {LIST}: our components leave" in page


def test_host_without_a_trace_has_nothing_to_do() -> None:
    assert make_removal(host(), Footprint(paths=("/var/lib/gpu-host",)), Settings()).nothing
    assert not make_removal(host(), Footprint(PACKAGES), Settings()).nothing


def test_file_that_somebody_has_changed_since_stays_and_is_named() -> None:
    found = Footprint(PACKAGES, text_edits(LIST, BEFORE, AFTER))
    removal = make_removal(
        host(packages__sources=(TextFile(LIST, AFTER.replace("contrib", "contrib x")),)), found, Settings()
    )
    assert removal.rewrites == ()
    found = Footprint(PACKAGES, json_edits(DAEMON_JSON, None, '{"live-restore": true}'))
    machine = host(
        docker__daemon_json=TextFile(DAEMON_JSON, '{"live-restore": false}'), docker__daemon_json_exists=True
    )
    removal = make_removal(machine, found, Settings())
    assert (removal.rewrites, removal.deleted) == ((), ())
    assert f"{DAEMON_JSON}: live-restore was changed since" in removal.left


@pytest.mark.parametrize(
    ("machine", "check", "words"),
    [
        (host(driver__holders=holders("python3 -m vllm")), "gpu_idle_before_driver_change", "python3 -m vllm"),
        (host(docker__gpu_containers=("llm",)), "gpu_idle_before_driver_change", "container llm"),
        (host(docker__running=2), "no_container_ended", "2 containers run, and their engine (docker.io) would leave"),
        (host(docker__running=None), "no_container_ended", "could not be asked"),
        (host(packages__manager="rpm"), "uninstall_supported", "rpm is the package manager"),
        (
            host(packages__holds=(Hold("docker.io"), Hold("vim"), Hold("nvidia-driver", ours=True))),
            "no_foreign_hold",
            "held by somebody else: docker.io",
        ),
    ],
)
def test_host_that_would_be_disturbed_is_refused(machine: Machine, check: str, words: str) -> None:
    stops = {f.check: f.found for f in make_removal(machine, Footprint(PACKAGES), Settings()).stops}
    assert words in stops[check]


def test_engine_that_was_there_before_keeps_its_containers() -> None:
    found = Footprint({"nvidia-driver": "wanted"})
    assert make_removal(host(docker__running=2), found, Settings()).stops == ()


def test_services_leave_only_when_asked_for() -> None:
    found = Footprint(PACKAGES, services=("gpu-service-a.service",), containers={"llm": "running"})
    machine = host(docker__running=1)
    kept = make_removal(machine, found, Settings())
    assert (kept.services, kept.containers) == ((), ())
    assert [f.check for f in kept.stops] == ["no_container_ended"]
    assert any("gpu_uninstall_services = True removes them" in text for text in kept.left)
    gone = make_removal(machine, found, Settings(uninstall_services=True))
    assert (gone.services, gone.containers, gone.stops) == (("gpu-service-a.service",), ("llm",), ())


def test_another_run_stands_in_the_way_of_any_change() -> None:
    assert may_change(host(), Settings()) == ()
    busy = replace(host(), boot=replace(host().boot, lease=Lease("a", "ops@control", left=9)))
    assert [f.check for f in may_change(busy, Settings())] == ["no_other_run"]


def test_footprint_is_read_from_the_records() -> None:
    text = "package nvidia-driver wanted\npackage gcc-12 needed\npackage cut\nedit {}\nenabled docker.service\nservice gpu-service-a.service\npath /etc/gpu-host\ncontainer llm running\nengine\n"
    found = parse(text)
    assert found.packages == {"nvidia-driver": "wanted", "gcc-12": "needed"}
    assert (found.edits, found.enabled, found.services) == (("{}",), ("docker.service",), ("gpu-service-a.service",))
    assert found.containers == {"llm": "running"}
    assert parse("container llm running\n").containers is None
    assert SUBJECT.unknown == Footprint() == parse("")


def test_holds_of_ours_are_a_trace_of_ours() -> None:
    """An image with a driver that we only hold: nothing came with us, and something leaves all the same."""
    held = (Hold("nvidia-driver", ours=True, version="550.163.01-2", since="2026-11-01"), Hold("docker.io"))
    removal = make_removal(host(packages__holds=held), Footprint(), Settings())
    assert (removal.held, removal.nothing) == (("nvidia-driver",), False)
    assert make_removal(host(packages__holds=held[1:]), Footprint(), Settings()).nothing


@pytest.mark.parametrize("there", [("installed", "installing"), ("installing",), ("installed",), ()])
def test_footprint_of_a_first_transaction_that_was_cut_off(tmp_path: Path, there: tuple[str, ...]) -> None:
    """awk ends at a file that is missing, with all that it has read."""
    for name in there:
        write(tmp_path, f"/var/lib/gpu-host/{name}", "docker.io wanted\n")
    write(tmp_path, "/var/lib/dpkg/info/base-files.list")
    path = program(tmp_path, "dpkg-query", "echo 'ii docker.io'")
    found = read_root(SUBJECT, tmp_path, path=path)
    assert dict(found.packages) == ({"docker.io": "wanted"} if there else {})


def test_machine_that_provisions_itself_stops_doing_so() -> None:
    """Its units leave, its owner's settings stay; work that was moved away is named, because nothing calls it back any more."""
    found = Footprint(paths=(*PULL_UNITS, PULL_CONFIG))
    removal = make_removal(host(boot__drained=True), found, Settings())
    assert (removal.deleted, removal.nothing) == (PULL_UNITS, False)
    page = describe_removal(removal, "gpu-01")
    assert f"stays         {PULL_CONFIG}: settings with which" in page
    assert "drained       its work was moved away (gpu_drain), and stays so: call it back by hand (gpu_undrain)" in page
    assert make_removal(host(), found, Settings()).drained == ""
