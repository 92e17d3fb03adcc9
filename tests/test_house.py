"""House rules for every tracked file: nothing of the machine it was written on, and nothing too long to read."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE, LONGEST_FUNCTION = 300, 50
URL = re.compile(r"\b(?:https?|ftp)://(?:[^/\s@]*@)?([a-zA-Z0-9.-]+)")
PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
PIP_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
# Where packages come from is data of the product here; everywhere else it is the machine's business.
HOSTS_LIVE_IN = "deploys/knowledge/"


def tracked() -> list[Path]:
    """Tracked files that exist, or every file where this is no git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0 or not listed.stdout:
        pytest.skip("not a git checkout")
    paths = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def hits(pattern: re.Pattern[str], paths: Iterable[Path]) -> list[str]:
    """FILE:LINE of every match."""
    return [
        f"{path.relative_to(ROOT)}:{number} {match.group()}"
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if (match := pattern.search(line))
    ]


def apt_hosts(text: str) -> set[str]:
    """Hosts that an apt sources file names, in the one-line or the deb822 format."""
    lines = (line for line in text.splitlines() if re.match(r"\s*(deb(-src)?\s|URIs:)", line))
    return {host for line in lines for host in URL.findall(line)}


def pip_hosts(text: str) -> set[str]:
    """Hosts that a pip configuration names as places to download from."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    keys = ("index-url", "extra-index-url", "find-links", "index", "trusted-host")
    return {host for section in parser.values() for key in keys for host in URL.findall(section.get(key, ""))}


def machine_hosts() -> set[str]:
    """Package hosts in this machine's own configuration."""
    apt = Path("/etc/apt")
    lists = [apt / "sources.list", *apt.glob("sources.list.d/*.list"), *apt.glob("sources.list.d/*.sources")]
    found = {host for path in lists if path.is_file() for host in apt_hosts(path.read_text(errors="replace"))}
    files = [Path(name).expanduser() for name in PIP_FILES]
    found |= {host for path in files if path.is_file() for host in pip_hosts(path.read_text(errors="replace"))}
    return found | {host for name in PIP_VARIABLES for host in URL.findall(os.environ.get(name, ""))} - {"localhost"}


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name and number of lines, from def to the last line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_path_of_this_machine() -> None:
    here = {str(ROOT), sys.prefix, sys.base_prefix} - {"/usr", "/usr/local", "/opt", "/"}
    pattern = re.compile("|".join(rf"(?<![\w.-]){re.escape(path)}(?![\w-])" for path in sorted(here)))
    assert hits(pattern, tracked()) == []


def test_no_package_host_of_this_machine() -> None:
    hosts = machine_hosts()
    if not hosts:
        pytest.skip("this machine names no package hosts")
    pattern = re.compile("|".join(rf"(?<![\w.-]){re.escape(host)}(?![\w-])" for host in sorted(hosts)))
    paths = [path for path in tracked() if not str(path.relative_to(ROOT)).startswith(HOSTS_LIVE_IN)]
    assert hits(pattern, paths) == []


def test_package_hosts_are_found_in_both_formats() -> None:
    assert apt_hosts("deb [arch=amd64] http://one.example/debian x main\n# deb http://not.example/ x\n") == {
        "one.example"
    }
    assert apt_hosts("Types: deb\nURIs: https://user:pw@two.example:8080/x http://three.example\n") == {
        "two.example",
        "three.example",
    }
    assert pip_hosts("[global]\nindex-url = https://four.example/simple\ntimeout = 5\n") == {"four.example"}


def pins(lock: str) -> dict[str, str]:
    """Name -> version in a lock."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) ", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_locks_agree_and_satisfy_the_project() -> None:
    run, tests = pins("requirements.lock"), pins("requirements-test.lock")
    assert run.items() <= tests.items()
    wanted = re.findall(
        r'^    "(.+)",$', (ROOT / "pyproject.toml").read_text().split("[build-system]")[0], re.MULTILINE
    )
    missing = [r for r in map(Requirement, wanted) if not r.specifier.contains(tests.get(r.name, "0"))]
    assert (len(wanted) > 5, missing) == (True, [])
    # Only some Pythons need these; a lock that was made with another one lacks them.
    assert {"tomli", "exceptiongroup"} <= set(tests)


def test_files_are_short_enough_to_read() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in python_files()}
    assert {str(path): n for path, n in lengths.items() if n > LONGEST_FILE} == {}


def test_functions_are_short_enough_to_read() -> None:
    found = [
        f"{path.relative_to(ROOT)} {name}: {lines} lines"
        for path in python_files()
        for name, lines in functions(ast.parse(path.read_text()))
        if lines > LONGEST_FUNCTION
    ]
    assert found == []
