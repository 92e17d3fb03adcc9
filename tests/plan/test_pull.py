"""The configuration of a machine that provisions itself, where its result goes, and when it reboots."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from deploys.plan.pull import ConfigError, Target, named, parse_config, reboots_now
from deploys.plan.settings import parse_settings

ROOT = Path(__file__).resolve().parents[2]


def config(**keys: Any) -> str:
    return json.dumps(keys)


def test_shipped_configuration_is_one() -> None:
    shipped = parse_config((ROOT / "inventories/pull/pull.json").read_text())
    assert shipped == parse_config("{}") or shipped.data == {"gpu_profile": "full"}
    assert parse_settings(shipped.data).profile == "full"


def test_ports_are_numbers_again() -> None:
    services = {"llm": {"image": "registry.example/server:1.2", "ports": {"8000": 8000}}}
    data = parse_config(config(data={"gpu_services": services})).data
    assert dict(parse_settings(data).services["llm"].ports) == {8000: "127.0.0.1:8000"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no JSON"),
        ("[]", "found list"),
        (config(gpu_profile="raw"), "gpu_profile means nothing here; known: data, deploys, results, token_file (settings stand under data)"),
        (config(data=[]), "data: found []"),
        (config(deploys=["rm"]), "deploys: found 'rm', needed some of gpu_host"),
        (config(deploys="gpu_host"), "needed a list of strings"),
        (config(results=[]), "results: found []"),
        (config(results=["results"]), "results: found 'results', needed /FOLDER, https://HOST/PATH, s3://BUCKET/FOLDER"),
        (config(results=["ftp://x/y"]), "found 'ftp://x/y'"),
        (config(token_file="token"), "needed an absolute path"),
        (config(token_file="/t", results=["http://collector.example/"]), "the token would travel in the clear"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(text, "/etc/gpu-host/pull.json")
    assert str(error.value).startswith("/etc/gpu-host/pull.json")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("place", "kind", "goes_to", "method"),
    [
        ("/srv/results", "folder", "/srv/results/gpu-01.json", "POST"),
        ("/srv/{host}/last.json", "folder", "/srv/gpu-01/last.json", "PUT"),
        ("https://collector.example/in", "http", "https://collector.example/in", "POST"),
        ("https://collector.example/{host}.json", "http", "https://collector.example/gpu-01.json", "PUT"),
        ("s3://bucket/fleet/", "store", "s3://bucket/fleet/gpu-01.json", "POST"),
    ],
)
def test_place_of_a_result(place: str, kind: str, goes_to: str, method: str) -> None:
    (target,) = parse_config(config(results=[place])).results
    assert (target.kind, target.of("gpu-01"), target.method) == (kind, goes_to, method)


def test_store_is_spoken_to_by_its_own_tool() -> None:
    words = Target("store", "gs://bucket/{host}.json").upload("/tmp/file", "gpu-01")
    assert words == ("gcloud", "storage", "cp", "--quiet", "/tmp/file", "gs://bucket/gpu-01.json")


def test_result_carries_the_name_of_the_machine() -> None:
    document = {"schema": 1, "hosts": [{"host": "@local", "state": "ready"}]}
    assert named(document, "gpu-01.example")["hosts"] == [{"host": "gpu-01.example", "state": "ready"}]
    assert document["hosts"] == [{"host": "@local", "state": "ready"}]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a/b", "-rf", "a\nb", "{host}"])
def test_name_that_would_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="the name of this machine"):
        named({"hosts": []}, name)


@pytest.mark.parametrize(
    ("state", "record", "boot", "reboots"),
    [
        ("reboot-pending", "boot-1\nnouveau is loaded\n", "boot-1", True),
        ("reboot-pending", "boot-0\nnouveau is loaded\n", "boot-1", False),  # of an earlier boot: it did not help
        ("reboot-pending", "", "boot-1", False),  # somebody uses the GPUs, or gpu_reboot = "never"
        ("reboot-pending", "\n", "", False),
        ("ready", "boot-1\nkernel 6.12 is new\n", "boot-1", True),
        ("ready", "", "boot-1", False),
        ("rolled-back", "boot-1\ndriver 2 is loaded, 1 is on disk\n", "boot-1", True),
        ("failed", "boot-1\nnouveau is loaded\n", "boot-1", False),
    ],
)
def test_machine_reboots_only_when_its_run_wrote_that_down(
    state: str, record: str, boot: str, *, reboots: bool
) -> None:
    assert reboots_now({"hosts": [{"state": state}]}, record, boot) is reboots


def test_no_result_no_reboot() -> None:
    assert not reboots_now({"hosts": []}, "boot-1\n", "boot-1")


def test_the_shipped_inventory_is_this_machine_with_the_data_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pull.json"
    file.write_text('{"data": {"gpu_profile": "raw"}}')
    monkeypatch.setenv("GPU_HOST_PULL", str(file))
    found = runpy.run_path(str(ROOT / "inventories/pull/inventory.py"))
    assert found["hosts"] == [("@local", {"gpu_report_dir": None, "gpu_profile": "raw"})]
    assert found["_CONFIG"] == "/etc/gpu-host/pull.json"
