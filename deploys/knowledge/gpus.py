"""GPU generations by PCI device id: what each chip range needs and allows.

Source: pci.ids codenames (Debian package pci.ids 0.0~2026.10.24), the architecture table of NVIDIA's data-centre driver
documentation, and the README of open-gpu-kernel-modules (open modules: Turing and later). As of 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.records import Source


@dataclass(frozen=True)
class Generation:
    """An architecture, or the chips of one that have limits of their own.

    `capabilities`: compute capabilities. `first_branch`, `last_branch`: driver branches that carry it; last None: still
    carried by new branches. `open_modules`: "cannot" | "may" | "must". `cuda_min`, `cuda_max`: first and last CUDA
    toolkit ("major.minor") that can compile for it; max None: still a target of new toolkits.
    """

    name: str
    capabilities: tuple[str, ...]
    first_branch: int
    last_branch: int | None
    cuda_min: str
    cuda_max: str | None
    open_modules: str
    why: str
    source: Source


_MATRIX = Source("NVIDIA data-centre driver documentation, toolkit, driver and architecture matrix", "2026-11-22")
_NO_GSP = "no GSP, so the open modules do not support it; last carried by branch 580"
_BOTH = "both module flavours support it"

FERMI = Generation("Fermi", ("2.0", "2.1"), 270, 390, "3.0", "8.0", "cannot", "last carried by branch 390", _MATRIX)
KEPLER = Generation("Kepler", ("3.5", "3.7"), 304, 470, "6.0", "11.8", "cannot", "last carried by branch 470", _MATRIX)
MAXWELL = Generation("Maxwell", ("5.0", "5.2"), 343, 580, "6.5", "12.9", "cannot", _NO_GSP, _MATRIX)
PASCAL = Generation("Pascal", ("6.0", "6.1"), 367, 580, "8.0", "12.9", "cannot", _NO_GSP, _MATRIX)
VOLTA = Generation("Volta", ("7.0",), 384, 580, "9.0", "12.9", "cannot", _NO_GSP, _MATRIX)
TURING = Generation("Turing", ("7.5",), 410, None, "10.0", None, "may", _BOTH, _MATRIX)
AMPERE = Generation("Ampere", ("8.0", "8.6"), 450, None, "11.0", None, "may", _BOTH, _MATRIX)
ADA = Generation("Ada", ("8.9",), 525, None, "11.8", None, "may", f"{_BOTH}; unknown to branches before 525", _MATRIX)
HOPPER = Generation(
    "Hopper", ("9.0",), 525, None, "11.8", None, "may", f"{_BOTH}; unknown to branches before 525", _MATRIX
)
GRACE_HOPPER = Generation(
    "Grace Hopper", ("9.0",), 535, None, "11.8", None, "must", "only the open modules support Grace Hopper", _MATRIX
)
BLACKWELL = Generation(
    "Blackwell",
    ("10.0", "12.0"),
    570,
    None,
    "12.8",
    None,
    "must",
    "only the open modules support Blackwell; unknown to branches before 570",
    _MATRIX,
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


def is_newer_than_known(device: int) -> bool:
    """True for a PCI device id of vendor 10de above every known range: a GPU that is newer than this table."""
    return device > max(last for _, last, _ in RANGES)


def is_data_centre(device: int, class_code: int) -> bool:
    """True for a GPU without displays (class 0302): the mark of data-centre parts. `class_code` has 24 bits."""
    return find_generation(device) is not None and class_code >> 8 == 0x0302
