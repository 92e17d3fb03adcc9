"""Every supported release, one room per distribution. A distribution is named in its own room and nowhere else."""

from __future__ import annotations

from deploys.knowledge.distros import amazon, arch, debian, fedora, rhel, suse, ubuntu
from deploys.knowledge.records import Distro

DISTROS: tuple[Distro, ...] = (
    ubuntu.UBUNTU_22_04,
    ubuntu.UBUNTU_24_04,
    ubuntu.UBUNTU_26_04,
    debian.DEBIAN_12,
    debian.DEBIAN_13,
    rhel.RHEL_8,
    rhel.RHEL_9,
    rhel.RHEL_10,
    rhel.ROCKY_8,
    rhel.ROCKY_9,
    rhel.ROCKY_10,
    rhel.ALMA_8,
    rhel.ALMA_9,
    rhel.ALMA_10,
    rhel.ORACLE_8,
    rhel.ORACLE_9,
    rhel.ORACLE_10,
    rhel.STREAM_9,
    rhel.STREAM_10,
    fedora.FEDORA_43,
    fedora.FEDORA_44,
    amazon.AMAZON_2023,
    suse.SLES_15_6,
    suse.SLES_15_7,
    suse.SLES_16,
    suse.LEAP_15_6,
    suse.LEAP_16,
    arch.ARCH,
    arch.ENDEAVOUROS,
    arch.MANJARO,
)


def find_distro(identity: str | None, version: str | None) -> Distro | None:
    """The room for `ID` and `VERSION_ID` of os-release, or None.

    "9.5" finds room "9" where a room serves a whole major version; a room without a version is a rolling release.
    """
    rooms = [d for d in DISTROS if d.id == identity]
    exact = next((d for d in rooms if d.version == (version or "")), None)
    major = (version or "").partition(".")[0]
    return exact or next((d for d in rooms if not d.version or (d.by_major and d.version == major)), None)


def supported() -> str:
    """All supported releases in words."""
    return ", ".join(d.label for d in DISTROS)
