"""nouveau kept away from the GPUs: in the boot images too."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import initramfs


@deploy("nouveau")
def block(limit: int) -> None:
    """Every boot image carries the block, proven by listing it."""
    initramfs.nouveau_blocked(name="nouveau is blocked in every boot image", limit=limit)
