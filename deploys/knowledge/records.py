"""The shapes in which knowledge is written down. Rows are frozen; each says why and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """Where a fact comes from and when it was last looked at (`as_of`: ISO date)."""

    title: str
    as_of: str


# How a release was proven (`Distro.proven`).
WHOLE_ROAD = "whole road, real package manager, stand-in packages"


@dataclass(frozen=True)
class DriverOffer:
    """The one driver that a distribution's own archive carries.

    `kernel_modules` maps a flavour ("proprietary" | "open") to its DKMS packages, `versions` to the upstream version
    that the flavour's packages have. `user_space` is the compute-only set; its upstream version is `user_space_version`.
    `libraries`: packages of it that must have the module's version; the first stands for all of them.
    """

    branch: str
    user_space_version: str
    user_space: tuple[str, ...]
    libraries: tuple[str, ...]
    kernel_modules: Mapping[str, tuple[str, ...]]
    versions: Mapping[str, str]
    why: str
    source: Source


@dataclass(frozen=True)
class DriverLayout:
    """How a source that carries several branches names their packages.

    Names are templates with `{branch}`, `{kernel}` (the flavour of the running kernel: "generic", "default") and, in those of modules, `{release}` (each
    kernel that must have the driver); `first` and `last` (None: no end) are the branches that are named like this, `branches` the only ones where not all between are there. `origin` is the source: "nvidia" | "distro".
    `kernel_modules` maps a flavour to its packages, the one that carries the module first; a flavour that is missing has none.
    `versioned`: the names do not carry the branch, so its version is asked for. `pin` (template, "" none) is a package that
    steers the choice and is installed before. `streams` maps a flavour to the dnf module stream. `prebuilt`: the module
    comes compiled, so nothing is built on the host; `signed`: by a key of the distribution's, which Secure Boot accepts.
    """

    origin: str
    first: int
    last: int | None
    kernel_modules: Mapping[str, tuple[str, ...]]
    user_space: tuple[str, ...]
    libraries: tuple[str, ...]
    why: str
    source: Source
    versioned: bool = False
    pin: str = ""
    streams: Mapping[str, str] = field(default_factory=dict)
    prebuilt: bool = False
    signed: bool = False
    branches: tuple[int, ...] = ()

    def has(self, branch: int) -> bool:
        """Is the branch named like this?"""
        if self.branches and branch not in self.branches:
            return False
        return self.first <= branch and (self.last is None or branch <= self.last)


@dataclass(frozen=True)
class PackageOffer:
    """Packages for one capability, and the upstream version that they give."""

    version: str
    packages: tuple[str, ...]
    why: str
    source: Source


@dataclass(frozen=True)
class AurRecipe:
    """A recipe of the Arch User Repository: `base` is its name there, `packages` those of it that are used.

    Of a driver, `branch` and `version` are what it builds (as of its source), and the first package has the kernel module.
    """

    base: str
    packages: tuple[str, ...]
    why: str
    source: Source
    branch: str = ""
    version: str = ""


@dataclass(frozen=True)
class Repository:
    """A vendor's repository. `url` may be replaced by a mirror; `key` is a file in `knowledge/keys`.

    `key` "" means that the key is not shipped: it is fetched where its `fingerprint` (or "sha256:" and the digest of its text) is known, else the operator brings it. `kind`: "deb" (with `suite` and
    `components`) or "rpm". `key_path`: where below its URL the vendor publishes the key. `signed_index` and `signed_packages`: what the vendor signs in an rpm repository.
    """

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
    kind: str = "deb"
    signed_index: bool = True
    signed_packages: bool = True
    key_path: str = ""


@dataclass(frozen=True)
class Archive:
    """A part of a distribution's own archive: `name` is what its own sources call it, `keyring` the key's place on every host.

    Where one archive has several: `suites` and `components` as apt names them, `origin` as its signed index calls itself.
    Its address is that of a mirror, which nobody but the operator knows.
    """

    name: str
    keyring: str
    source: Source
    origin: str = ""
    suites: str = ""
    components: str = ""


@dataclass(frozen=True)
class Distro:
    """One release of one distribution: everything that differs from host to host by distribution.

    `version` is VERSION_ID of os-release; with `by_major` its part before the dot ("9" serves 9.5), "" for a rolling release.
    `archive_keys` is how the file names of the archive's own keyrings begin, `archives` are what a bundle is collected from, and
    `platform` is what dnf's modules call the release ("platform:el9").
    `headers` maps what a kernel's release holds ("" any other) to the package (template with `{release}`) that has its headers;
    `header_metas` maps it to the package that follows that flavour's newest kernel. `kernel_flavours` does so for `{kernel}`.
    `epel`: the package (a URL) that brings EPEL, which has dkms, where no repository of the distribution offers that package.
    `prepare` are packages that bring further repositories, `enable` ids of repositories that the host has and leaves disabled.
    `driver` is the archive's own driver, `layouts` are the sources with several branches. `vendor_cuda` is the template
    (`{major}`, `{minor}`) of NVIDIA's toolkit packages, `oldest_cuda` the oldest in its repository for this release.
    `compose` is None where the release has no Compose v2, with `no_compose` saying so; `runtime` is the distribution's own
    container toolkit. `aur_drivers` and `aur_runtime` are recipes at `aur_url`. `default_driver` and `default_docker`
    say which source is used where nobody asks for one. `ends`: ISO date of the end of regular support, `extended` of paid
    or volunteers' support ("" none known).
    """

    id: str
    version: str
    name: str
    codename: str
    manager: str
    headers: Mapping[str, str]
    header_metas: Mapping[str, str]
    build_packages: tuple[str, ...]
    driver: DriverOffer | None = None
    cuda: PackageOffer | None = None
    docker: PackageOffer | None = None
    compose: PackageOffer | None = None
    no_compose: str = ""
    runtime: PackageOffer | None = None
    layouts: tuple[DriverLayout, ...] = ()
    vendor_cuda: str = ""
    oldest_cuda: str = ""
    repositories: Mapping[str, Repository] = field(default_factory=dict)
    aur_url: str = ""
    aur_drivers: tuple[AurRecipe, ...] = ()
    aur_runtime: AurRecipe | None = None
    default_driver: str = "nvidia"
    default_docker: str = "docker"
    components: tuple[str, ...] = ()
    archive_keys: str = ""
    archives: tuple[Archive, ...] = ()
    platform: str = ""
    kernel_flavours: Mapping[str, str] = field(default_factory=dict)
    epel: str = ""
    prepare: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    by_major: bool = False
    ends: str = ""
    extended: str = ""
    support: str = ""
    proven: str = "recorded"

    @property
    def label(self) -> str:
        return " ".join(filter(None, (self.name, self.version, f"({self.codename})" if self.codename else "")))

    def repository(self, name: str) -> Repository | None:
        """The vendor's repository of that name for this release, or None."""
        return self.repositories.get(name)

    def headers_of(self, release: str) -> str:
        """The package with the headers of a kernel ("" unknown)."""
        return by_kernel(self.headers, release).format(release=release)

    def kernel_flavour(self, release: str) -> str:
        """The flavour of a kernel in the words of this distribution's packages ("" unknown)."""
        return by_kernel(self.kernel_flavours, release)


def by_kernel(rows: Mapping[str, str], release: str) -> str:
    """The value of the longest key that a kernel's release holds, else that of ""; "" where there is none."""
    hits = sorted((key for key in rows if key and key in release), key=len, reverse=True)
    return rows.get(hits[0] if hits else "", "")
