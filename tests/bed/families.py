"""What the roots of the test hosts are made of: one row per distribution.

Debian's are themselves. Every other one is Debian underneath with that distribution's own package manager (as Debian
packages it), os-release, kernel names and package database on top. Fedora needs Debian testing, the first with dnf5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bed import family_base
from tests.bed.pack import Package


@dataclass(frozen=True)
class Image:
    """Where a distribution keeps a kernel's files, `{release}` being the kernel's, and the tool that makes its image."""

    kernel: str
    initramfs: str
    tool: str  # "initramfs-tools", "dracut", "mkinitcpio"


DEBIAN_IMAGE = Image("boot/vmlinuz-{release}", "boot/initrd.img-{release}", "initramfs-tools")


@dataclass(frozen=True)
class Family:
    """A row. `suite` is the Debian release underneath, `archives` which of its archives are used ("main" alone for
    testing). `release` and `version` are what uname answers ("" = as the Debian kernel), `compiler` what /proc/version
    names. `base` are the packages that its own database starts with, `kernel_package` the one among them that owns the
    kernel's image; `files` and `links` are paths of the root.
    """

    name: str
    suite: str
    manager: str = "apt"
    archives: tuple[str, ...] = ("main", "updates", "security")
    packages: tuple[str, ...] = ("initramfs-tools",)
    os_release: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    release: str = ""
    version: str = ""
    compiler: str = "(debian-kernel@lists.debian.org) (gcc (Debian) , GNU ld)"
    image: Image = DEBIAN_IMAGE
    kernel_package: str = ""
    base: tuple[Package, ...] = ()

    @property
    def debian(self) -> bool:
        return not self.os_release


_UBUNTU = """PRETTY_NAME="Ubuntu 24.04.3 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04.3 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=noble
"""
_ROCKY = """NAME="Rocky Linux"
VERSION="9.5 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.5"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.5 (Blue Onyx)"
CPE_NAME="cpe:/o:rocky:rocky:9::baseos"
ROCKY_SUPPORT_PRODUCT="Rocky-Linux-9"
REDHAT_SUPPORT_PRODUCT="Rocky Linux"
REDHAT_SUPPORT_PRODUCT_VERSION="9.5"
"""
_FEDORA = """NAME="Fedora Linux"
VERSION="43 (Server Edition)"
RELEASE_TYPE=stable
ID=fedora
VERSION_ID=43
PLATFORM_ID="platform:f43"
PRETTY_NAME="Fedora Linux 43 (Server Edition)"
CPE_NAME="cpe:/o:fedoraproject:fedora:43"
VARIANT="Server Edition"
VARIANT_ID=server
"""
_LEAP = """NAME="openSUSE Leap"
VERSION="15.6"
ID="opensuse-leap"
ID_LIKE="suse opensuse"
VERSION_ID="15.6"
PRETTY_NAME="openSUSE Leap 15.6"
CPE_NAME="cpe:/o:opensuse:leap:15.6"
"""
_ARCH = """NAME="Arch Linux"
PRETTY_NAME="Arch Linux"
ID=arch
BUILD_ID=rolling
"""
_DNF_CONF = "[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest={best}\nskip_if_unavailable=False\n"
_LEAP_PRODUCT = """<?xml version="1.0" encoding="UTF-8"?>
<product schemeversion="0">
  <vendor>openSUSE</vendor>
  <name>Leap</name>
  <version>15.6</version>
  <release>1</release>
  <endoflife>2026-04-30</endoflife>
  <arch>x86_64</arch>
  <cpeid>cpe:/o:opensuse:leap:15.6</cpeid>
  <productline>Leap</productline>
  <register><target>openSUSE-Leap-15.6-x86_64</target><flavor/></register>
  <summary>openSUSE Leap 15.6</summary>
  <shortsummary>openSUSE Leap</shortsummary>
</product>
"""
_PACMAN_CONF = """[options]
HoldPkg = pacman glibc
Architecture = auto
CheckSpace
ParallelDownloads = 5
DownloadUser = alpm
SigLevel = Required DatabaseOptional
LocalFileSigLevel = Optional

