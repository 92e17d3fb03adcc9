"""The record of a proof: what goes into it, when another proof is one of the same set, and what is no record at all."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.knowledge.paths import DAEMON_JSON, DOCKER_PROXY_VALUES, NOUVEAU_BLOCK
from deploys.plan.daemon_json import Wanted, managed
from deploys.plan.machine import FileState, Machine
from deploys.plan.plan import make_plan
from deploys.plan.proven import ProvenSet, read_proven
from deploys.plan.remember import proven_now
from deploys.plan.settings import Settings
from tests.plan.hosts import changed, debian_13_converged, distro_of, installed


def proven(machine: Machine, **settings: Any) -> ProvenSet:
    return proven_now(make_plan(machine, Settings(**settings), distro_of(machine)), machine)


def test_set_of_a_converged_host_has_all_that_moves_together_and_no_compiler() -> None:
    found = proven(debian_13_converged())
    assert (found.kernel, found.driver, found.branch) == ("6.12.107+deb13-amd64", "550.163.01", "550")
    assert found.time == "2026-11-23T02:13:20Z"
    assert found.gpus == {"0000:07:00.0": "10de:20b2"}
    assert {
        "nvidia-kernel-dkms",
        "libcuda1",
        "containerd",
        "runc",
        "nvidia-persistenced",
        "docker.io",
        "nvidia-container-toolkit",
    } <= {*found.packages}
    assert found.packages["nvidia-kernel-dkms"].startswith("550.163.01-")
    assert not {"gcc", "dkms", "linux-headers-amd64", "make"} & {*found.packages}
    assert {"docker.service", "nvidia-persistenced.service"} <= {*found.services}
    assert json.loads(found.daemon_json["runtimes.nvidia"])["path"] == "nvidia-container-runtime"


def test_parts_of_a_driver_that_no_plan_names_belong_to_its_set() -> None:
    """A library that came as a dependency is needed as exactly to go back."""
    machine = installed(debian_13_converged(), libnvidia_ptxjitcompiler1="550.163.01-2", vim="9")
    assert proven(machine).packages["libnvidia-ptxjitcompiler1"] == "550.163.01-2"
    assert "vim" not in proven(machine).packages


def test_digest_of_what_only_root_may_read_is_not_told_to_everybody() -> None:
    secret = FileState(DOCKER_PROXY_VALUES, "a" * 64, "600", "root:root")
    plain = FileState(NOUVEAU_BLOCK, "b" * 64, "644", "root:root")
    other = FileState(DAEMON_JSON, "c" * 64, "644", "root:root")
    machine = changed(debian_13_converged(), files={f.path: f for f in (secret, plain, other)})
    assert proven(machine).files == {NOUVEAU_BLOCK: "b" * 64, DOCKER_PROXY_VALUES: ""}


def test_only_our_keys_of_daemon_json_are_in_it() -> None:
    text = '{"log-opts": {"a": "b"}, "live-restore": true, "features": {"cdi": true, "x": true}, "cdi-spec-dirs": ["/opt/cdi", "/etc/cdi"]}'
    assert managed(text, Wanted(runtime=True)) == {}
    assert managed(text, Wanted(live_restore=True, cdi=True)) == {
        "live-restore": "true",
        "features.cdi": "true",
        "cdi-spec-dirs": '["/etc/cdi"]',
    }


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"boot__boot_id": "11111111-2222-3333-4444-555555555555"}, True),
        ({"boot__clock": 1999999999.0}, True),
        ({"driver__holders": ()}, True),
        ({"kernels__running": "6.12.200+deb13-amd64"}, False),
        ({"driver__loaded": "580.82.07"}, False),
        ({"driver__loaded_flavour": "other"}, False),
        ({"toolkit__version": "9.9.9"}, False),
        ({"docker__engine": "99.0"}, False),
        ({"pci": ()}, False),
        ({"files": {}}, False),
        ({"units": {}}, False),
    ],
)
def test_another_moment_is_no_other_set_and_anything_else_is(change: dict[str, Any], same: bool) -> None:
    first = proven(debian_13_converged())
    assert proven(changed(debian_13_converged(), **change)).is_same_set(first) == same
    assert not first.is_same_set(None)


def test_what_is_written_is_what_is_read() -> None:
    found = proven(debian_13_converged(), docker_live_restore=False)
    assert read_proven(found.text()) == found
    assert json.loads(found.text())["schema"] == 1


GOOD = json.loads(ProvenSet(time="2026-11-27T20:41:34Z", kernel="6.1.0", packages={"a": "1:2.0-3+b1~x"}).text())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "its schema is '2', known here is 1"),
        ({"schema": None}, "its schema is 'None'"),
        ({"time": "yesterday"}, "its time is none"),
        ({"kernel": 6}, "its kernel is damaged or missing"),
        ({"kernel": "6.1\x1b[2J"}, "its kernel is damaged or missing"),
        ({"gpus": ["10de:1"]}, "its gpus is damaged or missing"),
        ({"services": {"a": "b"}}, "its services is damaged or missing"),
        ({"holds": ["a", 1]}, "its holds is damaged or missing"),
        ({"holds": ["a;reboot"]}, "like 'a;reboot'"),
        ({"packages": {"a": "$(reboot)"}}, "no package is called, or has a version, like 'a'"),
        ({"packages": {"-a": "1"}}, "like '-a'"),
        ({"packages": {"a": "1 2"}}, "like 'a'"),
    ],
)
def test_damaged_or_foreign_record_is_none(change: dict[str, Any], words: str) -> None:
    assert read_proven(json.dumps(GOOD)).kernel == "6.1.0"
    with pytest.raises(ValueError, match=re.escape(words)):
        read_proven(json.dumps({**GOOD, **change}))
    without = {k: v for k, v in GOOD.items() if k not in change}
    with pytest.raises(ValueError, match=r"damaged or missing|its schema"):
        read_proven(json.dumps(without))


@given(
    text=st.text()
    | st.recursive(
        st.none() | st.text(max_size=3), lambda x: st.lists(x) | st.dictionaries(st.text(max_size=3), x)
    ).map(json.dumps)
)
def test_any_text_gives_a_record_or_the_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_proven(text)


def test_cut_off_record_is_none() -> None:
    whole = proven(debian_13_converged()).text().rstrip("\n")
    for end in range(0, len(whole), 7):
        with pytest.raises(ValueError, match=r"."):
            read_proven(whole[:end])
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting"):
        read_proven("[" * 100_000)


def test_later_fields_of_the_same_schema_are_no_damage() -> None:
    assert read_proven(json.dumps({**GOOD, "later": 1})) == replace(read_proven(json.dumps(GOOD)))
