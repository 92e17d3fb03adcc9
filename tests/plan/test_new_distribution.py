"""A new derivative costs what CONTRIBUTING says: a room, a line and a row; its page and plan are there then."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plan.gpg_keys import LIVING

ROOT = Path(__file__).parents[2]

ROOM = """from dataclasses import replace

from deploys.knowledge.distros.{parent_room} import {parent}

NEW = replace({parent}, id="{id}", version="{version}", name="{name}", codename="{codename}")
"""
LOOK = """
from deploys.knowledge.distros import find_distro
from deploys.plan.checks import judge
from deploys.plan.describe import describe
from deploys.plan.plan import make_plan
from deploys.plan.settings import Mirror, Settings
from facts.probe import parse_machine
from inventories.releases import RELEASES, recording

release = next(r for r in RELEASES if r.id == "{id}")
machine = parse_machine(recording(release))
settings = Settings(mirrors={{"cuda": Mirror("https://mirror.example/cuda", {key!r})}})
stops = [f.check for f in judge(machine, settings) if f.stops]
print(stops, describe(make_plan(machine, settings, find_distro(release.id, release.version)), machine, release.name))
"""
MINT = {
    "id": "linuxmint",
    "version": "22.2",
    "name": "Linux Mint",
    "codename": "zara",
    "parent_room": "ubuntu",
    "parent": "UBUNTU_24_04",
    "row": '_ubuntu("24.04", "zara", "6.8.0-60-generic")',
}
NOBARA = {
    "id": "nobara",
    "version": "43",
    "name": "Nobara Linux",
    "codename": "",
    "parent_room": "fedora",
    "parent": "FEDORA_43",
    "row": '_rpm("nobara", "43", "Nobara Linux 43", "6.17.8-200.nobara.fc43.x86_64", "dnf5")',
}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("new", [MINT, NOBARA], ids=lambda n: n["id"])
def test_a_derivative_is_a_room_a_line_and_a_row(tmp_path: Path, new: dict[str, str]) -> None:
    for folder in ("deploys", "facts", "inventories"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    distros = tmp_path / "deploys/knowledge/distros"
    (distros / "new.py").write_text(ROOM.format(**new))
    edit(distros / "__init__.py", "    amazon.AMAZON_2023,\n", "    amazon.AMAZON_2023,\n    new.NEW,\n")
    edit(distros / "__init__.py", "debian, fedora, rhel", "debian, fedora, new, rhel")
    row = f'    replace({new["row"]}, name="{new["id"]}", id="{new["id"]}", version="{new["version"]}"),\n'
    releases = tmp_path / "inventories/releases.py"
    edit(releases, '    _ubuntu("22.04", ', f'{row}    _ubuntu("22.04", ')
    edit(releases, "from dataclasses import dataclass\n", "from dataclasses import dataclass, replace\n")
    look = [sys.executable, "-c", LOOK.format(id=new["id"], key=LIVING)]
    done = subprocess.run(look, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"[] {new['id']}: {new['name']} {new['version']}")
    assert "580.178.04, install" in done.stdout
    assert "install docker-ce" in done.stdout
