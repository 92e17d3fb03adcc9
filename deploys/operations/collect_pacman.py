"""Arch packages with their signatures and the databases that name them, collected by pacman itself with a database of its own, where nothing is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploys.knowledge.records import Distro
from deploys.operations.collect import (
    BundleError,
    Collector,
    Rows,
    as_root,
    copy,
    names,
    run,
    same_release,
    say,
    within,
)
from deploys.plan.bundle import BundleSource, bundle_files
from deploys.plan.plan import Plan

_OPTIONS = "[options]\nArchitecture = x86_64\nSigLevel = Required DatabaseOptional\n\n"
_ROW = "%r|%n|%v|%l"  # repository, name, version, URL


def own_mirrors(distro: Distro, root: Path = Path("/")) -> dict[str, str]:
    """Parts of the archive -> the first of this machine's own mirrors, where it is of that distribution."""
    if not same_release(distro, root):
        return {}
    found = {a.name: run(["pacman-conf", "--repo", a.name, "Server"]).split() for a in distro.archives}
    return {name: servers[0] for name, servers in found.items() if servers}


def collect(plan: Plan, sources: Sequence[BundleSource], target: Path) -> Rows:
    """Fill the folder `target`; returns a row per package. Raises BundleError.

    What the keyring of this machine does not trust is not collected.
    """
    with tempfile.TemporaryDirectory(prefix="gpu-host-bundle-") as folder:
        place = Path(folder)
        for name in ("root", "db", "cache"):
            (place / name).mkdir()
        (file,) = bundle_files("pacman", sources, folder=folder)
        Path(file.path).write_text(_OPTIONS + file.content)
        words: list[str | Path] = [
            *as_root(),
            "pacman",
            "--noconfirm",
            "--config",
            file.path,
            "--gpgdir",
            sources[0].signed_by,
        ]
        words += ["--root", place / "root", "--dbpath", place / "db", "--cachedir", place / "cache"]
        say("indexes")
        run([*words, "-Sy"])
        wanted = names(plan)
        listed = [
            line.split("|") for line in run([*words, "-S", "--print", "--print-format", _ROW, *wanted]).splitlines()
        ]
        packages = [row for row in listed if len(row) == 4]
        say(f"{len(packages)} packages")
        run([*words, "-S", "--downloadonly", *wanted])
        return _keep(place, packages, target)


def _keep(place: Path, packages: Sequence[Sequence[str]], target: Path) -> Rows:
    """Copy the databases and, each with its signature, the packages: all of a repository lie side by side."""
    for database in (place / "db/sync").iterdir():
        copy(database, within(target, database.name.partition(".")[0], database.name))
    rows = []
    for source, name, version, url in packages:
        file = place / "cache" / url.rpartition("/")[2]
        signature = file.with_name(f"{file.name}.sig")
        if not signature.is_file():
            raise BundleError(f"{file.name} came without a signature")
        for kept in (file, signature):
            copy(kept, within(target, source, kept.name))
        rows.append({"name": name, "version": version, "source": source})
    return rows


PACMAN = Collector("pacman", own_mirrors, collect)
