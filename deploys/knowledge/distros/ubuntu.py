"""Ubuntu's room: NVIDIA's and Docker's repositories by default, Ubuntu's own packages on request."""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.distros.known import known
from deploys.knowledge.records import WHOLE_ROAD, Archive, Distro, DriverLayout, PackageOffer, Source
from deploys.knowledge.vendors import docker, nvidia, toolkit
from deploys.knowledge.vendors.keys import CUDA_DEB_2022, CUDA_UBUNTU_2604

_PAGES = Source("packages.ubuntu.com; github NVIDIA/deepops, NVIDIA/gpu-driver-container", "2026-11-22")
_DATES = Source("github endoflife-date/endoflife.date", "2026-08-22")
_FLAVOURS = ("generic", "aws", "azure", "gcp", "oracle", "lowlatency", "nvidia", "virtual")

# Ubuntu's own driver: the -server set, whose branches Canonical keeps for data centres.
ARCHIVE = DriverLayout(
    origin="distro",
    first=535,
    last=None,
    kernel_modules={
        "open": ("nvidia-dkms-{branch}-server-open",),
        "proprietary": ("nvidia-dkms-{branch}-server",),
    },
    user_space=(
        "libnvidia-compute-{branch}-server",
        "nvidia-compute-utils-{branch}-server",
        "nvidia-utils-{branch}-server",
    ),
    libraries=("libnvidia-compute-{branch}-server",),
    why="Ubuntu's own packages, the -server set",
    source=_PAGES,
)


def _archives(codename: str) -> tuple[Archive, ...]:
    suites = f"{codename} {codename}-updates {codename}-security"
    source = Source("help.ubuntu.com/community/Repositories", "2026-11-27")
    keyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
    return (Archive("archive", keyring, source, "Ubuntu", suites, "main restricted universe multiverse"),)


# The same set with the modules that Canonical has compiled and signed, which Secure Boot accepts: a package for each kernel.
_KERNEL_COMMON = "nvidia-kernel-common-{branch}-server"


def _signed(version: str) -> DriverLayout:
    row = known("ubuntu", version).signed
    return replace(
        ARCHIVE,
        kernel_modules={
            "open": ("linux-modules-nvidia-{branch}-server-open-{release}",),
            "proprietary": ("linux-modules-nvidia-{branch}-server-{release}",),
        },
        user_space=(_KERNEL_COMMON, *ARCHIVE.user_space),
        libraries=(*ARCHIVE.libraries, _KERNEL_COMMON),
        why="Canonical has compiled and signed the modules, a package for each kernel: after a kernel update run again before the reboot",
        prebuilt=True,
        signed=True,
        branches=row.branches if row else (),
    )


UBUNTU_24_04 = Distro(
    id="ubuntu",
    version="24.04",
    name="Ubuntu",
    codename="noble",
    archives=_archives("noble"),
    manager="apt",
    headers=known("ubuntu", "24.04").headers,
    header_metas={f"-{flavour}": f"linux-headers-{flavour}" for flavour in _FLAVOURS},
    kernel_flavours={f"-{flavour}": flavour for flavour in _FLAVOURS},
    build_packages=("dkms", "gcc", "make", "python3"),
    docker=PackageOffer("28", ("docker.io",), "the engine of the release", _PAGES),
    compose=PackageOffer("2", ("docker-compose-v2",), "Compose v2 as a plugin of the client", _PAGES),
    layouts=(nvidia.UBUNTU_NAMED, nvidia.UBUNTU_PINNED, ARCHIVE, _signed("24.04")),
    vendor_cuda=nvidia.CUDA_TOOLKIT,
    oldest_cuda=known("ubuntu", "24.04").oldest_cuda,
    repositories={
        "cuda": nvidia.repository("ubuntu2404", CUDA_DEB_2022, kind="deb"),
        "docker": docker.deb("ubuntu", "noble"),
        "nvidia-container-toolkit": toolkit.DEB,
    },
    ends="2029-05-31",
    extended="2036-05-31",
    support=f"LTS ({_DATES.title})",
    proven=WHOLE_ROAD,
)

UBUNTU_22_04 = replace(
    UBUNTU_24_04,
    version="22.04",
    codename="jammy",
    archives=_archives("jammy"),
    proven="recorded; transactions as on Ubuntu 24.04",
    headers=known("ubuntu", "22.04").headers,
    layouts=(nvidia.UBUNTU_NAMED, nvidia.UBUNTU_PINNED, ARCHIVE, _signed("22.04")),
    oldest_cuda=known("ubuntu", "22.04").oldest_cuda,
    repositories={
        **UBUNTU_24_04.repositories,
        "cuda": nvidia.repository("ubuntu2204", CUDA_DEB_2022, kind="deb"),
        "docker": docker.deb("ubuntu", "jammy"),
    },
    ends="2027-04-01",
    extended="2032-04-09",
)

UBUNTU_26_04 = replace(
    UBUNTU_24_04,
    version="26.04",
    codename="resolute",
    archives=_archives("resolute"),
    proven="recorded; transactions as on Ubuntu 24.04",
    headers=known("ubuntu", "26.04").headers,
    layouts=(
        replace(nvidia.UBUNTU_NAMED, first=580),
        nvidia.UBUNTU_PINNED,
        replace(ARCHIVE, first=580),
        _signed("26.04"),
    ),
    oldest_cuda=known("ubuntu", "26.04").oldest_cuda,
    repositories={
        **UBUNTU_24_04.repositories,
        "cuda": nvidia.repository("ubuntu2604", CUDA_UBUNTU_2604, kind="deb"),
        "docker": docker.deb("ubuntu", "resolute"),
    },
    ends="2031-04-30",
    extended="2036-04-30",
)
