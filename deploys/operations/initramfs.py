"""nouveau kept out of every boot image: rebuilt once per image, then listed again to prove it."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from typing import Any

from pyinfra.api.operation import operation

from deploys.knowledge.paths import NOUVEAU_BLOCK
from deploys.plan.machine import Machine
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.logged import logged_unit
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def unblocked(now: Machine) -> tuple[str, ...]:
    """Kernel releases whose boot image does not carry the block; images that cannot be listed count as such."""
    return tuple(k.release for k in now.kernels.installed if k.initramfs and k.initramfs.blocked is not True)


# Which program makes an image is told by its name: initramfs-tools, dracut and mkinitcpio each have their own.
_BUILD = r"""
export LC_ALL=C
set -u
build() { # RELEASE IMAGE
    case $2 in
    /boot/initrd.img-*) update-initramfs -u -k "$1" ;;
    */initramfs-"$1".img | */initrd-"$1") dracut --force "$2" "$1" ;;
    # Arch names images after the kernel's package; the preset of that package says who makes it.
    /boot/initramfs-*.img)
        package=$(cat "/usr/lib/modules/$1/pkgbase") || return 1
        if [ -e "/etc/mkinitcpio.d/$package.preset" ]; then mkinitcpio -p "$package"; else dracut --force "$2" "$1"; fi ;;
    *) echo "it is not known what makes the boot image $2" >&2; return 1 ;;
    esac
}
names() {
    case $1 in
    /boot/initrd.img-*) lsinitramfs "$1" ;;
    */initramfs-linux*.img) lsinitcpio "$1" || lsinitrd "$1" ;;
    *) lsinitrd "$1" ;;
    esac
}
renew() { # RELEASE IMAGE BLOCKED
    build "$1" "$2" || exit 1
    found=$(names "$2" | grep -c 'etc/modprobe.d/gpu-host-nouveau.conf')
    case $3$found in yes0) echo "the new boot image of $1 does not carry the block of nouveau"; exit 1 ;;
    no0 | yes*) return 0 ;; esac
    echo "the new boot image of $1 still carries the block of nouveau"; exit 1
}
"""


def rebuild_script(images: Mapping[str, str], *, blocked: bool = True) -> str:
    """Rebuild each image (release -> path), then list it: the block must be inside, or gone (an image as it was is no success)."""
    word = "yes" if blocked else "no"
    calls = [f"renew {shlex.quote(release)} {shlex.quote(path)} {word}" for release, path in images.items()]
    return "\n".join([_BUILD, *calls]) + "\n"


@operation()
@guarded
@changing
def nouveau_blocked(limit: int) -> Commands:
    """Every boot image carries the block of nouveau; images that already do are left alone.

    + limit: seconds for all images together
    """
    now = machine()
    images = {k.release: k.initramfs.path for k in now.kernels.installed if k.initramfs and k.release in unblocked(now)}
    if images:
        yield from logged_unit("initramfs", rebuild_script(images), limit)
    else:
        this_host().noop("every boot image carries the block")


@operation()
@guarded
@changing
def nouveau_released(limit: int) -> Commands:
    """No boot image carries our block of nouveau any more. Images that something else keeps it out of are not judged.

    + limit: seconds for all images together
    """
    now = machine()
    block = now.files.get(NOUVEAU_BLOCK)
    images = {k.release: k.initramfs.path for k in now.kernels.installed if k.initramfs and k.initramfs.blocked}
    if images and block is not None and not block.sha256:
        yield from logged_unit("initramfs", rebuild_script(images, blocked=False), limit)
    else:
        this_host().noop("no boot image to rebuild")
