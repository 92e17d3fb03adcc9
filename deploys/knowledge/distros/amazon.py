"""Amazon Linux's room: NVIDIA's module streams, Docker from Amazon's own repositories."""

from __future__ import annotations

from deploys.knowledge.distros.known import known
from deploys.knowledge.records import Distro, PackageOffer, Source
from deploys.knowledge.vendors import nvidia, toolkit
from deploys.knowledge.vendors.keys import CUDA_RPM_2022

_EKS = Source("github awslabs/amazon-eks-ami, install-nvidia-driver.sh; NVIDIA/holodeck", "2026-07-23")
_MEMORY = Source("from memory, unverified", "2026-11-22")

AMAZON_2023 = Distro(
    id="amzn",
    version="2023",
    name="Amazon Linux",
    codename="",
    manager="dnf4",
    # Modules of the DRM core that the driver needs are in a package of their own; names carry the kernel series from 6.12 on.
    headers={
        "": "kernel-devel-{release} kernel-modules-extra-{release}",
        "6.12.": "kernel6.12-devel-{release} kernel6.12-modules-extra-{release}",
        "6.18.": "kernel6.18-devel-{release} kernel6.18-modules-extra-{release}",
    },
    header_metas={},
    build_packages=("dkms", "gcc", "make", "kernel-headers", "python3"),
    docker=PackageOffer(
        "25.0", ("docker",), "Docker has no repository for this release; Amazon's own package", _MEMORY
    ),
    compose=None,
    no_compose="Amazon Linux 2023 carries no Compose v2; its plugin is a file that you can put into /usr/libexec/docker/cli-plugins",
    layouts=(nvidia.MODULAR,),
    vendor_cuda=nvidia.CUDA_TOOLKIT,
    oldest_cuda=known("amzn", "2023").oldest_cuda,
    proven="recorded; transactions as on Rocky Linux 9",
    repositories={
        "cuda": nvidia.repository("amzn2023", CUDA_RPM_2022, kind="rpm"),
        "nvidia-container-toolkit": toolkit.RPM,
    },
    default_docker="distro",
    ends="2029-06-30",
    support=_EKS.title,
)
