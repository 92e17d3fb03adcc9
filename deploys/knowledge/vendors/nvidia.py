"""NVIDIA's CUDA repositories (driver and toolkit): one folder per release, and four ways to name a driver's packages.

What a row says was read in NVIDIA's guides and in what others install from these repositories; none of them could be reached
from where this was written.
"""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.records import DriverLayout, Repository, Source
from deploys.knowledge.vendors.keys import Key

_BASE = "https://developer.download.nvidia.com/compute/cuda/repos"
_GUIDE = Source("NVIDIA driver installation guide, releases 590, 615 and 620", "2026-11-22")
_NAMES_590 = Source(
    "packages that cuda-drivers of R610 brings on Ubuntu (third-party lists); NVIDIA/gpu-driver-container", "2026-11-25"
)
_NAMES_580 = Source("third-party lists of the 580 packages on Ubuntu", "2026-11-22")
_DEBIAN = Source("github GoogleCloudPlatform/compute-gpu-installation; third-party lists", "2026-11-22")
_MODULAR = Source(
    "NVIDIA driver installation guide 620; github awslabs/amazon-eks-ami; NVIDIA/gpu-driver-container rhel9",
    "2026-11-22",
)
_SUSE = Source("the SUSE NVIDIA packager's guide (sndirsch.github.io, G07)", "2026-02-22")

CUDA_TOOLKIT = "cuda-toolkit-{major}-{minor}"


def repository(folder: str, key: Key, *, kind: str) -> Repository:
    """The repository in `folder` ("rhel9"), signed with `key`."""
    return Repository(
        name="cuda",
        url=f"{_BASE}/{folder}/x86_64",
        key=key.file,
        fingerprint=key.pin,
        path="/" if kind == "deb" else "",
        suite="/" if kind == "deb" else "",
        components="",
        packages=(),
        why="NVIDIA's own repository",
        source=_GUIDE,
        kind=kind,
        key_path=key.published,
        # The index has a signature beside it as well; that of each package is what dnf and zypper check by default.
        signed_index=False,
    )


# Ubuntu up to 580: the branch is part of every name.
UBUNTU_NAMED = DriverLayout(
    origin="nvidia",
    first=535,
    last=580,
    kernel_modules={"open": ("nvidia-dkms-{branch}-open",), "proprietary": ("nvidia-dkms-{branch}",)},
    user_space=("libnvidia-compute-{branch}", "nvidia-compute-utils-{branch}", "nvidia-utils-{branch}"),
    libraries=("libnvidia-compute-{branch}",),
    why="compute packages only; up to 580 the names carry the branch",
    source=_NAMES_580,
)
# Ubuntu from 590: the branch is chosen by a package that pins it.
UBUNTU_PINNED = DriverLayout(
    origin="nvidia",
    first=590,
    last=None,
    kernel_modules={"open": ("nvidia-dkms-open",), "proprietary": ("nvidia-dkms",)},
    user_space=("libnvidia-compute", "nvidia-persistenced", "nvidia-modprobe"),
    libraries=("libnvidia-compute",),
    why="compute packages only; from 590 a package pins the branch",
    source=_NAMES_590,
    versioned=True,
    pin="nvidia-driver-pinning-{branch}",
)
DEBIAN = DriverLayout(
    origin="nvidia",
    first=580,
    last=None,
    kernel_modules={"open": ("nvidia-kernel-open-dkms",), "proprietary": ("nvidia-kernel-dkms",)},
    user_space=("nvidia-driver-cuda", "nvidia-persistenced", "nvidia-modprobe"),
    libraries=("nvidia-driver-cuda",),
    why="compute packages only; a package pins the branch",
    source=_DEBIAN,
    versioned=True,
    pin="nvidia-driver-pinning-{branch}",
)
# RHEL 8 and 9, Amazon Linux 2023: a module stream per branch and flavour.
MODULAR = DriverLayout(
    origin="nvidia",
    first=535,
    last=None,
    kernel_modules={"open": ("kmod-nvidia-open-dkms",), "proprietary": ("kmod-nvidia-latest-dkms",)},
    user_space=("nvidia-driver-cuda", "nvidia-persistenced"),
    libraries=("nvidia-driver-cuda",),
    why="compute packages only; the branch is a module stream",
    source=_MODULAR,
    versioned=True,
    streams={"open": "nvidia-driver:{branch}-open", "proprietary": "nvidia-driver:{branch}-dkms"},
)
# RHEL 10 and Fedora: no modules; the version is asked for and held.
LOCKED = replace(
    MODULAR,
    first=575,
    streams={},
    why="compute packages only; the version is held, there are no module streams",
    source=_GUIDE,
)
# SUSE: modules that SUSE has built and signed; open ones only.
SUSE_G07 = DriverLayout(
    origin="nvidia",
    first=580,
    last=None,
    kernel_modules={"open": ("nvidia-open-driver-G07-signed-cuda-kmp-{kernel}",)},
    user_space=("nvidia-compute-utils-G07", "nvidia-persistenced"),
    libraries=("nvidia-compute-utils-G07",),
    why="compute packages only; SUSE has compiled and signed the modules",
    source=_SUSE,
    versioned=True,
    prebuilt=True,
    signed=True,
)
