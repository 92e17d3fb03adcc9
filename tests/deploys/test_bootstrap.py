"""The scripts before Python: an environment that is made once, for whichever command comes first, and what each command starts."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "dirname", "readlink", "id", "cat", "head", "grep", "cksum", "rm", "env", "mktemp")


class Checkout:
    """A copy of the scripts with a PATH that holds only what the test puts there."""

    def __init__(self, path: Path) -> None:
        self.root, self.bin = path / "a checkout", path / "bin"
        self.bin.mkdir(parents=True)
        for name in ("provision", "run-tests", ".ci/bootstrap.sh"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        for name in ("requirements.lock", "requirements-test.lock"):
            (self.root / name).write_text(f"# {name}\n")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def program(self, name: str, script: str, folder: Path | None = None) -> None:
        target = (folder or self.bin) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"#!/bin/sh\n{script}\n")
        target.chmod(0o755)

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": str(self.bin)}
        program = [str(self.root / command[0]), *command[1:]]
        return subprocess.run(
            program, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def pretend_installed(self) -> None:
        """A .venv whose programs write down how they were called, and fail when a file `fail-NAME` exists."""
        log = f'printf "%s\\n" "${{0##*/}} $*" >>"{self.root}/calls"; [ ! -e "{self.root}/fail-${{0##*/}}" ]'
        folder = self.root / ".venv/bin"
        self.program("python", f'case "$*" in *version_info*) echo "3 11 $4"; exit;; esac\n{log}', folder)
        for name in ("ruff", "mypy"):
            self.program(name, log, folder)
        sums = [
            subprocess.check_output(["cksum"], input=(self.root / f).read_bytes(), text=False).decode() for f in LOCKS
        ]
        (self.root / ".venv/.installed").write_text(f"3 11 {self.root}\n" + "".join(sums))

    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()


LOCKS = ("requirements.lock", "requirements-test.lock")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize(
    ("manager", "advice"),
    [
        ("apt-get", "apt-get install -y python3-venv"),
        ("dnf", "dnf install -y python3-pip"),
        ("zypper", "zypper install -y python311 python311-pip"),
        ("pacman", "pacman -S --needed python"),
        ("apk", "apk add python3 py3-pip"),
        ("none", "install Python 3.10 or newer with venv and pip"),
    ],
)
@pytest.mark.parametrize("script", ["provision", "run-tests"])
def test_a_python_without_venv_is_told_the_package(checkout: Checkout, script: str, manager: str, advice: str) -> None:
    checkout.program("python3", 'case "$*" in *ensurepip*) exit 1;; esac')
    checkout.program(manager, "")
    run = checkout.run(script)
    assert run.returncode == 2
    assert f"{script}: python3 cannot make virtual environments" in run.stderr
    assert advice in run.stderr
    assert not (checkout.root / ".venv").exists()


def test_a_newer_python_beside_an_old_one_is_used(checkout: Checkout) -> None:
    checkout.program("python3", "exit 1")
    checkout.program("python3.12", 'case "$*" in *ensurepip*) exit 1;; esac')
    checkout.program("apt-get", "")
    assert "apt-get install -y python3.12-venv" in checkout.run("provision").stderr


@pytest.mark.parametrize(
    ("python3", "found"),
    [("case $* in *platform*) echo Python 3.6.8;; *) exit 1;; esac", "Python 3.6.8"), ("", "no Python 3")],
)
def test_an_old_or_missing_python_is_named(checkout: Checkout, python3: str, found: str) -> None:
    if python3:
        checkout.program("python3", python3)
    checkout.program("dnf", "")
    run = checkout.run("provision", "--dry")
    assert run.returncode == 2
    assert f"found {found}, needed Python 3.10 or newer" in run.stderr
    assert "dnf install -y python3.12" in run.stderr
    assert "from a newer machine over SSH" in run.stderr


def test_first_runs_of_both_commands_wait_for_each_other(checkout: Checkout) -> None:
    """Each would take the other's half-made environment away."""
    for tool in ("flock", "sleep", "mkdir", "cp"):
        (checkout.bin / tool).symlink_to(shutil.which(tool) or tool)
    log = checkout.root / "log"
    checkout.program(
        "python3",
        f"""case "$*" in
*'-m venv'*) echo begin >>"{log}"; sleep 1; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; cp "$0" "$4/bin/ruff"; cp "$0" "$4/bin/mypy"; echo end >>"{log}" ;;
*version_info\\[:2\\]*) echo "3 11 $4" ;;
*purelib*) echo "{checkout.root}" ;;
esac""",
    )
    with ThreadPoolExecutor() as both:
        runs = list(both.map(checkout.run, ("provision", "run-tests")))
    assert [run.returncode for run in runs] == [0, 0], [run.stderr for run in runs]
    assert log.read_text().split() in (["begin", "end"], ["begin", "end"] * 2)


