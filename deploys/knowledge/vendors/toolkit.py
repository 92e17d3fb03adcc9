"""The NVIDIA Container Toolkit's own repositories."""

from __future__ import annotations

from dataclasses import replace

from deploys.knowledge.records import Repository, Source
from deploys.knowledge.vendors.keys import CONTAINER_TOOLKIT

DEB = Repository(
    name="nvidia-container-toolkit",
    url="https://nvidia.github.io/libnvidia-container/stable/deb/amd64",
    key=CONTAINER_TOOLKIT.file,
    fingerprint=CONTAINER_TOOLKIT.fingerprint,
    path="/",
    suite="/",
    components="",
    packages=(
        "nvidia-container-toolkit",
        "nvidia-container-toolkit-base",
        "libnvidia-container-tools",
        "libnvidia-container1",
    ),
    why="NVIDIA's own repository of the container toolkit",
    source=Source("NVIDIA cloud-native-docs, container-toolkit/install-guide", "2026-08-21"),
)

# Its index is signed, its packages are not (nvidia-container-toolkit.repo: repo_gpgcheck=1, gpgcheck=0).
RPM = replace(
    DEB,
    url="https://nvidia.github.io/libnvidia-container/stable/rpm/x86_64",
    path="",
    suite="",
    kind="rpm",
    signed_packages=False,
)
