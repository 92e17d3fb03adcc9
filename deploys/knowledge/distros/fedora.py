"""Fedora's room. NVIDIA's repository for one release stops when the next one appears."""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.distros.known import known
from deploys.knowledge.records import WHOLE_ROAD, Archive, Distro, Source
from deploys.knowledge.vendors import docker, nvidia, toolkit
from deploys.knowledge.vendors.keys import CUDA_FEDORA_43, CUDA_FEDORA_44


def _archives(version: str) -> tuple[Archive, ...]:
    keyring = f"/etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-{version}-x86_64"
    source = Source("fedora.repo and fedora-updates.repo of fedora-repos (public copies)", "2026-11-28")
    return tuple(Archive(name, keyring, source) for name in ("fedora", "updates"))


FEDORA_43 = Distro(
    id="fedora",
    version="43",
    name="Fedora",
    codename="",
    manager="dnf5",
    headers=known("fedora", "43").headers,
    header_metas={},
    build_packages=("dkms", "gcc", "make", "kernel-headers", "python3"),
    layouts=(nvidia.LOCKED,),
    vendor_cuda=nvidia.CUDA_TOOLKIT,
    oldest_cuda="13.0",
    archives=_archives("43"),
    platform="platform:f43",
    proven=WHOLE_ROAD,
    repositories={
        "cuda": nvidia.repository("fedora43", CUDA_FEDORA_43, kind="rpm"),
        "docker": docker.rpm("fedora", "43"),
        "nvidia-container-toolkit": toolkit.RPM,
    },
    ends="2026-12-09",
)
FEDORA_44 = replace(
    FEDORA_43,
    version="44",
    proven="recorded; transactions as on Fedora 43",
    oldest_cuda="13.3",
    archives=_archives("44"),
    platform="platform:f44",
    repositories={
        **FEDORA_43.repositories,
        "cuda": nvidia.repository("fedora44", CUDA_FEDORA_44, kind="rpm"),
        "docker": docker.rpm("fedora", "44"),
    },
    ends="2027-06-02",
)
