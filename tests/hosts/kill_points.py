"""Kill points, chosen by a seed, and what two hosts at the end of the same road have in common."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.bed.snapshot import Entry, Snapshot

UNITS = ("rehearsal", "transaction", "initramfs")
KINDS = ("controller", "connection", "step", "power", "cable")


@dataclass(frozen=True)
class Point:
    """A kill point, as chosen by the seed: `place` counts among the strata of the road, `fraction` is how far into it."""

    number: int
    family: str
    kind: str
    place: int
    fraction: float

    def __str__(self) -> str:
        return f"point-{self.number:03}"


def choose(seed: int, count: int, families: tuple[str, ...]) -> list[Point]:
    """Points in strata: the families in turn (one that is named twice has twice as many), the kinds evenly over each, the places
    evenly over the kinds; how far into its place each one is, is left to the seed.
    """
    dice = random.Random(seed)
    kinds = {name: dice.sample(KINDS, len(KINDS)) for name in dict.fromkeys(families)}
    turns = {name: dice.randrange(1000) for name in kinds}
    points = []
    for number in range(count):
        name = families[number % len(families)]
        turns[name] += 1
        points.append(Point(number, name, kinds[name][turns[name] % len(KINDS)], turns[name], dice.random()))
    return points


def strata(labels: Mapping[str, str], counts: Mapping[str, int]) -> list[str]:
    """The places of the road in their order: each remote command once, each unit several times, since more can go wrong there.

    `labels` has the commands in the order of the road, `counts` the programs that each place starts.
    """
    commands = [number for number in labels if number in counts]
    units = [unit for unit in UNITS if unit in counts]
    every = max(1, len(commands) // (4 * len(units)))
    found: list[str] = []
    for number, command in enumerate(commands):
        if number % every == 0:
            found += [units[(number // every) % len(units)]]
        found.append(command)
    return found


def final(entries: Snapshot) -> dict[str, Entry]:
    """What two hosts on which the same was done have in common: everything but times and what is written by the clock."""
    found = {}
    for name, entry in entries.items():
        if name.startswith(_PASSING):
            continue
        read = entry.digest if name.startswith(("/etc", "package ")) or entry.kind in ("link", "modules") else ""
        if entry.kind == "service":
            read = entry.digest.partition(" ")[0]
        size = entry.size if name.startswith("/etc") else 0
        found[name] = Entry(entry.kind, entry.mode, entry.owner, 0, size, read)
    return found


_PASSING = (
    "/etc/.updated",
    "/etc/hostmask",
    "/etc/ld.so.cache",
    "/etc/machine-id",
    "/etc/mtab",
    "/usr/lib/sysimage",
    "/var/lib/apt",
    "/var/lib/dnf",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/lib/systemd",
    "/var/lib/zypp",
    "/root/.",
    # Whether one of them was needed depends on the boot.
    "service systemd-",
)


def proof(said: Mapping[str, Any]) -> tuple[str, ...]:
    """What a run has said of the host. Of silicon only is something missing: no kernel loads a stand-in's module."""
    return (f"{said['state']}: {said['detail']}", *(f"{s['name']} {s['result']} {s['detail']}" for s in said["steps"]))
