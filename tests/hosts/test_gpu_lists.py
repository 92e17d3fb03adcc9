"""The generations against lists that others keep: the ids per driver branch in Debian's nvidia-detect, and its pci.ids.

The packages are fetched by the machine's apt into a view of its own: nothing is installed, the machine's own package
lists stay as they are. What differs is explained in docs/gpu-disagreements.txt, or fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from deploys.knowledge.gpus import CHIPS, EXCEPTIONS, Generation, find_chip, find_generation
from tests.bed.shell import REPOSITORY, run
from tests.bed.sources import KEYRING, machine_archive
from tools.make_gpu_table import parse

EXPLAINED = REPOSITORY / "docs" / "gpu-disagreements.txt"
# The lists of branches that matter to the tables: where a generation begins or ends.
LEGACY = {
    304: "nvidia-legacy-304xx",
    340: "nvidia-legacy-340xx",
    390: "nvidia-legacy-390xx",
    450: "nvidia-tesla-450",
    460: "nvidia-tesla-460",
    470: "nvidia-tesla-470",
    535: "nvidia-tesla-535",
}
# Branches one after the other, where an id that is missing in the later list means that the branch dropped the GPU.
LINE = (304, 340, 390, 470, 535, 550)


@dataclass(frozen=True)
class View:
    """An apt of its own below `folder`, with one suite of the machine's archive."""

    folder: Path
    suite: str

    def options(self) -> list[str]:
        state, cache = self.folder / "state", self.folder / "cache"
        (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (cache / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        source = self.folder / "sources.list"
        source.write_text(f"deb [signed-by={KEYRING}] {machine_archive().main} {self.suite} main contrib non-free\n")
        settings = {
            "Dir::State": state,
            "Dir::State::status": "/dev/null",
            "Dir::Cache": cache,
            "Dir::Etc::sourcelist": source,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def fetch(self, *packages: str) -> dict[str, tuple[str, Path]]:
        """Package -> its version and a folder with its files. Raises BedError."""
        run(["apt-get", *self.options(), "-q", "update"], timeout=300)
        found = {}
        for package in packages:
            target = self.folder / package
            target.mkdir()
            run(["apt-get", *self.options(), "-q", "download", package], cwd=target, timeout=300)
            (deb,) = target.glob("*.deb")
            run(["dpkg-deb", "-x", deb, target])
            found[package] = (run(["dpkg-deb", "-f", deb, "Version"]).stdout.strip(), target)
        return found


@dataclass(frozen=True)
class Lists:
    """nvidia-detect of one suite: driver branch -> device ids; `open`: ids that it says the open modules drive."""

    branches: dict[int, frozenset[int]]
    open: frozenset[int]


def read_ids(path: Path) -> frozenset[int]:
    """Device ids of a list with lines like 10DE1EB8. Fails on any other line."""
    lines = path.read_text().split()
    assert lines
    assert [line for line in lines if not re.fullmatch("10DE[0-9A-F]{4}", line)] == []
    return frozenset(int(line[4:], 16) for line in lines)


def read_lists(version: str, folder: Path) -> Lists:
    ids = folder / "usr" / "share" / "nvidia"
    current = int(version.partition(".")[0])
    branches = {branch: read_ids(ids / f"{name}.ids") for branch, name in LEGACY.items()}
    branches[390] |= read_ids(ids / "nvidia-legacy-390xx-amd64.ids")  # Volta, which 32-bit hosts never had
    return Lists({**branches, current: read_ids(ids / "nvidia.ids")}, read_ids(ids / "nvidia-open.ids"))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[str, Path]]]:
    """Suite -> its packages."""
    return {
        suite: View(tmp_path_factory.mktemp(suite), suite).fetch("nvidia-detect", "pci.ids")
        for suite in ("bookworm", "trixie")
    }


@pytest.fixture(scope="module")
def lists(packages: dict[str, dict[str, tuple[str, Path]]]) -> list[Lists]:
    return [read_lists(*found["nvidia-detect"]) for found in packages.values()]


def carried(generation: Generation, branch: int) -> bool:
    return generation.first_branch <= branch and (generation.last_branch is None or branch <= generation.last_branch)


def ours(device: int, branch: int) -> str:
    """What our tables say: "carried (GA100, Ampere)"."""
    chip = find_chip(device)
    if chip is None:
        return "unknown"
    word = "carried" if carried(chip.generation, branch) else "not carried"
    return f"{word} ({chip.code}, {chip.generation.name})"


def disagreements(lists: Lists) -> Iterator[tuple[str, str, str, str]]:
    """(id, branch, ours, theirs): listed where ours carries it not, gone where ours still carries it."""
    for branch, ids in lists.branches.items():
        for device in ids:
            generation = find_generation(device)
            if generation is None or not carried(generation, branch):
                yield f"{device:04x}", str(branch), ours(device, branch), "listed"
    line = [branch for branch in LINE if branch in lists.branches]
    for before, after in pairwise(line):
        for device in lists.branches[before] - lists.branches[after]:
            generation = find_generation(device)
            if generation is not None and carried(generation, after):
                yield f"{device:04x}", str(after), ours(device, after), f"gone since {before}"


def explained() -> dict[tuple[str, str, str, str], str]:
    """(id, branch, ours, theirs) -> reason, from rows whose columns stand at least two spaces apart."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in EXPLAINED.read_text().splitlines()]
    return {(row[0], row[1], row[2], row[3]): row[4] for row in rows if re.fullmatch("[0-9a-f]{4}", row[0])}


def test_every_disagreement_is_explained_and_every_explanation_needed(lists: list[Lists]) -> None:
    found = {row for one in lists for row in disagreements(one)}
    reasons = explained()
    assert sorted(found - set(reasons)) == []
    assert sorted(set(reasons) - found) == []
    assert all(len(reason) > 20 for reason in reasons.values())


def test_a_chip_that_lost_a_product_is_still_listed(lists: list[Lists]) -> None:
    """What the explanations say: the branch carries the chip, only that product is not named any more."""
    for one in lists:
        codes = {branch: {c.code for d in ids if (c := find_chip(d))} for branch, ids in one.branches.items()}
        for device, branch, _, theirs in disagreements(one):
            if theirs.startswith("gone"):
                chip = find_chip(int(device, 16))
                assert chip is not None
                assert chip.code in codes[int(branch)]


def test_a_branch_lists_gpus_of_each_generation_that_it_carries(lists: list[Lists]) -> None:
    """Catches a first branch that is too early and a last one that is too late."""
    every = {row.generation for row in CHIPS} | {chip.generation for _, _, chip in EXCEPTIONS}
    for one in lists:
        for branch, ids in one.branches.items():
            listed = {generation for device in ids if (generation := find_generation(device))}
            missing = {(g.name, g.capabilities) for g in every - listed if carried(g, branch)}
            assert (branch, missing) == (branch, set())


def test_what_the_open_modules_drive(lists: list[Lists]) -> None:
    wrong = {
        f"{device:04x}"
        for one in lists
        for device in one.open
        if (g := find_generation(device)) is None or g.open_modules == "cannot"
    }
    assert wrong == set()


def test_older_pci_ids_name_the_same_chips(packages: dict[str, dict[str, tuple[str, Path]]]) -> None:
    for found in packages.values():
        _, folder = found["pci.ids"]
        gpus = parse((folder / "usr" / "share" / "misc" / "pci.ids").read_text(errors="replace")).gpus
        assert len(gpus) > 1000
        other = {f"{device:04x} {code}" for device, code in gpus.items() if (c := find_chip(device)) and c.code != code}
        assert other == set()