def test_help_needs_nothing(checkout: Checkout) -> None:
    run = checkout.run("provision", "--help")
    assert run.returncode == 0
    assert "./provision inventories/lab.py --dry" in run.stdout
    assert "Exit code: 0 every host is ready" in run.stdout
    assert all(f" {code} " in run.stdout.partition("Exit code:")[2] for code in (0, 1, 2, 3, 130))


def test_provision_passes_arguments_on_from_anywhere(checkout: Checkout, tmp_path: Path) -> None:
    checkout.pretend_installed()
    (tmp_path / "link").symlink_to(checkout.root / "provision")
    run = checkout.run(str(tmp_path / "link"), "my inventory.py", "--data", "a=$(b) c", cwd=Path("/"))
    assert run.returncode == 0, run.stderr
    assert checkout.calls() == ["python -I -m deploys.support.front my inventory.py --data a=$(b) c"]


@pytest.mark.parametrize("command", ["explain", "access", "report"])
def test_commands_without_a_host_need_no_pyinfra(checkout: Checkout, command: str) -> None:
    checkout.pretend_installed()
    assert checkout.run("provision", command, "-h", "a b").returncode == 0
    assert checkout.calls() == [f"python -I -m deploys.{command} -h a b"]


def test_run_tests_runs_every_tool_and_names_what_failed(checkout: Checkout) -> None:
    checkout.pretend_installed()
    assert checkout.run("run-tests", "-k", "settings").returncode == 0
    fast = ["ruff check", "ruff format --check", "mypy ", "python -m pytest -m not hosts and not vm -k settings"]
    # The types are checked beside the tests.
    assert sorted(checkout.calls()) == sorted(fast)
    (checkout.root / "fail-mypy").touch()
    run = checkout.run("run-tests", "all")
    assert run.returncode == 1
    assert "FAILED: fast: mypy" in run.stderr
    assert checkout.calls()[-2:] == ["python -m pytest -m hosts", "python -m pytest -m vm"]


@pytest.mark.parametrize("tier", ["hosts", "vm"])
def test_run_tests_runs_one_tier(checkout: Checkout, tier: str) -> None:
    checkout.pretend_installed()
    run = checkout.run("run-tests", tier, "-x")
    assert (run.returncode, checkout.calls()) == (0, [f"python -m pytest -m {tier} -x"])
    (checkout.root / "fail-python").touch()
    assert f"FAILED: {tier}" in checkout.run("run-tests", tier).stderr


def make_wheel(folder: Path) -> Path:
    info = "probe-1.0.dist-info"
    wheel = folder / "probe-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("probe.py", "WORD = 'installed'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def test_first_run_installs_and_a_broken_environment_is_made_anew(checkout: Checkout, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    lock = checkout.root / "requirements.lock"
    lock.write_text(f"probe @ {wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    (checkout.root / "deploys/support").mkdir(parents=True)
    (checkout.root / "deploys/support/front.py").write_text("import probe, sys\nprint(probe.WORD, *sys.argv[1:])\n")
    (checkout.bin / "python3").symlink_to(sys.executable)
    (checkout.root / ".venv/bin").mkdir(parents=True)  # what an interrupted run leaves

    first = checkout.run("provision", "--dry", cwd=tmp_path)
    assert (first.returncode, first.stdout) == (0, "installed --dry\n"), first.stderr
    second = checkout.run("provision", cwd=tmp_path)
    assert (second.stdout, second.stderr) == ("installed\n", "")

    python = checkout.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert checkout.run("provision", cwd=tmp_path).stdout == "installed\n"

    lock.write_text(lock.read_text().replace("sha256:", "sha256:0"))
    refused = checkout.run("provision", cwd=tmp_path)
    assert refused.returncode == 2
    assert "installing requirements.lock failed" in refused.stderr
    assert not (checkout.root / ".venv").exists()
