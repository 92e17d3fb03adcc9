"""An uninstall."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import initramfs, removal
from deploys.plan.removal import Removal


@deploy("Uninstall")
def remove(leaving: Removal, limit: int) -> None:
    """Nothing is touched before the whole removal was simulated; what it was made from is forgotten last."""
    removal.simulated(name="The removal takes nothing that is not ours", removal=leaving, limit=limit)
    removal.services_gone(name="Services of ours are gone", removal=leaving)
    removal.packages_gone(name="Packages that came with this toolkit are gone", removal=leaving, limit=limit)
    removal.holds_gone(name="Nothing is held by us any more")
    removal.edits_gone(name="Our files and edits are gone", removal=leaving)
    initramfs.nouveau_released(name="No boot image carries our block of nouveau", limit=limit)
    removal.forgotten(name="The records of what was ours are gone", removal=leaving)
