"""GPU generations by PCI device id: what each chip range needs and allows.

Source: pci.ids codenames (Debian package pci.ids 0.0~2026.10.24), the architecture table of NVIDIA's data-centre driver
documentation, and the README of open-gpu-kernel-modules (open modules: Turing and later). As of 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Generation:
    """An architecture. `open_modules`: "cannot" | "may" | "must". `last_branch` None: still carried by new branches."""

    name: str
    first_branch: int
    last_branch: int | None
    open_modules: str
    why: str


FERMI = Generation("Fermi", 270, 390, "cannot", "last carried by branch 390")
KEPLER = Generation("Kepler", 304, 470, "cannot", "last carried by branch 470")
MAXWELL = Generation(
    "Maxwell", 343, 580, "cannot", "no GSP, so the open modules do not support it; last carried by branch 580"
)
PASCAL = Generation(
    "Pascal", 367, 580, "cannot", "no GSP, so the open modules do not support it; last carried by branch 580"
)
VOLTA = Generation(
    "Volta", 384, 580, "cannot", "no GSP, so the open modules do not support it; last carried by branch 580"
)
TURING = Generation("Turing", 410, None, "may", "both module flavours support it")
AMPERE = Generation("Ampere", 450, None, "may", "both module flavours support it")
ADA = Generation("Ada", 525, None, "may", "both module flavours support it; unknown to branches before 525")
HOPPER = Generation("Hopper", 525, None, "may", "both module flavours support it; unknown to branches before 525")
GRACE_HOPPER = Generation("Grace Hopper", 535, None, "must", "only the open modules support Grace Hopper")
BLACKWELL = Generation(
    "Blackwell", 570, None, "must", "only the open modules support Blackwell; unknown to branches before 570"
)

# (first id, last id, generation). The narrowest range that holds an id decides.
RANGES: tuple[tuple[int, int, Generation], ...] = (
    (0x06C0, 0x0FBF, FERMI),
    (0x1040, 0x109B, FERMI),
    (0x1140, 0x1140, FERMI),
    (0x1200, 0x1251, FERMI),
    (0x0FC0, 0x0FFF, KEPLER),
    (0x1001, 0x103F, KEPLER),
    (0x1180, 0x11FF, KEPLER),
    (0x1280, 0x12BA, KEPLER),
    (0x1340, 0x13AC, MAXWELL),
    (0x13AD, 0x1436, MAXWELL),
    (0x1617, 0x1676, MAXWELL),
    (0x174E, 0x179C, MAXWELL),
    (0x17C2, 0x17FD, MAXWELL),
    (0x15C2, 0x15FF, PASCAL),
    (0x1725, 0x172F, PASCAL),
    (0x1B00, 0x1D56, PASCAL),
    (0x1D81, 0x1DF6, VOLTA),
    (0x1E02, 0x1FF9, TURING),
    (0x2182, 0x21D1, TURING),
    (0x2080, 0x20FF, AMPERE),
    (0x2200, 0x223F, AMPERE),
    (0x2414, 0x25FB, AMPERE),
    (0x2681, 0x28F8, ADA),
    (0x2302, 0x23F0, HOPPER),
    (0x2342, 0x2342, GRACE_HOPPER),
    (0x2348, 0x2348, GRACE_HOPPER),
    (0x2900, 0x29F1, BLACKWELL),
    (0x2B85, 0x2F58, BLACKWELL),
    (0x3180, 0x323E, BLACKWELL),
    (0x22D1, 0x22D1, BLACKWELL),
)


def find_generation(device: int) -> Generation | None:
    """Generation of a PCI device id of vendor 10de, or None when no range holds it."""
    hits = [(last - first, generation) for first, last, generation in RANGES if first <= device <= last]
    return min(hits, key=lambda hit: hit[0])[1] if hits else None
