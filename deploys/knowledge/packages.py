"""Names of packages whose candidates the probe asks for, in one call of the host's own package manager."""

PROBED_PACKAGES: tuple[str, ...] = (
    "containerd",
    "dkms",
    "docker-cli",
    "docker-compose",
    "docker.io",
    "firmware-nvidia-gsp",
    "libcuda1",
    "libnvidia-container-tools",
    "libnvidia-container1",
    "linux-headers-amd64",
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "nvidia-cuda-toolkit",
    "nvidia-driver",
    "nvidia-kernel-dkms",
    "nvidia-kernel-support",
    "nvidia-modprobe",
    "nvidia-open-kernel-dkms",
    "nvidia-persistenced",
    "nvidia-smi",
    "runc",
)

# The same where pacman is the manager: what one release of everything offers decides the driver.
PACMAN_PACKAGES: tuple[str, ...] = (
    "cuda",
    "docker",
    "nvidia-container-toolkit",
    "nvidia-open-dkms",
    "nvidia-utils",
)

# What belongs to an engine beside the packages that a plan names: an extended regular expression.
ENGINE_PARTS = r"^(containerd([.]io)?|docker-[a-z-]+|runc)$"
