"""Debian's room. Package names and versions were read from the signed indices of Debian's archive."""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.records import Archive, Distro, DriverOffer, PackageOffer, Source
from deploys.knowledge.vendors import docker, nvidia, toolkit
from deploys.knowledge.vendors.keys import CUDA_DEB_2022, CUDA_DEBIAN_13

_ARCHIVE = Source(
    "Debian archive indices (main, contrib, non-free, non-free-firmware; release, updates, security)", "2026-11-23"
)

# The compute-only set: no X, no Wayland, no desktop. nvidia-smi brings NVML, libcuda1 brings the PTX compiler.
_USER_SPACE = ("libcuda1", "nvidia-smi", "nvidia-persistenced", "nvidia-modprobe", "libnvidia-cfg1", "libnvidia-ml1")
_MODULES = {"proprietary": ("nvidia-kernel-dkms",), "open": ("nvidia-open-kernel-dkms",)}
_LIBRARIES = ("libcuda1", "nvidia-smi")

_COMPONENTS = ("main", "contrib", "non-free", "non-free-firmware")


def _archives(codename: str) -> tuple[Archive, ...]:
    keyring, source = (
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        Source("debian.org/releases, sources.list(5)", "2026-11-27"),
    )
    components = " ".join(_COMPONENTS)
    return (
        Archive("archive", keyring, source, "Debian", f"{codename} {codename}-updates", components),
        Archive("security", keyring, source, "Debian", f"{codename}-security", components),
    )


DEBIAN_12 = Distro(
    id="debian",
    version="12",
    name="Debian",
    codename="bookworm",
    manager="apt",
    components=_COMPONENTS,
    archives=_archives("bookworm"),
    archive_keys="debian-archive-",
    headers={"": "linux-headers-{release}"},
    header_metas={
        "-cloud-amd64": "linux-headers-cloud-amd64",
        "-rt-amd64": "linux-headers-rt-amd64",
        "-amd64": "linux-headers-amd64",
    },
    # python3 asks the CUDA driver for its proof of life.
    build_packages=("dkms", "gcc", "make", "python3"),
    driver=DriverOffer(
        branch="535",
        user_space_version="535.309.01",
        user_space=_USER_SPACE,
        kernel_modules=_MODULES,
        versions={"proprietary": "535.309.01", "open": "535.261.03"},
        libraries=_LIBRARIES,
        why="the security suite moved the proprietary set to 535.309.01; the open module stayed at 535.261.03",
        source=_ARCHIVE,
    ),
    cuda=PackageOffer("11.8", ("nvidia-cuda-toolkit",), "the only toolkit in the release", _ARCHIVE),
    docker=PackageOffer("20.10.24", ("docker.io",), "the engine of the release, client included", _ARCHIVE),
    compose=None,
    no_compose="bookworm carries only Compose v1 (1.29), which has no GPU reservations that v2 files expect",
    layouts=(nvidia.DEBIAN,),
    vendor_cuda=nvidia.CUDA_TOOLKIT,
    oldest_cuda="12.3",
    repositories={
        "cuda": nvidia.repository("debian12", CUDA_DEB_2022, kind="deb"),
        "docker": docker.deb("debian", "bookworm"),
        "nvidia-container-toolkit": toolkit.DEB,
    },
    default_driver="distro",
    default_docker="distro",
    ends="2026-07-11",
    extended="2028-06-30",
    support="LTS until 2028-06-30",
    proven="real packages on booted hosts",
)

DEBIAN_13 = replace(
    DEBIAN_12,
    version="13",
    codename="trixie",
    archives=_archives("trixie"),
    driver=DriverOffer(
        branch="550",
        user_space_version="550.163.01",
        user_space=_USER_SPACE,
        kernel_modules=_MODULES,
        versions={"proprietary": "550.163.01", "open": "550.163.01"},
        libraries=_LIBRARIES,
        why="the only branch in the release",
        source=_ARCHIVE,
    ),
    cuda=PackageOffer("12.4", ("nvidia-cuda-toolkit",), "the only toolkit in the release", _ARCHIVE),
    docker=PackageOffer(
        "26.1.5", ("docker.io", "docker-cli"), "the engine of the release; the client is a package of its own", _ARCHIVE
    ),
    compose=PackageOffer("2.26.1", ("docker-compose",), "Compose v2 as a plugin of the client", _ARCHIVE),
    no_compose="",
    ends="2028-08-09",
    extended="2030-06-30",
    oldest_cuda="13.0",
    repositories={
        **DEBIAN_12.repositories,
        "cuda": nvidia.repository("debian13", CUDA_DEBIAN_13, kind="deb"),
        "docker": docker.deb("debian", "trixie"),
    },
    support="full support until 2028-08-09",
    proven="real packages on booted hosts; reboot in a virtual machine",
)