# the distribution's repositories, filled in by a test: Include = /etc/pacman.d/mirrorlist
"""
_LOADER = {
    "etc/ld.so.conf.d/lib64.conf": "/usr/lib64\n"
}  # where rpm families keep libraries; Debian's loader does not look there
_RPM_TOOLS = ("rpm", "gpg", "gpg-agent", "dracut")

_ROWS = (
    Family("bookworm", "bookworm"),
    Family("trixie", "trixie"),
    Family(
        "ubuntu",
        "trixie",
        os_release=_UBUNTU,
        files={
            "etc/lsb-release": 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\nDISTRIB_CODENAME=noble\nDISTRIB_DESCRIPTION="Ubuntu 24.04.3 LTS"\n',
            "etc/debian_version": "trixie/sid\n",
            "etc/issue.net": "Ubuntu 24.04.3 LTS\n",
            "etc/apt/sources.list": "# Ubuntu sources have moved to /etc/apt/sources.list.d/ubuntu.sources\n",
        },
        release=family_base.UBUNTU_KERNEL,
        version="#48-Ubuntu SMP PREEMPT_DYNAMIC Fri Sep 27 14:04:52 UTC 2024",
        compiler="(buildd@lcy02-amd64-001) (x86_64-linux-gnu-gcc-13 (Ubuntu 13.2.0-23ubuntu4) 13.2.0, GNU ld (GNU Binutils for Ubuntu) 2.42)",
        kernel_package=f"linux-image-{family_base.UBUNTU_KERNEL}",
        base=family_base.UBUNTU,
    ),
    Family(
        "rocky",
        "trixie",
        "dnf",
        packages=("dnf", "dnf-plugins-core", *_RPM_TOOLS),
        os_release=_ROCKY,
        files={
            "etc/rocky-release": "Rocky Linux release 9.5 (Blue Onyx)\n",
            "etc/dnf/dnf.conf": _DNF_CONF.format(best="True"),
            "etc/yum.repos.d/.keep": "",
            "etc/dnf/protected.d/dnf.conf": "dnf\n",
            "etc/dnf/protected.d/systemd.conf": "systemd\nsystemd-udev\n",
            **_LOADER,
        },
        links={
            "etc/redhat-release": "rocky-release",
            "etc/system-release": "rocky-release",
            "usr/bin/yum": "dnf-3",
            "usr/libexec/platform-python": "../bin/python3",
        },
        release=family_base.ROCKY_KERNEL,
        version="#1 SMP PREEMPT_DYNAMIC Fri Nov 15 12:04:32 UTC 2024",
        compiler="(mockbuild@builder.invalid) (gcc (GCC) 11.5.0 20240719 (Red Hat 11.5.0-2), GNU ld version 2.35.2-54.el9)",
        image=Image("boot/vmlinuz-{release}", "boot/initramfs-{release}.img", "dracut"),
        kernel_package="kernel-core",
        base=family_base.ROCKY,
    ),
    Family(
        "fedora",
        "forky",
        "dnf5",
        archives=("main",),
        packages=("dnf5", *_RPM_TOOLS),
        os_release=_FEDORA,
        files={
            "etc/fedora-release": "Fedora release 43 (Forty Three)\n",
            "etc/dnf/dnf.conf": "[main]\n",
            "etc/yum.repos.d/.keep": "",
            "etc/dnf/protected.d/systemd.conf": "systemd\nsystemd-udev\n",
            **_LOADER,
        },
        links={
            "etc/redhat-release": "fedora-release",
            "etc/system-release": "fedora-release",
            "usr/bin/dnf": "dnf5",
            "usr/bin/yum": "dnf5",
        },
        release=family_base.FEDORA_KERNEL,
        version="#1 SMP PREEMPT_DYNAMIC Mon Oct  6 18:37:20 UTC 2025",
        compiler="(mockbuild@builder.invalid) (gcc (GCC) 15.2.1 20250808 (Red Hat 15.2.1-1), GNU ld version 2.45-1.fc43)",
        image=Image("boot/vmlinuz-{release}", "boot/initramfs-{release}.img", "dracut"),
        kernel_package="kernel-core",
        base=family_base.FEDORA,
    ),
    Family(
        "leap",
        "trixie",
        "zypper",
        packages=("zypper", *_RPM_TOOLS),
        os_release=_LEAP,
        files={
            "etc/products.d/Leap.prod": _LEAP_PRODUCT,
            "etc/zypp/repos.d/.keep": "",
            **_LOADER,
        },
        links={"etc/products.d/baseproduct": "Leap.prod"},
        release=family_base.LEAP_KERNEL,
        version="#1 SMP PREEMPT_DYNAMIC Tue Jun 10 09:00:41 UTC 2025 (a1b2c3d)",
        compiler="(geeko@buildhost) (gcc (SUSE Linux) 7.5.0, GNU ld (GNU Binutils; SUSE Linux Enterprise 15) 2.43.1)",
        image=Image("boot/vmlinuz-{release}", "boot/initrd-{release}", "dracut"),
        kernel_package="kernel-default",
        base=family_base.LEAP,
    ),
    Family(
        "arch",
        "trixie",
        "pacman",
        packages=(
            "pacman-package-manager",
            "makepkg",
            "archlinux-keyring",
            "gpg",
            "gpg-agent",
            "gpgconf",
            "sudo",
            "git",
            "fakeroot",
            "binutils",
            "gcc",
            "libc6-dev",
            "make",
            "patch",
            "libarchive-tools",
            "file",
            "gettext-base",
            "curl",
            "cpio",
            "dracut",
        ),
        os_release=_ARCH,
        files={
            "etc/arch-release": "",
            "etc/pacman.conf": _PACMAN_CONF,
            "etc/pacman.d/mirrorlist": "",
        },
        release=family_base.ARCH_KERNEL,
        version="#1 SMP PREEMPT_DYNAMIC Fri, 14 Nov 2025 06:54:20 +0000",
        compiler="(linux@archlinux) (gcc (GCC) 15.2.1 20251112, GNU ld (GNU Binutils) 2.45.1)",
        image=Image("boot/vmlinuz-linux", "boot/initramfs-linux.img", "mkinitcpio"),
        kernel_package="linux",
        base=family_base.ARCH,
    ),
)  # fmt: skip

FAMILIES: Mapping[str, Family] = {row.name: row for row in _ROWS}
