"""What a host remembers of its proof: written only where it differs, so that a second run changes nothing."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.operation import operation

from deploys.knowledge.paths import BOOT_IMAGES, PROVEN_BEFORE, PROVEN_RECORD
from deploys.operations.files import write
from deploys.operations.needed import is_asked, note
from deploys.plan.files import FileChange
from deploys.plan.plan import Plan
from deploys.plan.proven import ProvenSet
from deploys.plan.remember import REMEMBERED_SUBJECTS, boot_image_notes, proven_back, proven_now
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.outcome import current
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]

# The older record is copied before the new one takes its place; what is cut off in between is done again by the next run.
_KEEP = f'cp -p "$f" {PROVEN_BEFORE}.gpu-host-new && mv -f {PROVEN_BEFORE}.gpu-host-new {PROVEN_BEFORE}'


@operation()
@guarded
@changing
def remembered(plan: Plan | None = None, target: ProvenSet | None = None) -> Commands:
    """A host that is ready remembers what it consists of, and what it consisted of when another set was proven before.

    + plan: the host's plan
    + target: without a plan, the proven set that it went back to; so the two records change places
    """
    if not is_asked() and current().state != "ready":
        this_host().noop("not proven")
        return
    now = machine()
    unread = [f"{name}: {now.unknown[name]}" for name in REMEMBERED_SUBJECTS if name in now.unknown]
    if unread:
        note(f"ready, and not remembered, as a part of it could not be read: {'; '.join(unread)}")
        return
    proven = proven_now(plan, now) if plan else proven_back(target or ProvenSet(), now)
    if proven.is_same_set(now.proven):
        this_host().noop(f"this set was proven at {now.proven.time if now.proven else ''}")
        return
    change = FileChange(PROVEN_RECORD, proven.text(), "what was proven")
    yield write(change, _KEEP if now.proven else ":")


@operation()
@guarded
@changing
def boot_images_noted() -> Commands:
    """A host that is ready remembers what is inside its boot images, so that no later run has to unpack them."""
    text = boot_image_notes(machine())
    if not text or not (is_asked() or current().state == "ready"):
        this_host().noop("nothing new")
        return
    yield write(FileChange(BOOT_IMAGES, text, "what is inside the boot images"))
