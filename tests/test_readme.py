"""The README says what is so: its table, paths, states and commands are held against the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploys.knowledge.paths import LOG_DIR, OWNED_FILES
from deploys.plan.checks import CHECK_NAMES, WAIVABLE
from deploys.plan.monitoring import Monitoring
from deploys.plan.service import Health, Service
from deploys.plan.settings import parse_settings
from deploys.plan.states import (
    FAILED_CODE,
    GOOD_CODE,
    INTERRUPTED_CODE,
    ORDER,
    STATES,
    UNREADY_CODE,
    USAGE_CODE,
    exit_code,
)
from tools.make_support_table import table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_support_table_is_that_of_the_rooms() -> None:
    """`tools/make_support_table.py` writes it."""
    shown = README.split("<!-- support table")[1].split("<!-- end")[0].partition("\n")[2].strip()
    assert shown == table()


def test_every_file_of_ours_is_named() -> None:
    """Keys and sources of repositories by their pattern, all others whole."""
    names = r"gpu-host-(?:cuda|docker|nvidia-container-toolkit)[.](asc|sources|repo)$"
    patterns = [re.sub(names, r"gpu-host-NAME.\1", path) for path in OWNED_FILES]
    assert [path for path in (*patterns, LOG_DIR) if path not in README] == []


def test_every_setting_of_a_service_is_explained() -> None:
    section = README.split("## Model services")[1].split("\n## ")[0]
    assert [f for f in Service.__dataclass_fields__ if f != "name" and f"`{f}`" not in section] == []
    assert [f for f in Health.__dataclass_fields__ if f != "command" and f"`{f}`" not in section] == []


def test_every_setting_of_the_monitoring_is_explained() -> None:
    section = README.split("## Monitoring")[1].split("\n## ")[0]
    assert [f for f in Monitoring.__dataclass_fields__ if f"`{f}`" not in section] == []


def test_services_of_the_readme_are_taken() -> None:
    block = re.search(r'```python\n"gpu_services": (.*?),\n```', README, re.DOTALL)
    assert block
    text = block.group(1).replace("sha256:...", f"sha256:{'0' * 64}")
    assert set(parse_settings({"gpu_services": ast.literal_eval(text)}).services) == {"llm", "embeddings"}


def test_every_state_is_explained() -> None:
    results = README.split("## Results")[1].split("## Tests")[0]
    assert {state for state in ORDER if f"`{state}`" in results} == set(ORDER)
    assert [s.name for s in STATES if s.meaning not in results] == []


def test_pictures_of_the_page_are_there_and_small() -> None:
    shown = re.findall(r"\((docs/report-\w+\.png)\)", README)
    assert len(shown) == 2
    assert all(0 < (ROOT / name).stat().st_size < 150_000 for name in shown)


def test_exit_codes_are_those_of_the_code() -> None:
    results = README.split("## Results")[1].split("## Tests")[0]
    rows = {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.*) \|$", results, re.MULTILINE)}
    assert set(rows) == {GOOD_CODE, FAILED_CODE, USAGE_CODE, UNREADY_CODE, INTERRUPTED_CODE}
    for state in STATES:
        assert [code for code, text in rows.items() if f"`{state.name}`" in text] == [exit_code([state.name])]


def test_example_of_a_refusal_is_a_real_check() -> None:
    name = re.search(r"STOP  (\w+)", README)
    assert name
    assert name.group(1) in CHECK_NAMES & WAIVABLE
    assert f'gpu_accept = ["{name.group(1)}"]' in README


def commands() -> list[str]:
    """Lines of the shell blocks that start one of our two commands."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("./")]


def test_files_in_commands_exist() -> None:
    words = [word for line in commands() for word in line.split() if "/" in word and not word.startswith("my/")]
    assert [word for word in words if not (ROOT / word).exists() and not word.startswith("./")] == []
    assert len(commands()) > 5


@pytest.mark.parametrize("line", [line for line in commands() if "explain" in line or "access" in line])
def test_explain_commands_of_the_readme_answer_in_a_second(line: str) -> None:
    _, name, *words = line.split()
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", f"deploys.{name}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert time.monotonic() - started < 5, "one second on a quiet machine"
    assert done.returncode == 0, done.stderr
    for word in {"explain": ("580", "Hopper"), "access": ("docker run --device nvidia.com/gpu=all", "driver: cdi")}[
        name
    ]:
        assert word in done.stdout


@pytest.mark.parametrize("line", [line for line in commands() if "inventories/lab.py" in line])
def test_lab_commands_of_the_readme_run(line: str, tmp_path: Path) -> None:
    """What `./provision` starts, with this interpreter; the bootstrap before it has tests of its own."""
    words = line.split()[1:]
    done = subprocess.run(
        [sys.executable, "-m", "deploys.support.front", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert done.returncode in (0, 3), text[-2000:]
    assert ("10de:1eb8" in text) or ("0x1eb8" in text) or ("7864" in text), tmp_path
