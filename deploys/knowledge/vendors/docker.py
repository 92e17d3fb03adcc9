"""Docker's own repositories: one set of packages, by the same names on every distribution."""

from __future__ import annotations

from deploys.knowledge.records import Repository, Source
from deploys.knowledge.vendors.keys import DOCKER_DEB, DOCKER_RPM

PACKAGES = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin")
_SOURCE = Source("github docker/docker-install, install.sh (2026-06-30)", "2026-11-22")
_BASE = "https://download.docker.com/linux"


def deb(distribution: str, codename: str) -> Repository:
    """For `distribution` ("ubuntu" | "debian") at release `codename`."""
    return Repository(
        name="docker",
        url=f"{_BASE}/{distribution}",
        key=DOCKER_DEB.file,
        fingerprint=DOCKER_DEB.fingerprint,
        path="",
        suite=codename,
        components="stable",
        packages=PACKAGES,
        why="Docker's own repository",
        source=_SOURCE,
    )


def rpm(distribution: str, release: str) -> Repository:
    """For `distribution` ("rhel" | "centos" | "fedora") at `release`. Its packages are signed, its index is not."""
    return Repository(
        name="docker",
        url=f"{_BASE}/{distribution}/{release}/x86_64/stable",
        key=DOCKER_RPM.file,
        fingerprint=DOCKER_RPM.fingerprint,
        path="",
        suite="",
        components="",
        packages=PACKAGES,
        why="Docker's own repository",
        source=_SOURCE,
        kind="rpm",
        signed_index=False,
    )
