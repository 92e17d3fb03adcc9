"""What a person types after ./provision, and what pyinfra gets of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCAL, DEPLOY = "inventories/local.py", "deploys/gpu_host.py"
DATA = ["--group-data", "inventories/group_data"]

# Arguments after ./provision in the checkout, on a terminal -> pyinfra's arguments.
ARGUMENTS: list[tuple[str, list[str]]] = [
    ("", [LOCAL, DEPLOY]),
    ("-y", [LOCAL, DEPLOY, "-y"]),
    ("--dry", ["-y", LOCAL, DEPLOY, "--dry"]),
    ("--dry --json", [LOCAL, DEPLOY, "--dry", "--json"]),
    ("--dry --diff", [LOCAL, DEPLOY, "--dry", "--diff"]),
    ("-vy", [LOCAL, DEPLOY, "-vy"]),
    ("inventories/example.py --dry", ["-y", "inventories/example.py", DEPLOY, "--dry"]),
    ("-y inventories/example.py", ["-y", "inventories/example.py", DEPLOY]),
    ("--limit web inventories/example.py", ["--limit", "web", "inventories/example.py", DEPLOY]),
    ("--limit=web -y", [LOCAL, DEPLOY, "--limit=web", "-y"]),
    ("inventories/example.py deploys/preflight.py", ["-y", "inventories/example.py", "deploys/preflight.py"]),
    ("deploys/verify.py", ["-y", LOCAL, "deploys/verify.py"]),
    ("@local deploys/verify.py deploys/gpu_host.py", [*DATA, "@local", "deploys/verify.py", DEPLOY]),
    ("@local nowhere/verify.py", [*DATA, "@local", "nowhere/verify.py"]),
    ("gpu-01.example -y", [*DATA, "gpu-01.example", DEPLOY, "-y"]),
    ("gpu-01,gpu-02 --group-data mine", ["gpu-01,gpu-02", DEPLOY, "--group-data", "mine"]),
    ("@local debug-inventory", [*DATA, "@local", "debug-inventory"]),
    ("@local exec -- ls -y a/b.py", [*DATA, "@local", "exec", "--", "ls", "-y", "a/b.py"]),
    ("fact facts.gpu.NvidiaDevices", [LOCAL, "fact", "facts.gpu.NvidiaDevices"]),
    ("--version", ["--version"]),
    (
        "--chdir deploys ../inventories/example.py",
        ["--chdir", "deploys", "../inventories/example.py", f"{ROOT}/{DEPLOY}"],
    ),
]

# The same without a terminal; text where it is refused.
WITHOUT_TERMINAL: list[tuple[str, list[str] | str]] = [
    ("", "add -y to install, or --dry"),
    ("inventories/example.py", "add -y to install, or --dry"),
    ("--yes", [LOCAL, DEPLOY, "--yes"]),
    ("--dry", ["-y", LOCAL, DEPLOY, "--dry"]),
    ("--json", [LOCAL, DEPLOY, "--json"]),
    ("fact facts.gpu.NvidiaDevices", ["-y", LOCAL, "fact", "facts.gpu.NvidiaDevices"]),
    ("@local deploys/preflight.py", ["-y", *DATA, "@local", "deploys/preflight.py"]),
    ("@local deploys/preflight.py deploys/gpu_host.py", "add -y to install, or --dry"),
    ("inventories/exmaple.py -y", "no inventory file inventories/exmaple.py in"),
    ("example.py -y", "did you mean inventories/example.py?"),
    ("nowhere/inventory -y", "HOST,HOST or @local"),
]

# Importing pyinfra's command line patches the standard library for gevent, so it happens in a process of its own.
ASK = """
import json, sys
from pathlib import Path
from deploys.support import front
def arguments(words, terminal):
    try:
        return front.pyinfra_arguments(words, cwd=front.ROOT, terminal=terminal)
    except front.UsageError as error:
        return str(error)
asked = json.load(sys.stdin)
json.dump({
    "arguments": [arguments(words, terminal) for words, terminal in asked["arguments"]],
}, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    asked = {
        "arguments": [(words.split(), True) for words, _ in ARGUMENTS]
        + [(words.split(), False) for words, _ in WITHOUT_TERMINAL],
    }
    run = subprocess.run(
        [sys.executable, "-c", ASK], input=json.dumps(asked), text=True, cwd=ROOT, capture_output=True, check=True
    )
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


@pytest.mark.parametrize("row", range(len(ARGUMENTS)), ids=[words for words, _ in ARGUMENTS])
def test_arguments_on_a_terminal(answers: dict[str, Any], row: int) -> None:
    assert answers["arguments"][row] == ARGUMENTS[row][1]


@pytest.mark.parametrize("row", range(len(WITHOUT_TERMINAL)), ids=[words for words, _ in WITHOUT_TERMINAL])
def test_arguments_without_a_terminal(answers: dict[str, Any], row: int) -> None:
    answer, wanted = answers["arguments"][len(ARGUMENTS) + row], WITHOUT_TERMINAL[row][1]
    if isinstance(wanted, str):
        assert wanted in answer
    else:
        assert answer == wanted
