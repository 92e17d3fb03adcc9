"""DECIDE: what an uninstall takes away: what is ours by the host's own records, and nothing else. Pure.

Files of the host are rewritten only where our edit is as we left it. Data (images, volumes, models, the monitoring's figures) stays.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from deploys.knowledge.managers import MANAGERS, manager
from deploys.knowledge.paths import DAEMON_JSON, INSTALLED_RECORD, LOG_DIR, OWNED_FILES, PULL_CONFIG, PULL_UNITS
from deploys.plan.daemon_json import DaemonJsonError, read
from deploys.plan.edits import read_edits, undo_json, undo_text
from deploys.plan.files import KEEP, FileChange
from deploys.plan.finding import Finding, stop
from deploys.plan.holds import ours as ours_held
from deploys.plan.machine import Footprint, Machine
from deploys.plan.reboot import busy
from deploys.plan.settings import Settings

_DRAINED = "its work was moved away (gpu_drain), and stays so: call it back by hand (gpu_undrain) where it can do without a GPU"
# Engines, whose data is not ours to delete.
ENGINE = "^(docker|containerd|moby)"


@dataclass(frozen=True)
class Removal:
    """What leaves one host. `rewrites` are files of the host without our edits, `deleted` files, `held` packages that we hold; `left` says what stays and why,
    `drained` what becomes of work that was moved away.

    `stops` are the reasons why nothing may be done.
    """

    packages: tuple[str, ...] = ()
    rewrites: tuple[FileChange, ...] = ()
    deleted: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    drained: str = ""
    held: tuple[str, ...] = ()
    stops: tuple[Finding, ...] = ()

    @property
    def nothing(self) -> bool:
        ours = (self.packages, self.rewrites, self.deleted, self.disabled, self.services, self.containers, self.held)
        return not any(ours)


def make_removal(machine: Machine, found: Footprint, settings: Settings) -> Removal:
    """What an uninstall does to a host with these traces of ours."""
    rewrites, deleted, left = _edits(machine, found)
    ours = settings.uninstall_services
    containers = tuple(sorted(found.containers or {}))
    if not ours and (found.services or containers):
        left += [
            f"services of ours: {', '.join((*found.services, *containers))} (gpu_uninstall_services = True removes them)"
        ]
    if PULL_CONFIG in found.paths:
        left += [f"{PULL_CONFIG}: settings with which this machine provisioned itself"]
    left += [f"logs in {LOG_DIR}; images, volumes and data of containers"]
    return Removal(
        packages=tuple(found.packages),
        held=tuple(h.name for h in ours_held(machine)),
        rewrites=tuple(rewrites),
        deleted=(*deleted, *(p for p in found.paths if p in (*OWNED_FILES, *PULL_UNITS))),
        drained=_DRAINED if machine.boot.drained else "",
        disabled=tuple(u for u in found.enabled if u != "gpu-host-devices.service"),
        services=found.services if ours else (),
        containers=containers if ours else (),
        left=tuple(left),
        stops=tuple(_stops(machine, found, settings)),
    )


def _edits(machine: Machine, found: Footprint) -> tuple[list[FileChange], list[str], list[str]]:
    """Files of the host with our edits taken back, files that leave, and what stays because somebody has changed it since."""
    rewrites: list[FileChange] = []
    deleted: list[str] = []
    left: list[str] = []
    for source in machine.packages.sources:
        edits = read_edits(found.edits, source.path)
        if edits and source.content is not None:
            text, stay = undo_text(source.path, source.content, edits)
            left += [
                f"{source.path}: changed since: {' / '.join(part.split())}" for part in stay if part in source.content
            ]
            if text != source.content:
                rewrites.append(FileChange(source.path, text, "our components leave", KEEP))
    edits = read_edits(found.edits, DAEMON_JSON)
    file = machine.docker.daemon_json
    if edits and machine.docker.daemon_json_exists and file is not None and file.content is not None:
        try:
            before = read(file.content)
        except DaemonJsonError as error:
            return rewrites, deleted, [*left, f"{DAEMON_JSON}: {error}"]
        document, stay = undo_json(before, edits)
        left += [f"{DAEMON_JSON}: {key} was changed since" for key in stay if key.split(".")[0] in before]
        if document is None:
            deleted.append(DAEMON_JSON)
        elif document != before:
            rewrites.append(FileChange(DAEMON_JSON, json.dumps(document, indent=4) + "\n", "our keys leave", KEEP))
    return rewrites, deleted, left


def _stops(machine: Machine, found: Footprint, settings: Settings) -> list[Finding]:
    """Why nothing may be removed now."""
    stops = []
    name = machine.packages.manager or "unknown"
    if found.packages and (name not in MANAGERS or not MANAGERS[name].removes):
        stops.append(
            stop(
                "uninstall_supported",
                f"{name} is the package manager of this host",
                f"one of {', '.join(m.name for m in MANAGERS.values() if m.removes)}: an uninstall by another one is not proven yet",
                f"remove by hand what {INSTALLED_RECORD} lists",
            )
        )
    held = [h.name for h in machine.packages.holds if not h.ours and h.name in found.packages]
    if held:
        stops.append(
            stop(
                "no_foreign_hold",
                f"packages that came with this toolkit are held by somebody else: {', '.join(held)}",
                "nobody else wants them to stay",
                f"where they may leave: {manager(name).free.format(packages=' '.join(held))}",
            )
        )
    users = busy(machine)
    if users and "gpu_idle_before_driver_change" not in settings.accept:
        stops.append(
            stop(
                "gpu_idle_before_driver_change",
                f"the GPUs are in use by {users}",
                "nobody uses them: their driver leaves",
                'end that work, or gpu_accept = ["gpu_idle_before_driver_change"] in this host\'s data',
            )
        )
    engine = sorted(n for n in found.packages if re.match(ENGINE, n))
    ours = set(found.containers or {}) if settings.uninstall_services else set()
    running = machine.docker.running
    mine = len([n for n in ours if (found.containers or {})[n] == "running"])
    if engine and machine.docker.engine and running is None:
        stops.append(stop("no_container_ended", "the engine could not be asked", "an answer of dockerd", "docker ps"))
    elif engine and (running or 0) > mine:
        stops.append(
            stop(
                "no_container_ended",
                f"{(running or 0) - mine} containers run, and their engine ({', '.join(engine)}) would leave",
                "no container that would be ended",
                "docker stop those that are not needed (docker ps); model services of ours leave with gpu_uninstall_services = True",
            )
        )
    return stops


def describe_removal(removal: Removal, name: str) -> str:
    """The page that a person approves."""
    rows = [
        ("packages", f"{len(removal.packages)}: {', '.join(removal.packages)}" if removal.packages else ""),
        ("services", ", ".join((*removal.services, *removal.containers))),
        ("disable", ", ".join(removal.disabled)),
        *(("restore", f"{change.path}: {change.why}") for change in removal.rewrites),
        *(("delete", path) for path in removal.deleted),
        ("drained", removal.drained),
        *(("stays", text) for text in removal.left),
    ]
    return "\n".join([f"{name}: uninstall", *(f"    {label:<14}{text}" for label, text in rows if text)])
