"""Paths on the host that this toolkit owns or reads. One list, so that probe, steps and uninstaller agree."""

LOG_DIR = "/var/log/gpu-host"
STATE_DIR = "/var/lib/gpu-host"
# Forgotten at each boot: what long steps need and leave, and what holds for one boot only.
RUN_DIR = "/run/gpu-host"
LOAD_TRIED = f"{RUN_DIR}/load-tried"

NOUVEAU_BLOCK = "/etc/modprobe.d/gpu-host-nouveau.conf"
CUDA_PROFILE = "/etc/profile.d/gpu-host-cuda.sh"
CUDA_LOADER = "/etc/ld.so.conf.d/gpu-host-cuda.conf"
TOOLKIT_KEY = "/etc/apt/keyrings/gpu-host-nvidia-container-toolkit.asc"
TOOLKIT_SOURCE = "/etc/apt/sources.list.d/gpu-host-nvidia-container-toolkit.sources"
DAEMON_JSON = "/etc/docker/daemon.json"

# Whole files that are ours alone; the probe digests each of them.
OWNED_FILES = (
    NOUVEAU_BLOCK,
    CUDA_PROFILE,
    CUDA_LOADER,
    TOOLKIT_KEY,
    TOOLKIT_SOURCE,
)

# Units whose state decides something.
UNITS = (
    "docker.service",
    "containerd.service",
    "nvidia-persistenced.service",
    "nvidia-cdi-refresh.service",
    "nvidia-fabricmanager.service",
    "nvidia-gridd.service",
    "gpu-host-rehearsal.service",
    "gpu-host-transaction.service",
    "gpu-host-initramfs.service",
)
