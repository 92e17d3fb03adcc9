"""What is known of releases that decides a driver, also of those without a room: their own signed modules, header flavours, compilers.

A release is installed on only with a room. Rows without one serve `explain`, by the rules of NVIDIA's repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deploys.knowledge.records import Source


@dataclass(frozen=True)
class SignedModules:
    """Kernel modules that the distribution builds and signs itself, so that Secure Boot accepts them without enrolment.

    `package` is a template with `{branch}`, `{open}` ("-open" or ""), `{flavour}` (of the kernel). `branches` it has;
    empty: the one that the release has at the time. `flavours` it builds ("open", "proprietary").
    """

    package: str
    branches: tuple[int, ...]
    flavours: tuple[str, ...]
    why: str
    source: Source


@dataclass(frozen=True)
class Compiler:
    """Kernels of this release whose name holds `kernel` are built with another compiler than the release's own."""

    kernel: str
    package: str
    why: str
    source: Source


@dataclass(frozen=True)
class KnownRelease:
    """One release. `headers` maps what a kernel's name holds or ends with to its header package; "" is any other.

    `oldest_cuda`: the oldest toolkit in NVIDIA's repository for it ("" unknown). `vendor`: NVIDIA has a repository.
    """

    id: str
    version: str
    name: str
    vendor: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: SignedModules | None = None
    compilers: tuple[Compiler, ...] = ()
    oldest_cuda: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}".strip()

    def header_package(self, kernel: str) -> str:
        """The package with the headers of a kernel ("" unknown)."""
        hits = sorted((k for k in self.headers if k and k in kernel), key=len, reverse=True)
        return self.headers.get(hits[0] if hits else "", "").format(release=kernel)

    def compiler(self, kernel: str) -> Compiler | None:
        """The compiler that a kernel needs beside the release's own, or None."""
        return next((c for c in self.compilers if c.kernel in kernel), None)


_GDC = Source("github NVIDIA/gpu-driver-container, github GoogleCloudPlatform/compute-gpu-installation", "2026-11-22")
_UBUNTU_PAGES = Source("packages.ubuntu.com, linux-modules-nvidia pages", "2026-11-22")
_ORACLE = Source("NVIDIA driver installation guide, Oracle Linux", "2026-11-22")
_HOLODECK = Source("github NVIDIA/holodeck nv-driver.go (installs gcc-12; the reason is from memory)", "2026-11-22")
_ALMA = Source("AlmaLinux release notes on its signed NVIDIA modules (third-party copies)", "2026-11-22")
_RHEL = Source("Red Hat documentation of rhel-drivers (third-party copies)", "2026-11-22")
_SUSE = Source("the SUSE NVIDIA packager's guide (sndirsch.github.io)", "2026-02-22")

_SIGNED_DEB = SignedModules(
    "linux-modules-nvidia-{branch}-server{open}-{flavour}",
    (535, 570, 580, 595),
    ("open", "proprietary"),
    "built and signed by Canonical for each kernel",
    _UBUNTU_PAGES,
)
_DEB_HEADERS = {"": "linux-headers-{release}"}
_RPM_HEADERS = {"": "kernel-devel-{release}", "+rt": "kernel-rt-devel-{release}", "+64k": "kernel-64k-devel-{release}"}
_UEK = {**_RPM_HEADERS, "uek": "kernel-uek-devel-{release}"}
_UEK_8 = (Compiler("6.12.", "gcc-toolset-14", "UEK 8 is built with GCC 14, newer than the system's compiler", _ORACLE),)

