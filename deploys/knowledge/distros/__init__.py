"""Every supported release, one room per distribution. A distribution is named in its own room and nowhere else."""

from __future__ import annotations

from deploys.knowledge.distros.debian import DEBIAN_12, DEBIAN_13
from deploys.knowledge.records import Distro

DISTROS: tuple[Distro, ...] = (DEBIAN_12, DEBIAN_13)


def find_distro(identity: str | None, version: str | None) -> Distro | None:
    """The room for `ID` and `VERSION_ID` of os-release, or None."""
    return next((d for d in DISTROS if d.id == identity and d.version == version), None)


def supported() -> str:
    """All supported releases in words."""
    return ", ".join(d.label for d in DISTROS)
