"""Vendor repositories that serve more than one distribution."""

from __future__ import annotations

from deploys.knowledge.records import Repository, Source

CONTAINER_TOOLKIT_DEB = Repository(
    name="nvidia-container-toolkit",
    url="https://nvidia.github.io/libnvidia-container/stable/deb/amd64",
    key="nvidia-container-toolkit.asc",
    fingerprint="C95B321B61E88C1809C4F759DDCAE044F796ECB0",
    path="/",
    suite="/",
    components="",
    packages=(
        "nvidia-container-toolkit",
        "nvidia-container-toolkit-base",
        "libnvidia-container-tools",
        "libnvidia-container1",
    ),
    why="NVIDIA's own repository; Debian's archive does not carry the toolkit",
    source=Source(
        "NVIDIA cloud-native-docs, container-toolkit/install-guide; key from NVIDIA/nvidia-docker gh-pages",
        "2026-08-21",
    ),
)

REPOSITORIES = (CONTAINER_TOOLKIT_DEB,)
