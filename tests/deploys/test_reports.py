"""The folder of results: whole files, links to the newest, the fleet over many runs, and the command that makes one page of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploys.plan.result import Document
from deploys.plan.states import ORDER
from deploys.support import reports
from tests.plan.fleet import STARTED, fleet

ROOT = Path(__file__).resolve().parents[2]


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_run_leaves_its_files_and_links_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "new/reports"
    path = reports.write(folder, fleet(len(ORDER)))
    names = {p.name for p in folder.iterdir()}
    assert names == {
        path.name,
        path.with_suffix(".html").name,
        "latest.json",
        "latest.html",
        "fleet.json",
        "gpu_host.prom",
        ".lock",
    }
    assert (folder / "latest.json").resolve() == path
    assert (folder / "latest.html").resolve() == path.with_suffix(".html")
    assert all((folder / name).stat().st_mode & 0o777 == 0o644 for name in names - {".lock"})
    assert reports.read(path)["summary"]["hosts"] == len(ORDER)
    assert 'gpu_host_state{host="gpu-01",state="ready"}' in (folder / "gpu_host.prom").read_text()


def test_fleet_keeps_hosts_that_a_later_run_leaves_out(tmp_path: Path) -> None:
    reports.write(tmp_path, fleet(len(ORDER)))
    reports.write(tmp_path, fleet(1, states=("not-ready",), started=STARTED + 9999))
    hosts = {h["host"]: h["state"] for h in load(tmp_path / "fleet.json")["hosts"]}
    assert (len(hosts), hosts["gpu-01"]) == (len(ORDER), "not-ready")
    assert load(tmp_path / "latest.json")["summary"]["hosts"] == 1
    assert 'gpu_host_state{host="gpu-01",state="not-ready"} 1' in (tmp_path / "gpu_host.prom").read_text()


def test_last_proof_of_an_earlier_run_is_told(tmp_path: Path) -> None:
    reports.write(tmp_path, fleet(1, states=("ready",)))
    reports.write(tmp_path, fleet(1, states=("refused",), started=STARTED + 86_400))
    (host,) = load(tmp_path / "latest.json")["hosts"]
    assert (host["state"], host["last_proof"]["state"], host["last_proof"]["age_seconds"]) == (
        "refused",
        "ready",
        86_400,
    )


def test_run_that_belongs_to_no_fleet_leaves_it_alone(tmp_path: Path) -> None:
    reports.write(tmp_path, fleet(3), fleet=())
    assert not (tmp_path / "fleet.json").exists()
    assert (tmp_path / "latest.html").is_file()


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"schema": 1, "hosts": []}', '{"schema": 2, "hosts": 7}', "[" * 100_000]
)
def test_damaged_fleet_is_begun_anew(tmp_path: Path, damage: str) -> None:
    (tmp_path / "fleet.json").write_text(damage)
    reports.write(tmp_path, fleet(2))
    assert reports.read(tmp_path / "fleet.json")["summary"]["hosts"] == 2


def test_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        reports.save(tmp_path / "a.json", "new \ud800")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "old")]


def test_runs_that_end_at_once_all_count(tmp_path: Path) -> None:
    """Each a process of its own, as runs are."""
    code = (
        "import sys; from pathlib import Path; from deploys.support import reports; from tests.plan.fleet import fleet\n"
        "d = fleet(1, states=('ready',)); d['hosts'][0]['host'] = sys.argv[2]; reports.write(Path(sys.argv[1]), d)"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), f"host-{n}"], cwd=ROOT) for n in range(4)]
    assert [run.wait(60) for run in runs] == [0] * 4
    assert [h["host"] for h in load(tmp_path / "fleet.json")["hosts"]] == [f"host-{n}" for n in range(4)]
    assert (tmp_path / "latest.json").resolve().is_file()


def test_times_of_earlier_runs_are_found_and_damage_is_passed_over(tmp_path: Path) -> None:
    reports.write(tmp_path, fleet(4, states=("ready", "failed")))
    (tmp_path / "run-a.json").write_text("{")
    (tmp_path / "run-b.json").write_text('{"hosts": [{"timings": [{"step": 1}]}, 5]}')
    times = reports.step_times(tmp_path)
    assert set(times["Read the host"]) == {f"gpu-0{n}" for n in range(1, 5)}
    slow = "Sources | The transaction is rehearsed in an overlay"
    assert set(times[slow]) == {
        h["host"] for h in fleet(4, states=("ready", "failed"))["hosts"] if h["state"] == "ready"
    }
    assert reports.step_times(tmp_path / "nowhere") == {}


def report(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`./provision report`, as the command starts it; the checkout is found by its .pth there."""
    command = [sys.executable, "-m", "deploys.report", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


def put(path: Path, document: Document) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reports.to_json(document))
    return path


def test_report_makes_one_page_of_many_results(tmp_path: Path) -> None:
    put(tmp_path / "reports/run-1.json", fleet(len(ORDER)))
    (tmp_path / "reports/old.json").write_text('{"schema": 1}')
    other = put(tmp_path / "other.json", fleet(1, states=("failed",), started=STARTED + 9999))
    done = report("reports", other, "--json", "all.json", "--prometheus", "all.prom", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "old.json has schema 1, needed 2" in done.stderr
    assert done.stdout.startswith("reports/fleet.html: ")
    hosts = {h["host"]: h["state"] for h in reports.read(tmp_path / "all.json")["hosts"]}
    assert (len(hosts), hosts["gpu-01"]) == (len(ORDER), "failed")
    assert f"{len(ORDER)} GPU hosts" in (tmp_path / "reports/fleet.html").read_text()
    assert "gpu_host_state" in (tmp_path / "all.prom").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "no result in reports"),
        (("empty",), "no result in empty"),
        (("nowhere.json",), "nowhere.json"),
        (("bad.json",), "bad.json does not keep to docs/result-schema.json: tool: missing"),
        (("text.json",), "text.json is no JSON"),
        (("--what",), "unrecognized arguments"),
        (("good.json", "--html", "nowhere/x.html"), "nowhere"),
    ],
)
def test_report_of_nothing_is_an_error(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text('{"schema": 2}')
    (tmp_path / "text.json").write_text("hosts:")
    put(tmp_path / "good.json", fleet(1))
    done = report(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
