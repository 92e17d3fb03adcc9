"""The judgement inside the apt scripts, on recorded simulations; the scripts as a whole run on booted hosts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploys.operations.packages import MAY_REMOVE, MUST_STAY, SCRIPTS

GOOD = """\
Inst libcuda1 (535.309.01-0+deb12u1 Debian-Security:12/oldstable-security [amd64])
Inst nvidia-smi [535.261.03-1] (535.309.01-0+deb12u1 Debian-Security:12/oldstable-security [amd64])
Inst nvidia-kernel-dkms (535.309.01-0+deb12u1 Debian-Security:12/oldstable-security [amd64])
Conf libcuda1 (535.309.01-0+deb12u1 Debian-Security:12/oldstable-security [amd64])
"""


def judge(tmp_path: Path, simulation: str, code: int = 0) -> tuple[int, str]:
    """Exit status and output of `simulate` and `same_version` when apt prints this."""
    (tmp_path / "said").write_text(simulation)
    query = tmp_path / "dpkg-query"
    query.write_text("#!/bin/sh\nexit 1\n")
    query.chmod(0o755)
    script = "\n".join(
        [
            f"PATH={tmp_path}:$PATH LOCK_WAIT=1 SCRATCH={tmp_path} MAY_REMOVE='{MAY_REMOVE}' MUST_STAY='{MUST_STAY}'",
            "MODULES=nvidia-kernel-dkms LIBRARIES='libcuda1 nvidia-smi'",
            (SCRIPTS / "apt_common.sh").read_text(),
            f"apt() {{ cat {tmp_path}/said; return {code}; }}",
            "simulate x && same_version && echo allowed",
        ]
    )
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_good_simulation_is_allowed(tmp_path: Path) -> None:
    assert judge(tmp_path, GOOD) == (0, "allowed\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Remv openssh-server [1:9.2p1-2]", "would remove: openssh-server"),
        ("Remv linux-image-6.1.0-50-amd64 [6.1.1]", "would remove: linux-image-6.1.0-50-amd64"),
        ("Inst openssh-server [1:9.2p1-1] (1:9.2p1-2 Debian:12 [amd64])", "reachable: openssh-server"),
        ("Inst linux-image-6.1.0-99-amd64 (6.1.2 Debian:12 [amd64])", "linux-image-6.1.0-99-amd64"),
    ],
)
def test_dangerous_simulation_is_refused_by_name(tmp_path: Path, line: str, words: str) -> None:
    code, text = judge(tmp_path, f"{GOOD}{line}\n")
    assert code == 1
    assert words in text


def test_older_driver_may_be_replaced(tmp_path: Path) -> None:
    assert judge(tmp_path, f"{GOOD}Remv nvidia-legacy-390xx-driver [390.157-1]\n")[0] == 0


def test_modules_and_libraries_of_two_versions_are_refused(tmp_path: Path) -> None:
    mixed = GOOD.replace("nvidia-kernel-dkms (535.309.01-0+deb12u1", "nvidia-kernel-dkms (535.261.03-1")
    code, text = judge(tmp_path, mixed)
    assert code == 1
    assert "nvidia-kernel-dkms=535.261.03 libcuda1=535.309.01" in text


def test_packages_that_cannot_be_installed_together_show_what_apt_says(tmp_path: Path) -> None:
    code, text = judge(tmp_path, "E: Unable to correct problems, you have held broken packages.\n", 100)
    assert code == 1
    assert "held broken packages" in text
    assert "cannot be installed together" in text
