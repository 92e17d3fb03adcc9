"""`./provision --rolling`: what it refuses, and that all hosts are judged before the first one has its turn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("inventories/example.py --rolling", "asks nothing between its waves: add -y"),
        ("inventories/example.py --rolling -y --dry", "exclude each other"),
        ("inventories/example.py fact facts.gpu.NvidiaDevices --rolling -y", "is for deploys"),
        ("inventories/exmaple.py --rolling -y", "no inventory file inventories/exmaple.py"),
    ],
)
def test_rolling_run_that_means_nothing_is_refused(arguments: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploys.support.front", *arguments.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr


def test_limits_of_the_user_are_not_those_of_a_wave() -> None:
    """pyinfra adds them up, and the first host would not go alone."""
    code = "import sys; from deploys.support.rolling import without_limits; print(*without_limits(sys.argv[1:]))"
    words = ["--data", "a=b", "--limit", "web", "-v", "--limit=db", "--sudo"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--data", "a=b", "-v", "--sudo"]


def test_rolling_run_judges_the_whole_fleet_before_the_first_host(tmp_path: Path) -> None:
    """On recorded hosts: those that are refused have no turn, and the canary, which a recording cannot be proven on, ends it."""
    arguments = [
        f"{ROOT}/inventories/lab.py",
        "--rolling",
        "-y",
        "--limit",
        "@fake/bare-t4",
        "--limit",
        "@fake/debian-13",
        "--limit",
        "@fake/no-gpu",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "deploys.support.front", *arguments, "--data", f"gpu_report_dir={tmp_path}"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "@fake/no-gpu refused" in done.stderr
    assert "rolling: wave 1: @fake/bare-t4\n" in done.stderr
    assert "@fake/debian-13 not begun" in done.stderr
    assert "rolling ended: 1 host (@fake/bare-t4) failed, 0 may (gpu_max_failed); 1 hosts were not begun" in done.stderr
    assert done.stderr.count("[@fake/debian-13]") == done.stderr.partition("rolling: wave 1")[0].count(
        "[@fake/debian-13]"
    ), "untouched"
    whole = json.loads((tmp_path / "latest.json").read_text())
    assert {h["host"]: h["state"] for h in whole["hosts"]} == {
        "@fake/bare-t4": "failed",
        "@fake/debian-13": "passed",
        "@fake/no-gpu": "refused",
    }
    assert [h["detail"] for h in whole["hosts"] if h["state"] == "passed"] == [
        "not begun: the rolling run ended before"
    ]
    assert (whole["run"]["runs"], whole["exit_code"]) == (2, 1)
