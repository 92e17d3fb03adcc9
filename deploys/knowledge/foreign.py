"""Drivers that did not come from the distribution's archive: how to know them."""

from __future__ import annotations

# Packages that only NVIDIA's own repositories carry (source: NVIDIA driver installation guide, release 620).
FOREIGN_DRIVER_PACKAGES = frozenset(
    {
        "cuda-drivers",
        "nvidia-open",
        "nvidia-driver-cuda",
        "nvidia-kernel-open-dkms",
        "nvidia-driver-pinning",
        "cuda-keyring",
    }
)

# Parts of a repository line that mark NVIDIA's own repositories.
FOREIGN_ORIGINS = ("/compute/cuda/repos/", "gpu-host-cuda")

# Driver packages of third parties (RPM Fusion, ELRepo), which go with no other source.
FOREIGN_ANYWHERE = frozenset({"akmod-nvidia", "xorg-x11-drv-nvidia", "xorg-x11-drv-nvidia-cuda", "kmod-nvidia"})
