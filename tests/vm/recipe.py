"""What is inside the base image: packages, files, hooks. Everything here is part of the image's cache key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bed.furnish import COUNTER, COUNTER_TEXT, SSHD_TEXT
from tests.vm import driver, kernels, network

if TYPE_CHECKING:
    from tests.vm.mirrors import Mirrors

SUITE = "trixie"
PACKAGES = (
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "procps",
    "iproute2",
    "openssh-server",
    "ca-certificates",
    "zstd",
    "e2fsprogs",
    "initramfs-tools",
    "linux-image-amd64",
    "grub-pc",
)
# What the tests of the whole tier start from; "kernels" and "pull" are made when they are asked for.
VARIANTS = ("", "driver")
# What inventories/pull/cloud-init.yaml asks for, so that an emulated guest need not unpack it.
PULL_PACKAGES = ("cloud-init", "git", "python3", "python3-venv")
# vendor:device:class:subvendor:subdevice. Ids from the public PCI id list: A100 SXM4 40GB and Tesla T4.
A100 = "10de:20b0:030200:10de:144e"
T4 = "10de:1eb8:030200:10de:12a2"
DEVICES = (A100, T4)

# A boot image that lists nouveau, made natively; making it in an emulated guest takes a minute.
NOUVEAU_INITRD = "/var/lib/gpu-host-vm/initrd-with-nouveau"
INITRAMFS_MODULES = "/etc/initramfs-tools/modules"
EXECUTABLE = (COUNTER,)
KERNEL_OPTIONS = "console=ttyS0 net.ifnames=0 loglevel=5 mitigations=off"
FAKEPCI = Path(__file__).parent / "fakepci"


@dataclass(frozen=True)
class Recipe:
    """One base image. `nameservers`: addresses that the guest asks.

    `variant`: "driver" (NVIDIA's driver is installed, not blocked), "pull" (that, and cloud-init), "kernels" (a stand-in
    driver, a second kernel) or "".
    """

    mirrors: Mirrors
    nameservers: tuple[str, ...]
    variant: str = ""

    def key(self) -> str:
        """Twelve hexadecimal digits that change with anything that changes the image."""
        built = [FAKEPCI / "Makefile", FAKEPCI / "fakepci.c"]
        built += [Path(kernels.__file__)] if self.variant == "kernels" else []
        text = repr((self.packages(), self.files(), EARLY_HOOKS, self.late_hooks(), [p.read_text() for p in built]))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def packages(self) -> tuple[str, ...]:
        more = {"driver": driver.PACKAGES, "pull": driver.PACKAGES + PULL_PACKAGES, "kernels": kernels.PACKAGES}
        return PACKAGES + more.get(self.variant, ())

    @property
    def has_driver(self) -> bool:
        """Is NVIDIA's driver in it?"""
        return self.variant in ("driver", "pull")

    def sources(self) -> str:
        """The image's package sources, while it is made and afterwards."""
        return self.mirrors.sources(SUITE, driver.COMPONENTS if self.variant else ("main",))

    def late_hooks(self) -> tuple[str, ...]:
        """Run by mmdebstrap with the root's path as $1, after the packages are installed."""
        online = (_ONLINE_HOOK,) if self.variant == "pull" else ()
        return (*_LATE_HOOKS, *online, *(driver.HOOKS if self.has_driver else ()), _NOUVEAU_HOOK)

    def files(self) -> dict[str, str]:
        """Path inside the guest -> content. None of them is a conffile of a package."""
        files = {
            "etc/hostname": "gpuvm\n",
            "etc/hosts": "127.0.0.1 localhost gpuvm\n",
            "etc/fstab": "LABEL=root / ext4 defaults,noatime 0 1\n",
            "etc/resolv.conf": "".join(f"nameserver {server}\n" for server in self.nameservers),
            "etc/apt/sources.list.d/debian.sources": self.sources(),
            "etc/apt/apt.conf.d/90mirror": self.mirrors.apt_conf(),
            # Few modules and the quickest compressor: update-initramfs runs in an emulated machine.
            "etc/initramfs-tools/conf.d/small": "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n",
            "usr/share/initramfs-tools/modules.d/gpu-host-vm": "virtio_pci\nvirtio_blk\next4\n",
            "etc/modules-load.d/fakepci.conf": "fakepci\n",
            "etc/modprobe.d/fakepci.conf": f"options fakepci ids={','.join(DEVICES)}\n",
            "etc/default/grub.d/50-vm.cfg": _grub(),
            # Every remote command leaves a line, so that tests can count them.
            "etc/ssh/sshd_config.d/00-bed.conf": SSHD_TEXT,
            COUNTER: COUNTER_TEXT,
        }
        files |= kernels.FILES if self.variant == "kernels" else {}
        # Without a seed cloud-init stays off; with one it must leave the address as it is.
        files |= (
            {"etc/cloud/cloud.cfg.d/99-network.cfg": "network: {config: disabled}\n"} if self.variant == "pull" else {}
        )
        return files | {f"etc/systemd/network/10-slot{slot}.network": _network(slot) for slot in network.SLOTS}


def _grub() -> str:
    return (
        "GRUB_TIMEOUT=0\nGRUB_RECORDFAIL_TIMEOUT=0\nGRUB_TERMINAL=serial\n"
        'GRUB_SERIAL_COMMAND="serial --speed=115200"\nGRUB_CMDLINE_LINUX_DEFAULT=""\n'
        f'GRUB_CMDLINE_LINUX="{KERNEL_OPTIONS}"\n'
    )


def _network(slot: int) -> str:
    return (
        f"[Match]\nMACAddress={network.mac(slot)}\n\n[Network]\nLinkLocalAddressing=no\n"
        f"Address={network.address(slot)}/{network.PREFIX_LENGTH}\nGateway={network.GATEWAY}\n"
    )


# As the late hooks, before the packages of the list are installed.
EARLY_HOOKS = ("echo 'grub-pc grub-pc/install_devices_empty boolean true' | chroot \"$1\" debconf-set-selections",)
_NOUVEAU = f"""
cp {INITRAMFS_MODULES} /tmp/modules
echo nouveau >> {INITRAMFS_MODULES}
mkdir -p {Path(NOUVEAU_INITRD).parent}
mkinitramfs -o {NOUVEAU_INITRD} "$(ls /boot | sed -n "s/^vmlinuz-//p")"
mv /tmp/modules {INITRAMFS_MODULES}
"""
_LATE_HOOKS = (
    'rm -f "$1"/etc/resolv.conf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/0000*',
    'rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/ssh/ssh_host_rsa_key* "$1"/etc/ssh/ssh_host_ecdsa_key*',
    'chroot "$1" systemctl enable systemd-networkd',
    'chroot "$1" systemctl disable systemd-networkd-wait-online',
    'chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer',
)
# cloud-init fetches its data once, so it has to wait for the network as it does in the images of clouds.
_ONLINE_HOOK = 'chroot "$1" systemctl enable systemd-networkd-wait-online'
_NOUVEAU_HOOK = f"chroot \"$1\" sh -ec '{_NOUVEAU}'"
