"""A bare host of every supported release: the recording of a bare Debian host, with the answers of that release's own tools in place.

Used by inventories/lab.py and by the tests. What is replaced: os-release, kernels, boot menu, boot image, packages, locks, package
index and sources; the machine itself (firmware, PCI bus, disks) is that of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facts.sections import replace_section

RECORDINGS = Path(__file__).resolve().parent / "recordings"


@dataclass(frozen=True)
class Release:
    """What such a host answers. `name` is that of the recorded host; `image` the boot image (template with `{release}`)."""

    name: str
    id: str
    version: str
    pretty: str
    codename: str
    kernel: str
    manager: str
    image: str
    packages: tuple[tuple[str, str], ...]
    sources: tuple[str, str]


_APT_IMAGE = "/boot/initrd.img-{release}"
_DRACUT = "/boot/initramfs-{release}.img"
_DEB = (("apt", "2.7.14"), ("dpkg", "1.22.6"), ("systemd", "255.4-1"), ("initramfs-tools", "0.142"))
_RPM = (("systemd", "252-46.el9"), ("dracut", "057-70.git20240819.el9"), ("grub2-common", "1:2.06-92.el9"))
_ARCH = (("systemd", "258.2-1"), ("mkinitcpio", "39.2-3"), ("grub", "2:2.12-3"))


def _ubuntu(version: str, codename: str, kernel: str) -> Release:
    source = f"Types: deb\nURIs: http://archive.example/ubuntu\nSuites: {codename} {codename}-updates\nComponents: main universe\n"
    kernels = ((f"linux-image-{kernel}", "1"),)
    return Release(
        f"ubuntu-{version}", "ubuntu", version, f"Ubuntu {version} LTS", codename, kernel, "apt", _APT_IMAGE,
        (*_DEB, *kernels), ("/etc/apt/sources.list.d/ubuntu.sources", source),
    )  # fmt: skip


def _rpm(identity: str, version: str, pretty: str, kernel: str, manager: str = "dnf4") -> Release:
    source = f"[baseos]\nname={pretty}\nbaseurl=http://mirror.example/{identity}/{version}/BaseOS/x86_64/os\nenabled=1\ngpgcheck=1\n"
    if identity == "rhel":
        source += f"[epel]\nname=EPEL\nbaseurl=http://mirror.example/epel/{version.split('.', maxsplit=1)[0]}/Everything/x86_64\nenabled=1\ngpgcheck=1\n"
    release = kernel.rsplit(".", 1)[0]
    kernels = (("kernel-core", release), ("kernel-modules-core", release))
    return Release(
        f"{identity}-{version}", identity, version, pretty, "", kernel, manager, _DRACUT,
        (*_RPM, *kernels), (f"/etc/yum.repos.d/{identity}.repo", source),
    )  # fmt: skip


def _suse(identity: str, version: str, pretty: str, kernel: str) -> Release:
    source = f"[repo-oss]\nname={pretty}\nbaseurl=http://mirror.example/{identity}/{version}/repo/oss\nenabled=1\n"
    return Release(
        f"{identity}-{version}", identity, version, pretty, "", kernel, "zypper", "/boot/initrd-{release}",
        (*_RPM, ("kernel-default", kernel.removesuffix("-default"))), ("/etc/zypp/repos.d/repo-oss.repo", source),
    )  # fmt: skip


def _arch(identity: str, pretty: str, kernel: str, package: str = "linux") -> Release:
    return Release(
        identity, identity, "", pretty, "", kernel, "pacman", f"/boot/initramfs-{package}.img",
        (*_ARCH, (package, kernel)), ("/etc/pacman.conf", "[options]\nArchitecture = auto\n[extra]\nInclude = /etc/pacman.d/mirrorlist\n"),
    )  # fmt: skip


def _debian(version: str, codename: str, kernel: str) -> Release:
    source = (
        f"Types: deb\nURIs: http://deb.example.org/debian\nSuites: {codename} {codename}-updates\nComponents: main\n"
    )
    return Release(
        f"debian-{version}", "debian", version, f"Debian GNU/Linux {version} ({codename})", codename, kernel, "apt", _APT_IMAGE,
        (*_DEB, (f"linux-image-{kernel}", "1")), ("/etc/apt/sources.list.d/debian.sources", source),
    )  # fmt: skip


_EL8, _EL9, _EL10 = "4.18.0-553.el8_10.x86_64", "5.14.0-570.12.1.el9_6.x86_64", "6.12.0-55.9.1.el10_0.x86_64"

RELEASES: tuple[Release, ...] = (
    _ubuntu("22.04", "jammy", "5.15.0-140-generic"),
    _ubuntu("24.04", "noble", "6.8.0-60-generic"),
    _ubuntu("26.04", "resolute", "7.0.0-14-generic"),
    _debian("12", "bookworm", "6.1.0-50-amd64"),
    _debian("13", "trixie", "6.12.107+deb13-amd64"),
    _rpm("rhel", "8.10", "Red Hat Enterprise Linux 8.10", _EL8),
    _rpm("rhel", "9.6", "Red Hat Enterprise Linux 9.6", _EL9),
    _rpm("rhel", "10.0", "Red Hat Enterprise Linux 10.0", _EL10),
    _rpm("rocky", "8.10", "Rocky Linux 8.10", _EL8),
    _rpm("rocky", "9.6", "Rocky Linux 9.6", _EL9),
    _rpm("rocky", "10.0", "Rocky Linux 10.0", _EL10),
    _rpm("almalinux", "8.10", "AlmaLinux 8.10", _EL8),
    _rpm("almalinux", "9.6", "AlmaLinux 9.6", _EL9),
    _rpm("almalinux", "10.0", "AlmaLinux 10.0", _EL10),
    _rpm("ol", "8.10", "Oracle Linux Server 8.10", "5.15.0-307.178.5.el8uek.x86_64"),
    _rpm("ol", "9.6", "Oracle Linux Server 9.6", "5.15.0-307.178.5.el9uek.x86_64"),
    _rpm("ol", "10.0", "Oracle Linux Server 10.0", "6.12.0-100.28.2.el10uek.x86_64"),
    _rpm("centos", "9", "CentOS Stream 9", "5.14.0-592.el9.x86_64"),
    _rpm("centos", "10", "CentOS Stream 10", "6.12.0-99.el10.x86_64"),
    _rpm("fedora", "43", "Fedora Linux 43", "6.17.8-300.fc43.x86_64", "dnf5"),
    _rpm("fedora", "44", "Fedora Linux 44", "6.19.10-300.fc44.x86_64", "dnf5"),
    _rpm("amzn", "2023", "Amazon Linux 2023", "6.12.25-32.101.amzn2023.x86_64"),
    _suse("sles", "15.6", "SUSE Linux Enterprise Server 15 SP6", "6.4.0-150600.23.25-default"),
    _suse("sles", "15.7", "SUSE Linux Enterprise Server 15 SP7", "6.4.0-150700.53.3-default"),
    _suse("sles", "16.0", "SUSE Linux Enterprise Server 16.0", "6.12.0-160000.5-default"),
    _suse("opensuse-leap", "15.6", "openSUSE Leap 15.6", "6.4.0-150600.23.25-default"),
    _suse("opensuse-leap", "16.0", "openSUSE Leap 16.0", "6.12.0-160000.5-default"),
    _arch("arch", "Arch Linux", "6.17.9-arch1-1"),
    _arch("endeavouros", "EndeavourOS", "6.17.9-arch1-1"),
    _arch("manjaro", "Manjaro Linux", "6.12.58-1-MANJARO", "linux612"),
)


def recording(release: Release) -> str:
    """What the probe answers on such a host."""
    text = (RECORDINGS / "debian-12-bare.txt").read_text(encoding="ascii")
    for subject, answer in _answers(release).items():
        text = replace_section(text, subject, answer)
    return text


def _answers(release: Release) -> dict[str, str]:
    kernel, image = release.kernel, release.image.format(release=release.kernel)
    packages = [f"package\tii \t{name}\t{version}\tx86_64" for name, version in release.packages]
    path, text = release.sources
    return {
        "distribution": _lines(
            f'os PRETTY_NAME="{release.pretty}"',
            f"os ID={release.id}",
            *([f'os VERSION_ID="{release.version}"'] if release.version else []),
            *([f"os VERSION_CODENAME={release.codename}"] if release.codename else []),
        ),
        "kernels": _lines(f"running {kernel}", "boot-readable", f"modules {kernel}", f"image {kernel}"),
        "bootmenu": "\n",
        "initramfs": _lines(
            "looked", f"image {kernel} {image}", "packed TRAILER!!!", "packed usr/lib/modules/nouveau.ko"
        ),
        "packages": _lines(f"manager {release.manager}", *packages, "listed 296", "audited 0"),
        "locks": "\n",
        "candidates": "\n",
        "sources": _lines(f"file {path} {len(text)} plain", *(f"> {line}" for line in text.splitlines())),
    }


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
