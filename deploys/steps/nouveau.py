"""nouveau kept away from the GPUs: in the boot images too."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import initramfs
from deploys.operations.needed import when_needed


@deploy("nouveau")
def block(limit: int) -> None:
    """Every boot image carries the block, proven by listing it."""
    when_needed(initramfs.nouveau_blocked, "nouveau is blocked in every boot image", limit=limit)
