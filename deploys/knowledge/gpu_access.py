"""From which versions on each way of giving a container its GPU holds."""

from __future__ import annotations

from deploys.knowledge.records import Source

GPUS_OPTION = ("19.03", Source("Docker Engine 19.03 release notes: --gpus", "2026-11-22"))
# Docker reads CDI specifications when it is told to, and later by itself.
CDI_OPT_IN = (
    "25.0",
    Source("github cncf-tags/container-device-interface issue 84: opt-in as of Docker 25", "2026-11-27"),
)
CDI_DEFAULT = ("28.2", Source("github moby/moby issue 45192: enabled by default in 28.2.0", "2026-11-27"))
# Specifications of this toolkit and newer have schema 0.7.0, which needs this engine.
CDI_SCHEMA = ("1.19", "26.1", Source("NVIDIA Container Toolkit release notes 1.19.0", "2026-11-22"))
# From here on units of the toolkit write the specification anew when the driver changes, and its runtime makes one for each container.
CDI_REFRESH = ("1.18", Source("NVIDIA Container Toolkit release notes 1.18.0", "2026-11-22"))
CGROUP_2 = ("1.8", Source("libnvidia-container changelog 1.8.0-rc.1: cgroup v2", "2026-11-22"))
LOST_GPU = Source(
    "github NVIDIA/nvidia-docker issue 1730; NVIDIA/nvidia-container-toolkit issues 48 and 1227", "2026-11-27"
)

# What a CUDA process opens beside the GPUs' own nodes.
CONTROL_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")

# Where specifications of devices are looked for (source: CDI specification; the second one is emptied at boot, and wins).
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
