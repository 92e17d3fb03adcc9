"""GPU generations by PCI device id: what each chip needs and allows.

Three tables: `gpu_table.py` (generated) says which ids belong to which chip; `CHIPS` says which generation a chip is of;
`EXCEPTIONS` are ids inside a chip's range that are another kind of product. The generations hold the limits.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from deploys.knowledge.gpu_table import DATA_CENTRE, RANGES
from deploys.knowledge.records import Source


@dataclass(frozen=True)
class Generation:
    """An architecture, or the chips of one that have limits of their own (they share its name).

    `capabilities`: compute capabilities. `first_branch`, `last_branch`: driver branches that carry it; last None: still
    carried by new branches. `open_modules`: "cannot" | "may" | "must". `cuda_min`, `cuda_max`: first and last CUDA
    toolkit ("major.minor") that compiles for it; max None: still a target of new toolkits; "0.0": none ever did.
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


@dataclass(frozen=True)
class Chip:
    """A chip, or all whose code begins with `code`.

    `system`: "" for GPUs on cards and boards; "Grace" (NVIDIA's server CPU), "GB10" or "Jetson" where the GPU is part of such
    a system. `data_centre`: True when no product of it is for desktops or laptops.
    """

    code: str
    generation: Generation
    system: str = ""
    data_centre: bool = False


_MATRIX = Source("NVIDIA data-centre driver documentation: CUDA toolkit, driver and architecture matrix", "2026-11-22")
_OPEN = Source("open-gpu-kernel-modules: README and chips of the tags 515.105.01 to 595.45.04", "2026-11-22")
_TARGETS = Source(
    "open-gpu-kernel-modules: README; CUDA release notes; CMake's architectures per toolkit", "2026-11-22"
)
_LEGACY = Source("id lists of Debian's nvidia-detect 550.163.01; CUDA release notes", "2026-11-22")
_RUBIN = Source("driver installation guide 615 and ptxas of CUDA 13.4; in no open module up to 595.45.04", "2026-11-22")

_NO_GSP = "no GSP, so the open modules do not support it; last carried by branch 580"
_BOTH = "both module flavours support it"

OLDEST = Generation("older than Tesla", (), 71, 304, "0.0", "0.0", "cannot", "last carried by branch 304", _LEGACY)
TESLA = Generation(
    "Tesla", ("1.0", "1.1", "1.2", "1.3"), 96, 340, "1.0", "6.5", "cannot", "last carried by branch 340", _LEGACY
)
FERMI = Generation("Fermi", ("2.0", "2.1"), 270, 390, "3.0", "8.0", "cannot", "last carried by branch 390", _MATRIX)
KEPLER_30 = Generation("Kepler", ("3.0",), 304, 470, "6.0", "10.2", "cannot", "last carried by branch 470", _MATRIX)
KEPLER = Generation("Kepler", ("3.5", "3.7"), 304, 470, "6.0", "11.8", "cannot", "last carried by branch 470", _MATRIX)
MAXWELL_50 = Generation("Maxwell", ("5.0",), 340, 580, "6.5", "12.9", "cannot", _NO_GSP, _MATRIX)
MAXWELL = Generation("Maxwell", ("5.2",), 343, 580, "6.5", "12.9", "cannot", _NO_GSP, _MATRIX)
PASCAL = Generation("Pascal", ("6.0", "6.1"), 367, 580, "8.0", "12.9", "cannot", _NO_GSP, _MATRIX)
VOLTA = Generation("Volta", ("7.0",), 384, 580, "9.0", "12.9", "cannot", _NO_GSP, _MATRIX)
TURING = Generation("Turing", ("7.5",), 410, None, "10.0", None, "may", _BOTH, _OPEN)
AMPERE_80 = Generation("Ampere", ("8.0",), 450, None, "11.0", None, "may", _BOTH, _OPEN)
AMPERE = Generation("Ampere", ("8.6",), 455, None, "11.1", None, "may", _BOTH, _TARGETS)
ADA = Generation("Ada", ("8.9",), 520, None, "11.8", None, "may", f"{_BOTH}; unknown to branches before 520", _TARGETS)
HOPPER = Generation(
    "Hopper", ("9.0",), 520, None, "11.8", None, "may", f"{_BOTH}; unknown to branches before 520", _TARGETS
)
GRACE_HOPPER = Generation(
    "Grace Hopper", ("9.0",), 535, None, "11.8", None, "must", "only the open modules support Grace Hopper", _OPEN
)


def _blackwell(name: str, capability: str, first_branch: int, cuda_min: str) -> Generation:
    why = f"only the open modules support Blackwell; unknown to branches before {first_branch}"
    return Generation(name, (capability,), first_branch, None, cuda_min, None, "must", why, _TARGETS)


