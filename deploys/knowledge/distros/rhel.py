"""The room of Red Hat Enterprise Linux and of what is rebuilt from it: Rocky Linux, AlmaLinux, Oracle Linux, CentOS Stream."""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.distros.known import known
from deploys.knowledge.records import WHOLE_ROAD, Archive, Distro, Source
from deploys.knowledge.vendors import docker, nvidia, toolkit
from deploys.knowledge.vendors.keys import CUDA_RHEL_10, CUDA_RPM_2022

# Source: docs.fedoraproject.org, Getting started with EPEL.
_EPEL = "https://dl.fedoraproject.org/pub/epel/epel-release-latest-{}.noarch.rpm"

_REPOSITORIES = Source("the .repo files of rocky-repos, almalinux-repos and epel-release (public copies)", "2026-11-28")

RHEL_9 = Distro(
    id="rhel",
    version="9",
    by_major=True,
    name="Red Hat Enterprise Linux",
    codename="",
    manager="dnf4",
    headers=known("rhel", "9").headers,
    header_metas={},
    # dkms comes from EPEL, and with it what enables that repository.
    build_packages=("dkms", "gcc", "make", "kernel-headers", "python3"),
    layouts=(nvidia.MODULAR,),
    vendor_cuda=nvidia.CUDA_TOOLKIT,
    oldest_cuda=known("rhel", "9").oldest_cuda,
    proven="recorded; transactions as on Rocky Linux 9",
    repositories={
        "cuda": nvidia.repository("rhel9", CUDA_RPM_2022, kind="rpm"),
        "docker": docker.rpm("rhel", "9"),
        "nvidia-container-toolkit": toolkit.RPM,
    },
    enable=("codeready-builder-for-rhel-9-x86_64-rpms",),
    epel=_EPEL.format(9),
    platform="platform:el9",
    ends="2032-05-31",
    extended="2036-05-31",
)
RHEL_8 = replace(
    RHEL_9,
    version="8",
    headers=known("rhel", "8").headers,
    oldest_cuda=known("rhel", "8").oldest_cuda,
    repositories={
        **RHEL_9.repositories,
        "cuda": nvidia.repository("rhel8", CUDA_RPM_2022, kind="rpm"),
        "docker": docker.rpm("rhel", "8"),
    },
    enable=("codeready-builder-for-rhel-8-x86_64-rpms",),
    epel=_EPEL.format(8),
    platform="platform:el8",
    ends="2029-05-31",
    extended="2033-05-31",
)
RHEL_10 = replace(
    RHEL_9,
    version="10",
    headers=known("rhel", "10").headers,
    layouts=(nvidia.LOCKED,),
    oldest_cuda=known("rhel", "10").oldest_cuda,
    repositories={
        **RHEL_9.repositories,
        "cuda": nvidia.repository("rhel10", CUDA_RHEL_10, kind="rpm"),
        "docker": docker.rpm("rhel", "10"),
    },
    enable=("codeready-builder-for-rhel-10-x86_64-rpms",),
    epel=_EPEL.format(10),
    platform="platform:el10",
    ends="2035-05-31",
    extended="2039-05-31",
)


def _rebuild(parent: Distro, identity: str, name: str, key: str = "") -> Distro:
    """A rebuild with EPEL in its own repositories and no paid extension of its support; `key` signs its packages ("" unknown)."""
    crb, folder = "powertools" if parent.version == "8" else "crb", "/etc/pki/rpm-gpg/RPM-GPG-KEY-"
    own = [Archive(part, folder + key, _REPOSITORIES) for part in ("baseos", "appstream", crb, "extras")] if key else []
    epel = [Archive("epel", f"{folder}EPEL-{parent.version}", _REPOSITORIES)] if key else []
    rebuilt = replace(parent, id=identity, name=name, prepare=("epel-release",), enable=(crb,), epel="", extended="")
    return replace(rebuilt, archives=(*own, *epel))


ROCKY_8, ROCKY_9, ROCKY_10 = (
    _rebuild(parent, "rocky", "Rocky Linux", key)
    for parent, key in ((RHEL_8, "rockyofficial"), (RHEL_9, "Rocky-9"), (RHEL_10, "Rocky-10"))
)
ROCKY_9 = replace(ROCKY_9, proven=WHOLE_ROAD)
ALMA_8, ALMA_9, ALMA_10 = (
    _rebuild(parent, "almalinux", "AlmaLinux", key)
    for parent, key in ((RHEL_8, "AlmaLinux"), (RHEL_9, "AlmaLinux-9"), (RHEL_10, "AlmaLinux-10"))
)


def _oracle(parent: Distro, ends: str) -> Distro:
    """Oracle Linux: the headers of its own kernel (UEK), its own EPEL package; Docker's packages are those for CentOS."""
    number = parent.version
    return replace(
        parent,
        id="ol",
        name="Oracle Linux",
        headers=known("ol", number).headers,
        prepare=(f"oracle-epel-release-el{number}",),
        epel="",
        enable=(f"ol{number}_codeready_builder",),
        repositories={**parent.repositories, "docker": docker.rpm("centos", number)},
        ends=ends,
        extended="",
    )


ORACLE_8 = _oracle(RHEL_8, "2029-07-31")
ORACLE_9 = _oracle(RHEL_9, "2032-06-30")
ORACLE_10 = _oracle(RHEL_10, "")


def _stream(parent: Distro, ends: str) -> Distro:
    repositories = {**parent.repositories, "docker": docker.rpm("centos", parent.version)}
    return replace(_rebuild(parent, "centos", "CentOS Stream"), repositories=repositories, ends=ends)


STREAM_9 = _stream(RHEL_9, "2027-05-31")
STREAM_10 = _stream(RHEL_10, "2030-05-31")
