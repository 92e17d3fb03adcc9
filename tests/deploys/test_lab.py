"""The entries as people run them, by pyinfra's own command, on the recorded hosts of inventories/lab.py."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploys.plan.result import SCHEMA
from deploys.plan.schema import problems
from inventories.releases import RELEASES

ROOT = Path(__file__).resolve().parents[2]
PYINFRA = Path(sys.executable).parent / "pyinfra"
GOOD = {
    "@fake/bare-t4": 1,
    "@fake/bare-two-a100": 2,
    "@fake/bare-gtx1080-containers": 1,
    "@fake/bare-l4-raw-no-reboot": 1,
    "@fake/converged-a100": 1,
}
# Host -> the one check that refuses it, or the settings that do.
REFUSED = {
    "@fake/no-gpu": "nvidia_gpu_present",
    "@fake/one-of-two-gpus": "gpu_count_as_expected",
    "@fake/vfio": "gpu_not_bound_to_vfio",
    "@fake/rtx5090-too-new": "driver_fits_gpus",
    "@fake/hgx-h100": "fabric_manager_available",
    "@fake/k80-too-old": "driver_fits_gpus",
    "@fake/open-modules-of-debian-12": "driver_fits_gpus",
    "@fake/arm-server": "linux_x86_64",
    "@fake/container": "not_a_container",
    "@fake/bad-settings": "settings: gpu_driver_branch, gpu_cuda, gpu_profil",
}
# Releases whose CUDA repository is signed with a key that nobody here could check.
_KEYLESS = ("fedora-43",)
GOOD |= {f"@fake/{release.name}": 1 for release in RELEASES if release.name not in _KEYLESS}
REFUSED |= {f"@fake/{name}": "repository_keys_known" for name in _KEYLESS}
HOSTS = {*GOOD, *REFUSED}

pytestmark = pytest.mark.skipif(not PYINFRA.is_file(), reason="no pyinfra beside this Python")


@dataclass(frozen=True)
class Run:
    """What one run printed, and the report that it left."""

    code: int
    out: str
    err: str
    report: dict[str, Any]

    def row(self, host: str) -> str:
        """The row of a host in the table at the end."""
        rows = re.findall(rf"^{re.escape(host)} .*$", self.err.rpartition("\nhost ")[2], flags=re.MULTILINE)
        assert len(rows) == 1, self.err[-3000:]
        return str(rows[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Runs a deploy on the lab; the same run is made once."""

    runs: dict[tuple[str, ...], Run] = {}

    def start(deploy: str, *options: str, cwd: Path = ROOT) -> Run:
        key = (deploy, *options, str(cwd))
        if key not in runs:
            runs[key] = _start(deploy, options, cwd, tmp_path_factory.mktemp("reports"))
        return runs[key]

    return start


