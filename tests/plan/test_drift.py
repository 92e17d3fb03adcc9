"""What has drifted since the last proof: a row per thing that can, by name, with what was found and what is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploys.knowledge.paths import DOCKER_PROXY_VALUES, NOUVEAU_BLOCK
from deploys.plan.describe import describe_drift
from deploys.plan.drift import drifted
from deploys.plan.machine import FileState, Hold, Machine
from deploys.plan.plan import make_plan
from deploys.plan.remember import proven_now
from deploys.plan.settings import Settings
from tests.plan.hosts import A100, changed, daemon_json, debian_12_bare, debian_13_converged, distro_of, gpus, unit

SECRET = FileState(DOCKER_PROXY_VALUES, "a" * 64, "600", "root:root")


def proven() -> Machine:
    """A host that was just proven, and remembers it. It holds a package, and has a file for root only."""
    done = debian_13_converged()
    done = changed(
        done,
        packages__holds=(Hold("nvidia-kernel-dkms", True, "550.163.01-2", "2026-11-01"),),
        files={**done.files, SECRET.path: SECRET},
    )
    settings = Settings(docker_live_restore=True)
    done = changed(
        done,
        **daemon_json(
            '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}, "live-restore": true, "debug": true}'
        ),
    )
    return replace(done, proven=proven_now(make_plan(done, settings, distro_of(done)), done))


DONE = proven()
BLOCK = DONE.files[NOUVEAU_BLOCK]
SERVICES = DONE.proven.services if DONE.proven else ()


def files(*states: FileState, without: str = "") -> dict[str, Any]:
    kept = {p: s for p, s in DONE.files.items() if p != without}
    return {"files": {**kept, **{s.path: s for s in states}}}


def without(name: str) -> dict[str, Any]:
    return {"packages__installed": {n: p for n, p in DONE.packages.installed.items() if n != name}}


def test_host_as_it_was_proven_has_not_drifted() -> None:
    assert drifted(DONE) == ()
    assert drifted(replace(DONE, boot=replace(DONE.boot, boot_id="another", uptime=1.0))) == ()


def test_host_that_was_never_proven_has_nothing_to_drift_from() -> None:
    assert drifted(debian_12_bare()) == drifted(Machine()) == ()


def test_record_that_cannot_be_read_is_said() -> None:
    (drift,) = drifted(debian_13_converged(unknown={"record": "/x is no record of a proof: no JSON object"}))
    assert str(drift).startswith(
        "record: found /x is no record of a proof: no JSON object; needed /var/lib/gpu-host/proven.json"
    )


# fmt: off
ROWS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("a GPU is gone", {"pci": ()}, [("gpu 0000:07:00.0", "found none; needed 10de:20b2"), ("gpu count", "found 0; needed 1")]),
    (
        "another GPU in another slot",
        {"pci": gpus(A100, A100, driver="nvidia")},
        [("gpu 0000:01:00.0", "found 10de:20b2; needed none"), ("gpu 0000:02:00.0", "found"), ("gpu 0000:07:00.0", "found none"), ("gpu count", "found 2; needed 1")],
    ),
    ("the bus is unread", {"pci": None, "unknown": {"pci": "no answer within its time limit"}}, [("gpu", "could not be read: no answer within")]),
    ("nouveau is back", {"nouveau__loaded": True}, [("nouveau", "found loaded; needed not loaded")]),
    ("another kernel", {"kernels__running": "6.12.200+deb13-amd64"}, [("kernel", "found 6.12.200+deb13-amd64; needed 6.12.107+deb13-amd64"), ("module on disk", "found unknown")]),
    ("another module is loaded", {"driver__loaded": "550.90.07"}, [("loaded module", "found 550.90.07; needed 550.163.01")]),
    ("no module is loaded", {"driver__loaded": ""}, [("loaded module", "found none; needed 550.163.01")]),
    ("open modules", {"driver__loaded_flavour": "open"}, [("kind of modules", "found open; needed proprietary")]),
    ("newer libraries", {"driver__user_space": "550.200.01"}, [("libraries", "found 550.200.01; needed 550.163.01")]),
    ("a package is gone", without("nvidia-smi"), [("package nvidia-smi", "found not installed; needed 550.163.01-2")]),
    ("a hold is gone", {"packages__holds": ()}, [("hold nvidia-kernel-dkms", "found not held by gpu-host; needed held; fix: deploys/gpu_host.py holds it anew")]),
    ("holds are unread", {"packages__holds": (), "unknown": {"holds": "cut off"}}, [("holds", "could not be read: cut off")]),
    ("a hold of others only", {"packages__holds": (Hold("nvidia-kernel-dkms"),)}, [("hold nvidia-kernel-dkms", "not held by gpu-host")]),
    ("more holds", {"packages__holds": (*DONE.packages.holds, Hold("vim"))}, []),
    ("a file was edited", files(replace(BLOCK, sha256="b" * 64)), [(f"file {NOUVEAU_BLOCK}", "found it was edited")]),
    ("a file is gone", files(replace(BLOCK, sha256="")), [(f"file {NOUVEAU_BLOCK}", "found it is gone")]),
    ("a file is unread", files(without=NOUVEAU_BLOCK), [(f"file {NOUVEAU_BLOCK}", "found it could not be read")]),
    ("a secret file was edited", files(replace(SECRET, sha256="c" * 64)), []),
    ("a secret file is gone", files(replace(SECRET, sha256="")), [(f"file {SECRET.path}", "found it is gone")]),
    ("a foreign key of daemon.json", daemon_json('{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}, "live-restore": true}'), []),
    ("our key is gone", daemon_json('{"live-restore": true}'), [("daemon.json runtimes.nvidia", "found no such key")]),
    ("our key has another value", daemon_json('{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}, "live-restore": false}'), [("daemon.json live-restore", "found false; needed true")]),
    ("daemon.json is damaged", daemon_json("{"), [("daemon.json", "found not valid JSON")]),
    ("a service is off", {"units": unit(DONE, "docker.service", "inactive").units}, [("service docker", "found inactive; needed active")]),
    ("services are unread", {"units": {}}, [(f"service {u.removesuffix('.service')}", "found unknown") for u in SERVICES]),
    ("another engine runs", {"docker__engine": "27.0"}, [("docker engine", "found 27.0; needed 26.1.5+dfsg1")]),
    ("the engine is down", {"docker__engine": ""}, []),
    ("another toolkit", {"toolkit__version": "1.9"}, [("container toolkit", "found 1.9; needed 1.20.0")]),
]
# fmt: on


@pytest.mark.parametrize(("change", "expected"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_drift(change: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = drifted(changed(DONE, **change))
    assert [d.name for d in found] == [name for name, _ in expected]
    for drift, (_, words) in zip(found, expected, strict=True):
        assert words in str(drift)
        assert all((drift.found, drift.needed, drift.fix))
    assert len(describe_drift(found).splitlines()) == len(found), "a line per thing"


def test_moved_packages_are_named_with_both_versions() -> None:
    packages = dict(DONE.packages.installed)
    packages["docker.io"] = replace(packages["docker.io"], version="27.0-1")
    packages["libcuda1"] = replace(packages["libcuda1"], version="550.200.01-1", status="iU ")
    found = drifted(changed(DONE, packages__installed=packages))
    assert [str(d).split("; fix")[0] for d in found] == [
        "package docker.io: found 27.0-1; needed 26.1.5+dfsg1-9+deb13u1",
        "package libcuda1: found not installed; needed 550.163.01-2",
    ]
    found = drifted(changed(DONE, packages__installed={}, unknown={"packages": "the answer was cut off"}))
    assert [d.name for d in found] == ["packages"]
