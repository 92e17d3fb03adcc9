"""Package sources, keys and the rehearsal of the transaction that they feed."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from deploys.operations import files, packages
from deploys.operations.needed import when_needed
from deploys.plan.plan import Plan


@deploy("Sources")
def prepare(plan: Plan, limit: int) -> None:
    """The transaction is rehearsed before the first change; then sources, keys and our own files are written."""
    when_needed(packages.rehearsed, "The transaction is rehearsed in an overlay", plan=plan, limit=limit)
    when_needed(files.edited, "The host's own sources carry the components that the driver needs", files=plan.sources)
    when_needed(files.owned, "Our own files are in place", files=plan.files, proxy=plan.proxy)
