"""SUSE's room: SUSE Linux Enterprise Server and openSUSE Leap, with the kernel modules that SUSE has built and signed."""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.records import WHOLE_ROAD, Archive, Distro, PackageOffer, Source
from deploys.knowledge.vendors import nvidia, toolkit
from deploys.knowledge.vendors.keys import CUDA_RPM_2022, CUDA_SUSE_16

_NAMES = Source("third-party lists of openSUSE's container packages", "2026-11-22")
_FLAVOURS = {"": "default", "-azure": "azure", "-longterm": "longterm", "-64kb": "64kb"}

SLES_15_7 = Distro(
    id="sles",
    version="15.7",
    name="SUSE Linux Enterprise Server",
    codename="",
    manager="zypper",
    headers={},
    header_metas={},
    kernel_flavours=_FLAVOURS,
    build_packages=(),
    docker=PackageOffer("28", ("docker",), "Docker has no repository for SUSE; SUSE's own package", _NAMES),
    compose=PackageOffer("2", ("docker-compose",), "Compose v2 as a plugin of the client", _NAMES),
    layouts=(nvidia.SUSE_G07,),
    vendor_cuda=nvidia.CUDA_TOOLKIT,
    oldest_cuda="12.9",
    repositories={
        "cuda": nvidia.repository("sles15", CUDA_RPM_2022, kind="rpm"),
        "nvidia-container-toolkit": toolkit.RPM,
    },
    default_docker="distro",
    ends="2031-07-31",
    extended="2034-07-31",
    proven="recorded; transactions as on openSUSE Leap 15.6",
)
SLES_15_6 = replace(SLES_15_7, version="15.6", ends="2025-12-31", extended="2028-12-31")
SLES_16 = replace(
    SLES_15_7,
    version="16.0",
    repositories={**SLES_15_7.repositories, "cuda": nvidia.repository("suse16", CUDA_SUSE_16, kind="rpm")},
    ends="2027-11-30",
    extended="2030-11-30",
)
_LEAP = Source("the .repo files of openSUSE Leap, openSUSE-build-key (public copies)", "2026-11-28")


def _archives(*names: str) -> tuple[Archive, ...]:
    """Leap's own repositories; their keys are a folder of its, and rpm's since its installation."""
    return tuple(Archive(name, "/usr/lib/rpm/gnupg/keys", _LEAP) for name in names)


LEAP_15_6 = replace(
    SLES_15_7,
    id="opensuse-leap",
    name="openSUSE Leap",
    version="15.6",
    archives=_archives("repo-oss", "repo-update", "repo-sle-update", "repo-backports-update"),
    repositories={**SLES_15_7.repositories, "cuda": nvidia.repository("opensuse15", CUDA_RPM_2022, kind="rpm")},
    ends="2026-04-30",
    extended="",
    proven=WHOLE_ROAD,
)
LEAP_16 = replace(
    SLES_16, id="opensuse-leap", name="openSUSE Leap", archives=_archives("repo-oss"), ends="2027-10-31", extended=""
)