BLACKWELL_100 = _blackwell("Blackwell", "10.0", 570, "12.8")
# Branch 575 knows the chips GB110, GB112 and GB20B; their products are listed from 580 on.
BLACKWELL_ULTRA = _blackwell("Blackwell Ultra", "10.3", 580, "12.9")
BLACKWELL_THOR = _blackwell("Blackwell", "11.0", 580, "13.0")
BLACKWELL = _blackwell("Blackwell", "12.0", 570, "12.8")
BLACKWELL_121 = _blackwell("Blackwell", "12.1", 580, "12.9")
RUBIN = Generation(
    "Rubin",
    ("10.7",),
    615,
    None,
    "13.4",
    None,
    "must",
    "first carried by branch 615, which has open modules only",
    _RUBIN,
)

# The longest code that a chip's name begins with decides. GB120 has no row: nothing public says what carries it.
CHIPS: tuple[Chip, ...] = (
    Chip("NV", OLDEST),
    Chip("Tesla", TESLA),
    Chip("GF", FERMI),
    Chip("GK", KEPLER_30),
    Chip("GK11", KEPLER),
    Chip("GK18", KEPLER),
    Chip("GK20", KEPLER),
    Chip("GK21", KEPLER, data_centre=True),
    Chip("GM10", MAXWELL_50),
    Chip("GM20", MAXWELL),
    Chip("GP", PASCAL),
    Chip("GV", VOLTA),
    Chip("TU", TURING),
    Chip("GA100", AMPERE_80, data_centre=True),
    Chip("GA10", AMPERE),
    Chip("AD", ADA),
    Chip("GH", HOPPER, data_centre=True),
    Chip("GB10", BLACKWELL_100, data_centre=True),
    Chip("GB10B", BLACKWELL_THOR, system="Jetson"),
    Chip("GB11", BLACKWELL_ULTRA, data_centre=True),
    Chip("GB20", BLACKWELL),
    Chip("GB20B", BLACKWELL_121, system="GB10"),
    Chip("GR", RUBIN, data_centre=True),
)

# (first id, last id, chip): products whose limits or surroundings are not those of their chip.
EXCEPTIONS: tuple[tuple[int, int, Chip], ...] = (
    # GH200: all its products lie in these sixteen ids.
    (0x2340, 0x234F, Chip("GH100", GRACE_HOPPER, system="Grace", data_centre=True)),
    # CMP 170HX, a mining card
    (0x2082, 0x2082, Chip("GA100", AMPERE_80)),
    (0x20C2, 0x20C2, Chip("GA100", AMPERE_80)),
    # GB200, GB300
    (0x2941, 0x2941, Chip("GB100", BLACKWELL_100, system="Grace", data_centre=True)),
    (0x31A1, 0x31A1, Chip("GB110", BLACKWELL_ULTRA, system="Grace", data_centre=True)),
    (0x31C2, 0x31C3, Chip("GB110", BLACKWELL_ULTRA, system="Grace", data_centre=True)),
)

# Ids were given in blocks, upwards. From here on every known GPU is Blackwell or newer.
NEW_IDS_BEGIN = min(first for first, _, code in RANGES if code.startswith("GB"))

_FIRSTS = tuple(first for first, _, _ in RANGES)


def chip_code(device: int) -> str:
    """Name of the chip whose range holds a PCI device id of vendor 10de: "GA100"; "" when none does."""
    at = bisect_right(_FIRSTS, device) - 1
    return RANGES[at][2] if at >= 0 and device <= RANGES[at][1] else ""


@lru_cache(4096)
def find_chip(device: int) -> Chip | None:
    """The row of a PCI device id of vendor 10de, with the chip's whole name as `code`; None when there is none."""
    code = chip_code(device)
    for first, last, chip in EXCEPTIONS:
        if first <= device <= last:
            return chip
    rows = [chip for chip in CHIPS if code.startswith(chip.code)]
    if not rows:
        return None
    row = max(rows, key=lambda chip: len(chip.code))
    return Chip(code, row.generation, row.system, row.data_centre)


def find_generation(device: int) -> Generation | None:
    """Generation of a PCI device id of vendor 10de, or None when nothing here knows it."""
    chip = find_chip(device)
    return chip.generation if chip else None


def is_newer_than_known(device: int) -> bool:
    """True for a GPU that nothing here knows and whose id lies where only Blackwell and newer ones are.

    Such a GPU needs the open modules and, as far as anything can be said, the newest branch. Ask for GPUs only: audio
    functions and switches have ids there too.
    """
    return device >= NEW_IDS_BEGIN and find_chip(device) is None


def is_data_centre(device: int, class_code: int) -> bool:
    """True for a data-centre GPU, which CUDA's forward compatibility asks for. `class_code` has 24 bits.

    Decided by chip and product, not by class: laptop GPUs without a display are 0302 as well, and data-centre ones
    are 0300 in display mode and in virtual GPUs. A product that the table does not name is none, which only costs
    forward compatibility.
    """
    chip = find_chip(device)
    return class_code >> 16 == 0x03 and chip is not None and (chip.data_centre or device in DATA_CENTRE)
