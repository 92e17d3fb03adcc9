"""daemon.json of every kind, and 10,000 made by chance: merged with the same meaning, or not written at all."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from deploys.knowledge.gpu_access import CDI_FOLDERS
from deploys.plan.daemon_json import FOLDERS_KEY, RUNTIME, RUNTIME_PATH, DaemonJsonError, Wanted, in_file, merge
from deploys.plan.software import Docker

ALL = Wanted(runtime=True, live_restore=True, cdi=True)
FULL = '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}, "live-restore": true, "features": {"cdi": true}'
SAME: list[str] = [
    FULL + "}",
    FULL + ', "cdi-spec-dirs": ["/etc/cdi", "/var/run/cdi"]}',
    FULL + ', "cdi-spec-dirs": ["/opt/cdi", "/var/run/cdi", "/etc/cdi"]}',
    FULL + ', "cdi-spec-dirs": []}',
]
MERGED: list[str | None] = [
    None,
    "",
    " \r\n\t",
    "{}",
    '{"debug":true}',
    '{\r\n\t"log-driver": "json-file",\r\n\t"log-opts": {"max-size": "10m"}\r\n}\r\n',
    '{"runtimes": {"crun": {"path": "/usr/bin/crun"}}, "default-runtime": "crun"}',
    '{"runtimes": {"nvidia": {"path": "/opt/old", "args": ["--debug"]}}}',
    '{"runtimes": {"nvidia": {"runtimeType": "io.containerd.runc.v2", "options": {"BinaryName": "x"}}}}',
    '{"runtimes": {"nvidia": null}}',
    '{"features": {"buildkit": true}}',
    '{"features": {"cdi": false, "containerd-snapshotter": true}}',
    '{"features": {"cdi": 1}, "live-restore": 1}',
    '{"live-restore": false, "bip": "10.1.0.1/24"}',
    '{"cdi-spec-dirs": ["/opt/cdi"]}',
    '{"cdi-spec-dirs": ["/etc/cdi", {"odd": [1, 2]}]}',
    '{"hosts": ["unix:///var/run/docker.sock"], "exec-opts": ["native.cgroupdriver=systemd"]}',
    '{"data-root": "/srv/dö·cker/数据", "labels": ["\\u0041=\\ud83d\\ude00"]}',
    '{"max-concurrent-downloads": 123456789012345678901234567890, "x": 1.5e-7, "y": -0.0}',
    '{"storage-opts": [], "insecure-registries": [[], {}, null, ""]}',
    '{"default-ulimits": {"memlock": {"Name": "memlock", "Hard": -1, "Soft": -1}}}',
]
REFUSED = [
    "[]",
    "null",
    "true",
    '"text"',
    "1",
    "{",
    '{"debug": true,}',
    "{'debug': true}",
    '// comment\n{"debug": true}',
    '{"a": 1} {"b": 2}',
    '{"debug": true, "debug": false}',
    '{"log-opts": {"tag": "a", "tag": "b"}}',
    '{"a": NaN}',
    '{"a": 1e999}',
    "\ufeff{}",
    '{"runtimes": []}',
    '{"features": "cdi"}',
    '{"cdi-spec-dirs": "/etc/cdi"}',
    '{"a":' * 3000 + "1" + "}" * 3000,
    '{"debug": tr',
]


def foreign(document: dict[str, Any]) -> dict[str, Any]:
    """Everything that is not our part, as text, so that true and 1 differ."""
    rest = {k: v for k, v in document.items() if k not in ("runtimes", "features", "live-restore", FOLDERS_KEY)}
    entry = document.get("runtimes", {}).get(RUNTIME)
    parts = {
        "rest": rest,
        "runtimes": {k: v for k, v in document.get("runtimes", {}).items() if k != RUNTIME},
        "entry": {k: v for k, v in (entry if isinstance(entry, dict) else {}).items() if k not in ("path", "args", "runtimeType")},
        "features": {k: v for k, v in document.get("features", {}).items() if k != "cdi"},
        "folders": [f for f in document.get(FOLDERS_KEY, []) if f not in CDI_FOLDERS],
    }  # fmt: skip
    return {name: json.dumps(part) for name, part in parts.items()}


def holds(text: str | None) -> str:
    """Assert what must hold of any file; says which of the three ways it went."""
    try:
        merged = merge(text, ALL)
    except DaemonJsonError as error:
        assert str(error)  # noqa: PT017 - the text is what the finding shows
        return "refused"
    if merged is None:
        return "same"
    before, after = json.loads(text if text and text.strip() else "{}"), json.loads(merged)
    assert foreign(after) == foreign(before)
    assert after["runtimes"][RUNTIME]["path"] in (RUNTIME_PATH, "nvidia-container-runtime")
    assert (after["features"]["cdi"], after["live-restore"]) == (True, True)
    assert not after.get(FOLDERS_KEY) or set(CDI_FOLDERS) <= {f for f in after[FOLDERS_KEY] if isinstance(f, str)}
    assert merge(merged, ALL) is None
    return "merged"


@pytest.mark.parametrize(
    ("text", "way"),
    [(t, "same") for t in SAME] + [(t, "merged") for t in MERGED] + [(t, "refused") for t in REFUSED],
)
def test_every_kind(text: str | None, way: str) -> None:
    assert holds(text) == way


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        ((), ALL),
        (("live-restore", "containerd"), Wanted(True, None, True)),
        (("feature",), Wanted(True, True, None)),
        (("cdi-spec-dir",), Wanted(True, True, None)),
    ],
)
def test_what_stands_in_the_command_line_of_dockerd_is_left_out(flags: tuple[str, ...], left: Wanted) -> None:
    assert in_file(Docker(flags=flags), ALL) == left


def any_value(dice: random.Random, depth: int) -> Any:
    kind = dice.randrange(9 if depth else 6)
    if kind == 6:
        return [any_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    if kind >= 7:
        return {any_key(dice): any_value(dice, depth - 1) for _ in range(dice.randrange(4))}
    return dice.choice(
        [None, True, False, dice.randrange(-5, 10**dice.randrange(1, 30)), dice.random() * 10.0 ** dice.randrange(-20, 20), "/etc/cdi", "", 'ü\n\\"', "nvidia-container-runtime"]
    )  # fmt: skip


def any_key(dice: random.Random) -> str:
    return dice.choice(["runtimes", "features", "live-restore", FOLDERS_KEY, RUNTIME, "cdi", "path", "args", "runtimeType", "debug", "hosts", "é", ""])  # fmt: skip


def any_file(dice: random.Random) -> str:
    """A document of the keys that matter, mostly whole, sometimes cut or with a byte changed."""
    document = {any_key(dice): any_value(dice, 3) for _ in range(dice.randrange(6))}
    if dice.random() < 0.5:
        document |= {
            key: {any_key(dice): any_value(dice, 2) for _ in range(dice.randrange(4))}
            for key in ("runtimes", "features")
        }
        document[FOLDERS_KEY] = [any_value(dice, 1) for _ in range(dice.randrange(3))]
    text = json.dumps(document, indent=dice.choice([None, 1, 4, "\t"]), ensure_ascii=dice.random() < 0.5)
    if dice.random() < 0.1:
        place = dice.randrange(len(text))
        text = dice.choice([text[:place], text[:place] + dice.choice('{}[]",:0x') + text[place + 1 :]])
    return text


def test_ten_thousand_made_by_chance() -> None:
    dice = random.Random(29)
    ways = [holds(any_file(dice)) for _ in range(10_000)]
    counts = {way: ways.count(way) for way in ("merged", "refused", "same")}
    assert counts["merged"] > 4000
    assert counts["refused"] > 1000
