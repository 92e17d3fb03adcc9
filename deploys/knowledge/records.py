"""The shapes in which knowledge is written down. Rows are frozen; each says why and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """Where a fact comes from and when it was last looked at (`as_of`: ISO date)."""

    title: str
    as_of: str


@dataclass(frozen=True)
class DriverOffer:
    """A driver that a distribution's own archive carries.

    `kernel_modules` maps a flavour ("proprietary" | "open") to its DKMS packages, `versions` to the upstream version
    that the flavour's packages have, `dkms` to the name under which DKMS knows it. `user_space` is the compute-only
    set; its upstream version is `user_space_version`.
    """

    branch: str
    user_space_version: str
    user_space: tuple[str, ...]
    kernel_modules: Mapping[str, tuple[str, ...]]
    versions: Mapping[str, str]
    dkms: Mapping[str, str]
    why: str
    source: Source


@dataclass(frozen=True)
class PackageOffer:
    """Packages for one capability, and the upstream version that they give."""

    version: str
    packages: tuple[str, ...]
    why: str
    source: Source


@dataclass(frozen=True)
class Repository:
    """A vendor's repository. `url` may be replaced by a mirror; `key` is a file in `knowledge/keys`."""

    name: str
    url: str
    key: str
    fingerprint: str
    path: str
    suite: str
    components: str
    packages: tuple[str, ...]
    why: str
    source: Source


@dataclass(frozen=True)
class Distro:
    """One release of one distribution: everything that differs from host to host by distribution.

    `archive_keys` is how the file names of the archive's own keyrings begin.
    `headers` is a template with `{release}`; `header_metas` maps a kernel release's suffix to the package that
    follows that flavour's newest kernel. `compose` is None where the release has no Compose v2, with `no_compose` saying so.
    """

    id: str
    version: str
    name: str
    codename: str
    manager: str
    components: tuple[str, ...]
    archive_keys: str
    headers: str
    header_metas: Mapping[str, str]
    build_packages: tuple[str, ...]
    driver: DriverOffer
    cuda: PackageOffer
    docker: PackageOffer
    compose: PackageOffer | None
    no_compose: str = ""
    repositories: Mapping[str, Repository] = field(default_factory=dict)
    support: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} {self.version} ({self.codename})"
