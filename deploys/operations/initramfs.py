"""nouveau kept out of every boot image: rebuilt once per image, then listed again to prove it."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

from pyinfra.api.operation import operation

from deploys.plan.machine import Machine
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.logged import logged_unit
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def unblocked(now: Machine) -> tuple[str, ...]:
    """Kernel releases whose boot image does not carry the block; images that cannot be listed count as such."""
    return tuple(k.release for k in now.kernels.installed if k.initramfs and k.initramfs.blocked is not True)


def rebuild_script(releases: tuple[str, ...]) -> str:
    """Rebuild each image, then list it: the block must be inside (the image of a stale block is no success)."""
    unproven = "{{ echo 'the new boot image of {} does not carry the block of nouveau'; exit 1; }}"
    lines = ["export LC_ALL=C", "set -u"]
    for release in releases:
        name = shlex.quote(release)
        lines += [
            f"update-initramfs -u -k {name} || exit 1",
            f"lsinitramfs /boot/initrd.img-{name} | grep -q 'etc/modprobe.d/gpu-host-nouveau.conf' || {unproven.format(release)}",
        ]
    return "\n".join(lines) + "\n"


@operation()
@guarded
@changing
def nouveau_blocked(limit: int) -> Commands:
    """Every boot image carries the block of nouveau; images that already do are left alone.

    + limit: seconds for all images together
    """
    releases = unblocked(machine())
    if releases:
        yield from logged_unit("initramfs", rebuild_script(releases), limit)
    else:
        this_host().noop("every boot image carries the block")
