"""The one-way law: facts -> machine -> checks -> plan -> steps. Read from the imports, not from running anything."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# folder -> what its files may import beside the standard library, as prefixes of dotted names
LAW: dict[str, tuple[str, ...]] = {
    "deploys/knowledge": ("deploys.knowledge", "packaging"),
    "deploys/plan": ("deploys.plan", "deploys.knowledge", "packaging"),
    "facts": ("facts", "deploys.plan.machine", "deploys.knowledge", "pyinfra", "typing_extensions"),
    "deploys/operations": (
        "deploys.operations",
        "deploys.support",
        "deploys.plan",
        "deploys.knowledge",
        "facts",
        "pyinfra",
    ),
    "deploys/steps": ("deploys.steps", "deploys.operations", "deploys.plan", "deploys.knowledge", "pyinfra"),
    "deploys/support": (
        "deploys.support",
        "deploys.plan",
        "deploys.knowledge",
        "facts",
        "pyinfra",
        "pyinfra_cli",
        "gevent",
        "paramiko",
        "click",
        "yaml",
    ),
    "deploys": ("deploys.steps", "deploys.support", "deploys.plan", "deploys.knowledge", "pyinfra"),
}
DISTRO_IDS = frozenset(
    {
        "almalinux",
        "amzn",
        "arch",
        "centos",
        "debian",
        "endeavouros",
        "fedora",
        "kali",
        "linuxmint",
        "manjaro",
        "ol",
        "opensuse-leap",
        "opensuse-tumbleweed",
        "pop",
        "raspbian",
        "rhel",
        "rocky",
        "sled",
        "sles",
        "suse",
        "ubuntu",
    }
)
PACKAGE_MANAGERS = re.compile(r"(?<![\w./-])(apt|apt-get|apt-cache|aptitude|dpkg|dnf|yum|rpm|zypper|pacman)(?![\w./-])")

DISTROS_LIVE_IN = ("deploys/knowledge/distros/",)
MANAGERS_LIVE_IN = ("deploys/operations/", "facts/", "deploys/knowledge/")


def sources(folder: str) -> list[Path]:
    """Python files of a folder; for deploys itself only the entry files."""
    found = (ROOT / folder).glob("*.py") if folder == "deploys" else (ROOT / folder).rglob("*.py")
    return sorted(found)


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports, with the name taken from the module: `deploys.plan.machine.Machine`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (f"{node.module}." if node.module else "")
            yield from (start + alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "__import__",
            "importlib.import_module",
            "import_module",
        }:
            yield f"dynamic import in line {node.lineno}"


def breaches(tree: ast.AST, allowed: tuple[str, ...]) -> list[str]:
    """Imports that the law does not allow."""
    return [
        name
        for name in imported(tree)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(f"{name}.".startswith(f"{p}.") for p in allowed)
    ]


def words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """String literals with their lines, docstrings left out."""
    explained = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explained:
            yield node.lineno, node.value


def product() -> list[Path]:
    return [path for folder in ("facts", "deploys") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("folder", LAW)
def test_imports_go_one_way(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in breaches(ast.parse(path.read_text()), LAW[folder])
    ]
    assert found == []


def test_nobody_imports_an_entry_file() -> None:
    entries = {f"deploys.{path.stem}" for path in sources("deploys") if path.stem != "__init__"}
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in product()
        for name in imported(ast.parse(path.read_text()))
        if ".".join(name.split(".")[:2]) in entries
    ]
    assert found == []


def test_a_distribution_is_named_in_its_room_only() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {text!r}"
        for path in product()
        if not str(path.relative_to(ROOT)).startswith(DISTROS_LIVE_IN)
        for line, text in words(ast.parse(path.read_text()))
        if text.strip().lower() in DISTRO_IDS
    ]
    assert found == []


def test_a_package_manager_is_named_in_three_places_only() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {text!r}"
        for path in product()
        if not str(path.relative_to(ROOT)).startswith(MANAGERS_LIVE_IN)
        for line, text in words(ast.parse(path.read_text()))
        if PACKAGE_MANAGERS.search(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("folder", "source", "wrong"),
    [
        ("deploys/plan", "from pyinfra import host", ["pyinfra.host"]),
        ("deploys/plan", "import os, gevent", ["gevent"]),
        ("deploys/plan", "def f():\n    from deploys.operations import files", ["deploys.operations.files"]),
        ("deploys/plan", "from deploys.planning import x", ["deploys.planning.x"]),
        ("deploys/plan", "from deploys.plan.machine import Machine\nimport re", []),
        ("deploys/plan", "from . import machine", [".machine"]),
        ("deploys/plan", "__import__('facts.probe')", ["dynamic import in line 1"]),
        ("facts", "from deploys.plan import machine", []),
        ("facts", "from deploys.plan.settings import Settings", ["deploys.plan.settings.Settings"]),
        ("deploys/steps", "from facts.probe import Probe", ["facts.probe.Probe"]),
        ("deploys/knowledge", "import deploys.plan.machine", ["deploys.plan.machine"]),
    ],
)
def test_the_law_catches(folder: str, source: str, wrong: list[str]) -> None:
    assert breaches(ast.parse(source), LAW[folder]) == wrong
