"""DECIDE: what a host that has just been proven is to remember of it."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from deploys.knowledge.managers import manager
from deploys.knowledge.packages import ENGINE_PARTS
from deploys.knowledge.paths import DAEMON_JSON, OWNED_FILES
from deploys.knowledge.vendors import toolkit
from deploys.plan.daemon_json import DaemonJsonError, in_file, managed, managed_value, read
from deploys.plan.holds import ours
from deploys.plan.machine import Machine
from deploys.plan.plan import Plan
from deploys.plan.proven import ProvenSet
from deploys.plan.versions import branch_of

# Parts of a plan that are no part of what was proven: they change with every update of the distribution.
_TOOLS = ("headers",)

# What must have been read of a host, or the record would lack a part and seem to be one of another set.
REMEMBERED_SUBJECTS = ("boot", "kernels", "pci", "driver", "packages", "holds", "files", "units", "docker", "toolkit")


def proven_now(plan: Plan, machine: Machine) -> ProvenSet:
    """The set that a host consists of at this moment. The time is the host's own."""
    loaded = machine.driver.loaded or ""
    clock = machine.boot.clock
    return ProvenSet(
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock or 0)),
        boot_id=machine.boot.boot_id or "",
        kernel=machine.kernels.running or "",
        driver=loaded,
        flavour=machine.driver.loaded_flavour or "",
        branch=branch_of(loaded),
        manager=machine.packages.manager or "",
        packages=_packages(plan, machine),
        gpus={gpu.address: gpu.id for gpu in machine.gpus},
        files=file_digests(machine),
        daemon_json=_daemon_json(plan, machine),
        services=tuple(u for u in plan.services if u in machine.units and machine.units[u].active == "active"),
        holds=tuple(h.name for h in ours(machine)),
        engine=machine.docker.engine or "",
        toolkit=machine.toolkit.version or "",
    )


def boot_image_notes(machine: Machine) -> str:
    """The text of BOOT_IMAGES; "" where nothing is to be added to what stands there."""
    images = [
        k.initramfs for k in machine.kernels.installed if k.initramfs and k.initramfs.readable and k.initramfs.identity
    ]
    if all(image.remembered for image in images):
        return ""
    return "".join(
        f"{i.identity} {'nouveau' if i.nouveau else '-'} {'blocked' if i.blocked else '-'} {i.path}\n" for i in images
    )


def proven_back(target: ProvenSet, machine: Machine) -> ProvenSet:
    """A host that went back to that set and was proven again: what the set names, as it is at this moment."""
    loaded = machine.driver.loaded or ""
    file = machine.docker.daemon_json
    try:
        document = read(file.content if file else None)
    except DaemonJsonError:
        document = {}
    keys = {key: managed_value(document, key) for key in target.daemon_json}
    return replace(
        target,
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(machine.boot.clock or 0)),
        boot_id=machine.boot.boot_id or "",
        kernel=machine.kernels.running or "",
        driver=loaded,
        flavour=machine.driver.loaded_flavour or "",
        branch=branch_of(loaded),
        packages={n: version for n in target.packages if (version := machine.packages.version(n))},
        gpus={gpu.address: gpu.id for gpu in machine.gpus},
        files=file_digests(machine),
        daemon_json={key: value for key, value in keys.items() if value},
        services=tuple(u for u in target.services if u in machine.units and machine.units[u].active == "active"),
        holds=tuple(h.name for h in ours(machine)),
        engine=machine.docker.engine or "",
        toolkit=machine.toolkit.version or "",
    )


def _packages(plan: Plan, machine: Machine) -> dict[str, str]:
    """What the plan asks for, what belongs to a driver or an engine by its name, and the parts of the toolkit: whatever of it is installed."""
    tools = {p for c in plan.capabilities if c.name in _TOOLS for p in c.packages}
    asked = {*plan.packages.wanted, *plan.packages.holds, *plan.packages.same_version} - tools
    by_name = [manager(plan.distro.manager).may_remove, *([ENGINE_PARTS] if plan.docker else [])]
    family = re.compile("|".join(by_name))
    names = [n for n in machine.packages.installed if n in asked or n in toolkit.DEB.packages or family.search(n)]
    return {n: version for n in sorted(names) if (version := machine.packages.version(n))}


def file_digests(machine: Machine) -> dict[str, str]:
    """Each file of ours that is there, with its sha256; none of what only root may read, as that may be a password's."""
    there = [s for path in OWNED_FILES if (s := machine.files.get(path)) and s.sha256 and path != DAEMON_JSON]
    return {s.path: s.sha256 if int(s.mode or "0", 8) & 0o004 else "" for s in there}


def _daemon_json(plan: Plan, machine: Machine) -> dict[str, str]:
    text = machine.docker.daemon_json.content if machine.docker.daemon_json else None
    try:
        return managed(text, in_file(machine.docker, plan.daemon))
    except DaemonJsonError:
        return {}