def _start(deploy: str, options: tuple[str, ...], cwd: Path, reports: Path) -> Run:
    """One run with standard input closed; from elsewhere with absolute paths."""
    inventory, entry = (str(Path(name) if cwd == ROOT else ROOT / name) for name in ("inventories/lab.py", deploy))
    command = [str(PYINFRA), inventory, entry, *options, "--data", f"gpu_report_dir={reports}"]
    closed = ["sh", "-c", 'exec "$@" <&-', "sh"]
    done = subprocess.run([*closed, *command], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    written = [p for p in reports.glob("*.json") if not p.is_symlink()]
    assert len(written) == 1, f"recordings are no fleet: {done.stderr[-3000:]}"
    assert written[0].with_suffix(".html").is_file()
    return Run(done.returncode, done.stdout, done.stderr, json.loads(written[0].read_text(encoding="utf-8")))


RUNS = [
    ("deploys/gpu_host.py", ("--dry", "-y"), ROOT, "planned"),
    ("deploys/gpu_host.py", ("--dry",), ROOT, "planned"),
    ("deploys/gpu_host.py", ("--dry", "--json"), Path("/"), "planned"),
    ("deploys/preflight.py", ("-y",), ROOT, "passed"),
]


@pytest.mark.parametrize(
    ("deploy", "options", "cwd", "state"), RUNS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else str(v)
)
def test_every_host_is_told_apart(
    run: Callable[..., Run], deploy: str, options: tuple[str, ...], cwd: Path, state: str
) -> None:
    done = run(deploy, *options, cwd=cwd)
    assert done.code == 1
    assert "Traceback" not in done.err + done.out
    for host, count in GOOD.items():
        assert re.match(rf"{re.escape(host)} +{state} +\S.* {count}(?:\s|$)", done.row(host))
    for host, reason in REFUSED.items():
        assert re.match(rf"{host} +refused .*  {re.escape(reason)}$", done.row(host))
    assert f"{len(GOOD)} {state}, {len(REFUSED)} refused" in done.err


@pytest.mark.parametrize(
    ("deploy", "options", "cwd", "state"), RUNS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else str(v)
)
def test_the_report_holds_every_host(
    run: Callable[..., Run], deploy: str, options: tuple[str, ...], cwd: Path, state: str
) -> None:
    report = run(deploy, *options, cwd=cwd).report
    hosts = {host["host"]: host for host in report["hosts"]}
    assert report["schema"] == SCHEMA
    assert list(problems(report, json.loads((ROOT / "docs/result-schema.json").read_text()))) == []
    assert report["exit_code"] == 3
    assert report["summary"]["states"] == {state: len(GOOD), "refused": len(REFUSED)}
    assert set(hosts) == HOSTS
    assert {name for name, host in hosts.items() if host["state"] == state} == set(GOOD)
    assert all(hosts[name]["plan"].startswith(f"{name}: ") for name in GOOD)
    assert all(host["changed"] == [] for host in hosts.values())
    for name in set(REFUSED) - {"@fake/bad-settings"}:
        stops = [f for f in hosts[name]["findings"] if f["level"] == "stop"]
        assert [f["check"] for f in stops] == [REFUSED[name]]
        assert all(f["found"] and f["needed"] and f["fix"] for f in stops)


def test_json_on_standard_output_is_nothing_but_json(run: Callable[..., Run]) -> None:
    document = json.loads(run("deploys/gpu_host.py", "--dry", "--json", cwd=Path("/")).out)
    changing = {host for step in document["plan"] for host in step["hosts_with_change"]}
    assert changing == set(GOOD) - {"@fake/converged-a100"}


def test_a_converged_host_has_no_change_and_a_refused_one_no_operation(run: Callable[..., Run]) -> None:
    done = run("deploys/gpu_host.py", "--dry")
    summary = (done.out + done.err).partition("Detected changes:")[2].partition("\nhost ")[0]
    assert "bare-t4" in summary or "bare-gtx1080" in summary
    assert "converged-a100" not in summary
    assert not [host for host in REFUSED if host in summary]


def test_the_plan_and_the_refusals_are_shown(run: Callable[..., Run]) -> None:
    shown = run("deploys/gpu_host.py", "--dry", "-y").err
    assert "@fake/bare-t4: Debian 12 (bookworm), kernel 6.1.0-50-amd64" in shown
    assert "STOP  gpu_not_bound_to_vfio" in shown
    assert 'gpu_accept = ["gpu_not_bound_to_vfio"] in this host\'s data' in shown
    assert 'gpu_accept = ["not_a_container"]' not in shown
    assert "settings: 3 cannot be used; nothing was touched" in shown
    assert all(key in shown for key in ("gpu_driver_branch", "gpu_cuda", "write gpu_profile"))


def test_the_columns_of_the_table_stand_under_their_heads(run: Callable[..., Run]) -> None:
    done = run("deploys/gpu_host.py", "--dry", "-y")
    table = ("host " + done.err.rpartition("\nhost ")[2]).splitlines()
    at = table[0].index("gpus")
    assert all(row[at].isdigit() for row in table[1:] if row.startswith("@fake/"))


def test_recorded_host_is_told_that_it_can_only_be_judged(run: Callable[..., Run]) -> None:
    """Not one unexplained failure per host, as of a broken fleet."""
    done = run("deploys/doctor.py", "-y")
    assert "a recorded host can be judged and planned for, and nothing else" in done.row("@fake/bare-t4")
    assert "step failed" not in done.err
