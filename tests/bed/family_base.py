"""The packages that a distribution's own database starts with: names and versions as its releases carry them.

They hold no programs (Debian's are underneath); the kernel's image alone gets its owner. They exist so that rules such as "no transaction may touch the kernel, SSH or systemd" meet the real names.
"""

from __future__ import annotations

from tests.bed.pack import Package

UBUNTU_KERNEL = "6.8.0-48-generic"
ROCKY_KERNEL = "5.14.0-503.14.1.el9_5.x86_64"
FEDORA_KERNEL = "6.17.1-300.fc43.x86_64"
LEAP_KERNEL = "6.4.0-150600.23.53-default"
ARCH_KERNEL = "6.17.8-arch1-1"

# What rpm scriptlets and hand-written dependencies ask of any base system.
_SHELL = ("/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash")
_LIBC = ("libc.so.6()(64bit)", "ld-linux-x86-64.so.2()(64bit)", "/sbin/ldconfig", "rtld(GNU_HASH)")


def _rows(text: str, arch: str = "x86_64") -> tuple[Package, ...]:
    """One package per line: NAME VERSION-REVISION [what it provides, separated by commas]."""
    found = []
    for line in text.strip().splitlines():
        name, version, *rest = line.split(maxsplit=2)
        provides = tuple(part.strip() for part in rest[0].split(",")) if rest else ()
        found.append(Package(name, version, provides=provides, arch=arch))
    return tuple(found)


UBUNTU = _rows(f"""
linux-image-{UBUNTU_KERNEL} 6.8.0-48.48 linux-image
linux-modules-{UBUNTU_KERNEL} 6.8.0-48.48
linux-image-generic 6.8.0-48.48
""")

ROCKY = (
    *_rows(
        """
rocky-release 9.5-1.2.el9 redhat-release = 9.5, system-release = 9.5, system-release(releasever) = 9, base-module(platform:el9)
dnf 4.14.0-17.el9 yum = 4.14.0-17.el9
dnf-plugins-core 4.3.0-16.el9 dnf-command(config-manager)
python3-dnf-plugin-versionlock 4.3.0-16.el9 dnf-command(versionlock)
linux-firmware 20241014-146.1.el9_5
ca-certificates 2024.2.69_v8.0.303-91.4.el9_4
tzdata 2024b-2.el9
""",
        "noarch",
    ),
    *_rows(f"""
kernel 5.14.0-503.14.1.el9_5
kernel-core 5.14.0-503.14.1.el9_5 kernel-uname-r = {ROCKY_KERNEL}
kernel-modules 5.14.0-503.14.1.el9_5 kernel-modules-uname-r = {ROCKY_KERNEL}
kernel-modules-core 5.14.0-503.14.1.el9_5 kernel-modules-core-uname-r = {ROCKY_KERNEL}
systemd 252-46.el9_5.2
systemd-udev 252-46.el9_5.2 udev
openssh 8.7p1-43.el9
openssh-server 8.7p1-43.el9
openssh-clients 8.7p1-43.el9
NetworkManager 1:1.48.10-2.el9_5
glibc 2.34-125.el9_5.1 {", ".join(_LIBC)}
bash 5.1.8-9.el9 {", ".join(_SHELL)}
coreutils 8.32-36.el9 /usr/bin/env, /bin/cp, /bin/rm
python3 3.9.19-8.el9_5.1 /usr/bin/python3, /usr/libexec/platform-python
rpm 4.16.1.3-34.el9
dracut 057-70.git20240819.el9
grubby 8.40-76.el9
grub2-pc 1:2.06-94.el9_5.rocky.0.1
shim-x64 15.8-4.el9_3.rocky.0.2
kmod 28-10.el9
sudo 1.9.5p2-10.el9_3
elfutils-libelf 0.191-4.el9
"""),
)

