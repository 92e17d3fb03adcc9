"""Downloaded Debian packages, shared between hosts and runs through hard links.

Every host has its own folder at /var/cache/apt/archives (apt locks it), seeded with links to the shared one; what a
host downloaded in addition is linked back when it goes. apt checks every file against the signed index before use.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tests.bed.cache import cache_folder

STAND_INS = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)


def shared_folder(suite: str) -> Path:
    folder = cache_folder() / "packages" / suite
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _link_all(source: Path, target: Path) -> None:
    for path in source.glob("*.deb"):
        with suppress(FileExistsError, FileNotFoundError):
            os.link(path, target / path.name)


def seed(suite: str, folder: Path) -> None:
    """Make `folder` and fill it with links to every package that earlier hosts of the suite downloaded.

    Only Debian's own hosts have it in use: what the others install is made anew for each run.
    """
    folder.mkdir(parents=True)
    _link_all(shared_folder(suite), folder)


def collect(suite: str, folder: Path) -> None:
    """Keep what a host downloaded, without our stand-in packages: those differ from run to run."""
    for path in folder.glob("*.deb"):
        if path.name.partition("_")[0] not in STAND_INS:
            with suppress(FileExistsError):
                os.link(path, shared_folder(suite) / path.name)
