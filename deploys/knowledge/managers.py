"""Package managers: the words that findings name, and which packages a transaction of ours may remove or must not touch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deploys.knowledge.paths import KEEP_KERNEL

# How a hold of ours is known where the manager has room for words (the scripts of each manager write them): dnf 5 and zypper, the end of a pattern
# in the list of dnf 4, the line before IgnorePkg.
HOLD_MARK = "gpu-host keeps this version"
HOLD_PATTERN_END = ".?*"
IGNORE_MARK = "# gpu-host keeps these versions"


@dataclass(frozen=True)
class Manager:
    """Commands that a person types; `{packages}` is filled in.

    `may_remove`: names (extended regular expression) of driver packages that a transaction may replace. `must_stay`:
    packages that keep the host reachable and bootable, which no transaction of ours changes. `free` releases a hold. `sources_as` is how a repository is
    written down ("deb822" | "repo" | "zypp" | "conf"); `form` is that of packages; `aur`: the Arch User Repository builds packages for it;
    `removes`: a removal by its scripts was seen on real hosts; `keeps`: its scripts keep the packages of a proven set, and can go back to it.
    `keep_kernel`: file and text by which a kernel (`{release}`, an expression) is never removed as no longer needed; dnf protects the running
    kernel (dnf.conf(5), protect_running_kernel), zypper keeps it (multiversion.kernels in zypp.conf). `one_kernel`: a kernel is replaced in
    place, so that there is no other one to go back to.
    """

    name: str
    repair: str
    refresh: str
    clean: str
    install: str
    remove: str
    old_kernels: str
    sources: str
    may_remove: str
    must_stay: str
    free: str
    sources_as: str
    form: str = "deb"
    aur: bool = False
    removes: bool = False
    keeps: bool = False
    keep_kernel: tuple[str, str] = ("", "")
    one_kernel: bool = False

    @property
    def keep(self) -> str:
        """Names of the packages that are kept on the host to go back to: driver, container toolkit and engine; "" none."""
        return rf"{self.may_remove}|^(lib)?nvidia-container|^(docker|containerd)" if self.keeps else ""


# Packages of other driver series, and parts of a driver set; never the container toolkit.
_SERIES = r"(legacy|tesla)-"
_DEB_DRIVER = (
    r"^(nvidia-(driver|dkms|kernel|headless|compute|utils|firmware|open|persistenced|modprobe|settings|fabricmanager|imex|smi)($|-)"
    r"|nvidia-alternative$|libnvsdm|libnvidia-(compute|cfg1|common|decode|encode|extra|fbc1|gl|gpucomp|nscq|ptxjitcompiler1|nvvm4|ml1)($|-)"
    rf"|linux-(modules|objects|signatures)-nvidia-|nvidia-{_SERIES}|libnvidia-{_SERIES}|libcuda1$|cuda-drivers|firmware-nvidia-|nvidia-(open-)?kernel-)"
)
_STAY = "openssh-server|systemd$|systemd-boot|dracut$|sudo$"

APT = Manager(
    name="apt",
    repair="dpkg --configure -a && apt-get --fix-broken install",
    refresh="apt-get update",
    clean="apt-get clean",
    install="apt-get install {packages}",
    remove="apt-get purge {packages}",
    old_kernels="apt-get autoremove --purge",
    sources="/etc/apt/sources.list",
    may_remove=_DEB_DRIVER,
    must_stay=(
        rf"^({_STAY}|linux-image-|systemd-sysv|udev$|dbus$|ifupdown|netplan|network-manager|dhcpcd|isc-dhcp-client|cloud-init"
        r"|grub-|shim-|initramfs-tools$)"
    ),
    free="apt-mark unhold {packages}",
    sources_as="deb822",
    removes=True,
    keeps=True,
    keep_kernel=(
        KEEP_KERNEL,
        (
            "// Written by gpu-host: the kernel that proved itself last, while a newer one has not.\n"
            'APT::NeverAutoRemove {{ "^linux-(image|headers|modules|modules-extra)-(unsigned-)?{release}$"; }};\n'
        ),
    ),
)

_RPM_DRIVER = (
    r"^(nvidia-(driver|kmod|open|persistenced|modprobe|settings|fabric-?manager|imex|compute|gl|video|common|libXNVCtrl|xconfig)($|-)"
    r"|libnvidia-(ml|cfg|fbc|gpucomp|nscq)|libnvsdm|kmod-nvidia|dkms-nvidia|cuda-drivers|(x11-)?nvidia-(gl|video|compute)-G|xorg-x11-nvidia)"
)
_RPM_STAY = (
    r"|kernel([0-9.]+)?(-uek|-64k|-rt)?(-core|-modules(-core)?|-default|-longterm)?$|systemd-udev$|udev$|NetworkManager|wicked|dbus(-broker|-1)?$"
    r"|grub2|shim|grubby$|cloud-init|rpm$|dnf5?$|zypper$|libzypp$|glibc$"
)

DNF = Manager(
    name="dnf4",
    repair="dnf check; rpm --rebuilddb; dnf distro-sync",
    refresh="dnf makecache --refresh",
    clean="dnf clean packages",
    install="dnf install {packages}",
    remove="dnf remove {packages}",
    old_kernels="dnf remove --oldinstallonly",
    sources="/etc/yum.repos.d",
    may_remove=_RPM_DRIVER,
    must_stay=rf"^({_STAY}{_RPM_STAY})",
    free="dnf versionlock delete {packages}",
    sources_as="repo",
    form="rpm",
    removes=True,
    keeps=True,
)
DNF5 = replace(DNF, name="dnf5")
ZYPPER = Manager(
    name="zypper",
    repair="rpm --rebuilddb; zypper verify",
    refresh="zypper refresh",
    clean="zypper clean",
    install="zypper install {packages}",
    remove="zypper remove {packages}",
    old_kernels="zypper purge-kernels",
    sources="/etc/zypp/repos.d",
    may_remove=_RPM_DRIVER,
    must_stay=rf"^({_STAY}{_RPM_STAY})",
    free="zypper removelock {packages}",
    sources_as="zypp",
    form="rpm",
    removes=True,
    keeps=True,
)
PACMAN = Manager(
    name="pacman",
    repair="rm /var/lib/pacman/db.lck (where no pacman runs); pacman -Dk",
    refresh="pacman -Syu",
    clean="pacman -Sc",
    install="pacman -S {packages}",
    remove="pacman -Rs {packages}",
    old_kernels="pacman -Rs the kernels that are not used",
    sources="/etc/pacman.conf",
    may_remove=r"^(nvidia(-[0-9]+xx)?(-open|-lts)?(-dkms|-utils|-settings)?$|opencl-nvidia|lib32-nvidia-utils)",
    must_stay=rf"^({_STAY}|linux(-lts|-zen|-hardened)?$|networkmanager|dhcpcd|iwd|openssh$|mkinitcpio$|grub$|pacman$|glibc$|dbus)",
    form="pkg",
    sources_as="conf",
    free="take {packages} out of IgnorePkg in /etc/pacman.conf",
    aur=True,
    one_kernel=True,
    removes=True,
    keeps=True,
)

MANAGERS: dict[str, Manager] = {m.name: m for m in (APT, DNF, DNF5, ZYPPER, PACMAN)}


def manager(name: str | None) -> Manager:
    """The words of a package manager; apt's where the manager is unknown."""
    return MANAGERS.get(name or "", APT)