_UBUNTU_24 = KnownRelease(
    "ubuntu", "24.04", "Ubuntu", vendor=True, headers=_DEB_HEADERS, signed=_SIGNED_DEB, oldest_cuda="12.5"
)
_UBUNTU_22 = replace(
    _UBUNTU_24,
    version="22.04",
    oldest_cuda="11.7",
    compilers=(
        Compiler("6.", "gcc-12", "its newer kernels are built with GCC 12, the release's own is 11", _HOLODECK),
    ),
)
_RHEL_9 = KnownRelease(
    "rhel", "9", "Red Hat Enterprise Linux", vendor=True, headers=_RPM_HEADERS, oldest_cuda="11.4",
    signed=SignedModules("kmod-nvidia-open", (595,), ("open",), "signed by Red Hat, through rhel-drivers", _RHEL),
)  # fmt: skip
_ALMA_9 = replace(
    _RHEL_9,
    id="almalinux",
    name="AlmaLinux",
    signed=SignedModules("nvidia-open-kmod", (), ("open",), "signed by AlmaLinux", _ALMA),
)
_ROCKY_9 = replace(_RHEL_9, id="rocky", name="Rocky Linux", signed=None)
_ORACLE_9 = replace(_ROCKY_9, id="ol", name="Oracle Linux", headers=_UEK, compilers=_UEK_8)
_SIGNED_RPM = SignedModules(
    "nvidia-open-driver-G07-signed-cuda-kmp-{flavour}", (), ("open",), "built and signed by SUSE", _SUSE
)
_SUSE_HEADERS = {"": "kernel-default-devel", "-azure": "kernel-azure-devel", "-longterm": "kernel-longterm-devel"}
_SLES_15 = KnownRelease(
    "sles", "15", "SUSE Linux Enterprise Server", vendor=True, headers=_SUSE_HEADERS, signed=_SIGNED_RPM
)
_FEDORA = KnownRelease("fedora", "43", "Fedora", vendor=True, headers={"": "kernel-devel-{release}"})
_ARCH_HEADERS = {"-lts": "linux-lts-headers", "-zen": "linux-zen-headers", "-hardened": "linux-hardened-headers"}

KNOWN_RELEASES: tuple[KnownRelease, ...] = (
    replace(_UBUNTU_24, version="20.04", oldest_cuda="11.4", signed=replace(_SIGNED_DEB, branches=(535,))),
    _UBUNTU_22,
    _UBUNTU_24,
    replace(_UBUNTU_24, version="26.04", oldest_cuda="13.2", signed=replace(_SIGNED_DEB, branches=(580, 595))),
    KnownRelease("debian", "11", "Debian", vendor=True, headers=_DEB_HEADERS),
    KnownRelease("debian", "12", "Debian", vendor=True, headers=_DEB_HEADERS, oldest_cuda="12.3"),
    KnownRelease("debian", "13", "Debian", vendor=True, headers=_DEB_HEADERS, oldest_cuda="13.0"),
    replace(_RHEL_9, version="8", signed=None),
    _RHEL_9,
    replace(_RHEL_9, version="10", oldest_cuda="12.9"),
    replace(_ALMA_9, version="8", signed=None),
    _ALMA_9,
    replace(_ALMA_9, version="10", oldest_cuda="12.9"),
    replace(_ROCKY_9, version="8"),
    _ROCKY_9,
    replace(_ROCKY_9, version="10", oldest_cuda="12.9"),
    replace(_ORACLE_9, version="8", compilers=()),
    _ORACLE_9,
    replace(_ORACLE_9, version="10", oldest_cuda="12.9", compilers=()),
    _FEDORA,
    replace(_FEDORA, version="44"),
    KnownRelease("amzn", "2023", "Amazon Linux", vendor=True, headers=_RPM_HEADERS, oldest_cuda="12.4"),
    _SLES_15,
    replace(_SLES_15, version="16"),
    replace(_SLES_15, id="opensuse-leap", version="15.6", name="openSUSE Leap"),
    replace(_SLES_15, id="opensuse-leap", version="16.0", name="openSUSE Leap"),
    KnownRelease("arch", "", "Arch Linux", vendor=False, headers={"": "linux-headers", **_ARCH_HEADERS}),
)


def find_release(identity: str | None, version: str | None) -> KnownRelease | None:
    """The row of a release, or None. "9.8" finds row "9"."""
    rows = [r for r in KNOWN_RELEASES if r.id == identity]
    exact = next((r for r in rows if r.version == (version or "")), None)
    return exact or next((r for r in rows if r.version == (version or "").split(".")[0]), None)


def known(identity: str, version: str) -> KnownRelease:
    """The row of a release that is in the table. Raises KeyError."""
    found = find_release(identity, version)
    if found is None:
        raise KeyError(f"{identity} {version}")
    return found
