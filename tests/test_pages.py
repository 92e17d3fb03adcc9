"""Every page: its links and pictures are there, and its commands are commands that exist, with options that are taken."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploys import access, explain, report
from deploys.knowledge.distros import DISTROS
from deploys.operations import bundle
from deploys.plan.pull import DEPLOYS
from deploys.support import pull
from tests.pages import DOCS, PAGES, README, ROOT, blocks, commands, prose, read
from tests.plan.fleet import fleet

OTHERS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "bench/RESULTS.md")
# Letters of the longest sentence that two pages may have.
LONGEST_SAID_TWICE = 70
PARSERS: dict[str, Callable[[], ArgumentParser]] = {
    "access": access._parser,
    "bundle": bundle._parser,
    "explain": explain._parser,
    "pull": pull._parser,
    "report": report._parser,
}
PROVISION = [line for line in commands(*PAGES) if line.startswith("./provision")]
FRONT = [line for line in PROVISION if not {*line.split()[1:2]} & set(PARSERS)]
NO_HOST = [line for line in PROVISION if {*line.split()[1:2]} & {"explain", "access"}]
LAB = [line for line in PROVISION if "inventories/lab.py" in line]
JQ = [line for page in PAGES for text in blocks(page, "sh") for line in text.splitlines() if line.startswith("jq ")]


def anchor(heading: str) -> str:
    """How GitHub calls a heading in an address."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_links_and_pictures_are_there(page: str) -> None:
    here = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        name, _, heading = target.partition("#")
        path = here / name if name else ROOT / page
        assert path.is_file(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [anchor(text) for text in headings], target


def test_every_page_is_linked_from_the_readme() -> None:
    linked = re.findall(r"\]\(([^)#\s]+)", read(README))
    assert [page for page in (*DOCS, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md") if page not in linked] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_of_the_checkout_in_prose_exist(page: str) -> None:
    """Names in capitals stand for something else."""
    rooms = "bench|deploys|docs|facts|inventories|tests|tools"
    named = re.findall(rf"(?:^|[`\s])((?:{rooms})/[\w./-]*[\w/])", prose(page), re.MULTILINE)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_sentence_stands_on_two_pages(page: str) -> None:
    """What two pages say, one of them says wrongly some day; only short ones may be said twice."""
    others = " ".join(" ".join(prose(other).split()) for other in PAGES if other != page)
    text = re.sub("<!--.*-->", "", prose(page))
    sentences = [" ".join(part.split()) for part in re.split(r"(?<=[.:])\s|\n\n|\n\* |\|", text)]
    assert [sentence for sentence in sentences if len(sentence) > LONGEST_SAID_TWICE and sentence in others] == []


def test_there_are_commands() -> None:
    assert min(len(PROVISION) - 10, len(NO_HOST), len(LAB), len(JQ)) > 1
    for deploy in (*DEPLOYS[1:], "release_holds", "rollback", "uninstall"):
        assert any(f"deploys/{deploy}.py" in line for line in FRONT), deploy


@pytest.mark.parametrize("line", [line for line in commands(*PAGES) if not line.startswith("./provision")])
def test_other_commands_are_our_tests(line: str) -> None:
    program, *words = line.split()
    script = (ROOT / program).read_text(encoding="utf-8")
    assert program == "./run-tests"
    assert [word for word in words if not re.search(rf"^fast \|.*\b{word}\b.*\)$", script, re.MULTILINE)] == []


# Importing pyinfra's command line patches the standard library for gevent, so it happens in a process of its own.
ASK = """
import json, shlex, sys
from pathlib import Path
from deploys.support import front

def answer(line):
    words = shlex.split(line)[1:]
    try:
        if "--rolling" in words:
            words = front.rolling_line([word for word in words if word != "--rolling"], Path.cwd()).words
        else:
            words = front.pyinfra_arguments(words, cwd=Path.cwd(), terminal=True)
        front.cli.make_context("pyinfra", list(words))
    except (front.UsageError, front.click.UsageError) as error:
        return str(error)
    parsed = front.CommandLine(words)
    return [words[index] for index in parsed.positional]

json.dump({line: answer(line) for line in json.load(sys.stdin)}, sys.stdout)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the pages think they are: the checkout with inventories of the reader's own."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "deploys").symlink_to(ROOT / "deploys")
    (folder / "inventories").symlink_to(ROOT / "inventories")
    (folder / "my").mkdir()
    shutil.copy(ROOT / "inventories/example.py", folder / "my/inventory.py")
    for example in (ROOT / "inventories/examples").iterdir():
        shutil.copy(example, folder)
    return folder


@pytest.fixture(scope="module")
def taken(checkout: Path) -> dict[str, list[str] | str]:
    """Command -> the inventory and the operations that pyinfra gets, or why it is refused."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps(FRONT),
        text=True,
        cwd=checkout,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers: dict[str, list[str] | str] = json.loads(run.stdout)
    return answers


@pytest.mark.parametrize("line", FRONT)
def test_what_goes_to_pyinfra_is_taken_by_it(line: str, checkout: Path, taken: dict[str, list[str] | str]) -> None:
    answer = taken[line]
    if ".yaml" in line and not find_spec("yaml"):
        assert "ansible-inventory" in answer
        return
    assert isinstance(answer, list), answer
    inventory, first, *rest = answer
    assert (checkout / inventory).is_file() or "," in inventory
    assert first == "fact" or (checkout / first).is_file()
    assert bool(rest) == (first == "fact")


@pytest.mark.parametrize("line", [line for line in PROVISION if line not in FRONT])
def test_commands_without_pyinfra_take_their_words(line: str) -> None:
    _, name, *words = shlex.split(line)
    PARSERS[name]().parse_args(words)


@pytest.mark.parametrize("line", NO_HOST)
def test_commands_without_a_host_answer_in_a_second(line: str) -> None:
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
    expected = {"explain": ("580", "Hopper"), "access": ("docker run --device nvidia.com/gpu=all", "driver: cdi")}
    for word in expected[name]:
        assert word in done.stdout


# What the page promises of a command on recorded hosts: exit code, words.
PROMISED: dict[str, tuple[int, tuple[str, ...]]] = {
    "--limit @fake/bare-t4": (0, ("10de:1eb8", "why: ", "1 planned\n", "page: ")),
    "--limit @fake/one-of-two-gpus": (3, ("STOP  gpu_count_as_expected", "found  ", "needed ", "fix ", "1 refused\n")),
    "--dry": (3, ("page: ", *(f"{d.id} {d.version}".strip() for d in DISTROS))),
    "fact": (0, (str(0x1EB8),)),
}


@pytest.mark.parametrize("line", LAB)
def test_commands_on_recorded_hosts_show_what_is_promised(line: str) -> None:
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
    code, promised = next(
        told for key, told in PROMISED.items() if key in line and (key != "--dry" or "--limit" not in line)
    )
    assert done.returncode == code, text[-2000:]
    assert [word for word in promised if word not in text] == []


@pytest.mark.parametrize("line", JQ)
@pytest.mark.skipif(not shutil.which("jq"), reason="no jq here")
def test_questions_to_a_result_are_answered(line: str, tmp_path: Path) -> None:
    """A field that is not there would be null, or an error."""
    (tmp_path / "reports").mkdir()
    for name in ("fleet.json", "latest.json"):
        (tmp_path / "reports" / name).write_text(json.dumps(fleet(40)), encoding="utf-8")
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert "null" not in done.stdout