FEDORA = (
    *_rows(
        """
fedora-release-common 43-26 fedora-release = 43-26, system-release = 43-26, system-release(releasever) = 43, base-module(platform:f43)
linux-firmware 20250917-1.fc43
ca-certificates 2025.2.80_v9.0.304-1.1.fc43
tzdata 2025b-3.fc43
""",
        "noarch",
    ),
    *_rows(f"""
kernel 6.17.1-300.fc43
kernel-core 6.17.1-300.fc43 kernel-uname-r = {FEDORA_KERNEL}
kernel-modules 6.17.1-300.fc43 kernel-modules-uname-r = {FEDORA_KERNEL}
kernel-modules-core 6.17.1-300.fc43 kernel-modules-core-uname-r = {FEDORA_KERNEL}
dnf5 5.2.17.0-1.fc43 dnf = 5.2.17.0-1.fc43, yum = 5.2.17.0-1.fc43
dnf5-plugins 5.2.17.0-1.fc43 dnf5-command(config-manager), dnf-command(config-manager)
systemd 258-1.fc43
systemd-udev 258-1.fc43 udev
openssh 10.0p1-5.fc43
openssh-server 10.0p1-5.fc43
openssh-clients 10.0p1-5.fc43
NetworkManager 1:1.54.0-2.fc43
glibc 2.42-4.fc43 {", ".join(_LIBC)}
bash 5.3.0-2.fc43 {", ".join(_SHELL)}
coreutils 9.7-6.fc43 /usr/bin/env, /bin/cp, /bin/rm
python3 3.14.0-1.fc43 /usr/bin/python3
rpm 6.0.0-1.fc43
dracut 107-4.fc43
grubby 8.40-85.fc43
grub2-pc 1:2.12-40.fc43
kmod 34.2-2.fc43
sudo 1.9.17-5.p1.fc43
elfutils-libelf 0.194-1.fc43
"""),
)

LEAP = (
    *_rows(
        """
openSUSE-release 15.6-lp156.400.2 distribution-release, system-release, suse-release = 15.6
kernel-firmware-all 20240728-150600.3.9.1
ca-certificates-mozilla 2.68-150200.33.1
""",
        "noarch",
    ),
    *_rows(f"""
kernel-default 6.4.0-150600.23.53.1 kernel = 6.4.0-150600.23.53.1, multiversion(kernel)
systemd 254.24-150600.4.28.1
udev 254.24-150600.4.28.1
openssh 9.6p1-150600.6.26.1
openssh-server 9.6p1-150600.6.26.1
wicked 0.6.77-150600.11.21.1
glibc 2.38-150600.14.32.1 {", ".join(_LIBC)}
bash 4.4-150400.27.3.2 {", ".join(_SHELL)}
coreutils 8.32-150400.9.6.1 /usr/bin/env, /bin/cp, /bin/rm
python3-base 3.6.15-150300.10.84.1 /usr/bin/python3
rpm 4.14.3-150400.59.16.1
zypper 1.14.89-150600.10.31.1
libzypp 17.36.7-150600.3.53.1
dracut 059+suse.538.gd6a4b2c3-150600.3.20.2
grub2 2.12-150600.8.15.2
shim 15.8-150300.4.20.2
kmod 29-150600.13.3
sudo 1.9.15p5-150600.3.9.1
libelf1 0.185-150400.5.3.1
"""),
)

ARCH = (
    *_rows(
        """
base 3-2
filesystem 2025.10.12-1
ca-certificates 20240618-1
archlinux-keyring 20251116-1
linux-firmware 20251111-1
mkinitcpio 40-2 initramfs
""",
        "any",
    ),
    *_rows("""
linux 6.17.8.arch1-1
systemd 258.2-2 udev=258.2
openssh 10.2p1-2
glibc 2.42+r33+gde1fe81f4714-1
bash 5.3.3-2 sh
coreutils 9.9-1
python 3.13.7-1
pacman 7.1.0.r7.gb9f7d4a-1 libalpm.so=16-64
gcc 15.2.1+r301+gf24307422d1d-1
gcc-libs 15.2.1+r301+gf24307422d1d-1
make 4.4.1-2
patch 2.8-1
fakeroot 1.37.1.2-1
binutils 2.45.1-1
base-devel 1-2
git 2.52.0-1
kmod 34.2-1
sudo 1.9.17.p2-1
"""),
)
