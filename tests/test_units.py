"""The units that are shipped as examples: systemd takes them, and they run what is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UNITS = ROOT / "docs" / "systemd"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """With the checkout of this test in the place of the one that the example names, and a user that every machine has."""
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/opt/gpu-host", str(ROOT)).replace("User=gpu-host", "User=root")
        (tmp_path / unit.name).write_text(text)
    names = sorted(str(p) for p in tmp_path.iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", *names], capture_output=True, text=True, timeout=60, check=False
    )
    assert [line for line in (done.stdout + done.stderr).splitlines() if "gpu-host" in line] == []
    broken = tmp_path / "gpu-host-verify.service"
    broken.write_text(broken.read_text().replace("ExecStart=/", "ExecStart=relative/"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(broken)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "gpu-host-verify" in done.stdout + done.stderr, "a unit that is wrong is told"


def test_the_unit_runs_verify_without_questions() -> None:
    (line,) = [x for x in (UNITS / "gpu-host-verify.service").read_text().splitlines() if x.startswith("ExecStart=")]
    words = line.removeprefix("ExecStart=/opt/gpu-host/").split()
    assert words[0] == "provision"
    assert words[2:] == ["deploys/verify.py", "-y"]
    assert (ROOT / "provision").is_file()
    assert (ROOT / "deploys" / "verify.py").is_file()
