"""Which chip, generation and kind of GPU a PCI id is: products by name, every boundary, every id there is."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.knowledge.gpu_table import RANGES
from deploys.knowledge.gpus import (
    CHIPS,
    EXCEPTIONS,
    NEW_IDS_BEGIN,
    chip_code,
    find_chip,
    find_generation,
    is_data_centre,
    is_newer_than_known,
)

DISPLAY, THREE_D, AUDIO = 0x030000, 0x030200, 0x040300

# id, chip, generation, compute capability, first and last branch, last CUDA, open modules, system
PRODUCTS = [
    (0x0040, "NV", "older than Tesla", None, 71, 304, "0.0", "cannot", ""),  # GeForce 6800 Ultra
    (0x0191, "Tesla", "Tesla", "1.0", 96, 340, "6.5", "cannot", ""),  # GeForce 8800 GTX
    (0x05E7, "Tesla", "Tesla", "1.3", 96, 340, "6.5", "cannot", ""),  # C1060
    (0x06D1, "GF100", "Fermi", "2.0", 270, 390, "8.0", "cannot", ""),  # C2050
    (0x1091, "GF110", "Fermi", "2.0", 270, 390, "8.0", "cannot", ""),  # M2090
    (0x118F, "GK104", "Kepler", "3.0", 304, 470, "10.2", "cannot", ""),  # K10
    (0x0FF2, "GK107", "Kepler", "3.0", 304, 470, "10.2", "cannot", ""),  # GRID K1
    (0x1023, "GK110", "Kepler", "3.5", 304, 470, "11.8", "cannot", ""),  # K40m
    (0x1024, "GK180", "Kepler", "3.5", 304, 470, "11.8", "cannot", ""),  # K40c
    (0x1287, "GK208", "Kepler", "3.5", 304, 470, "11.8", "cannot", ""),  # GeForce GT 730
    (0x102D, "GK210", "Kepler", "3.7", 304, 470, "11.8", "cannot", ""),  # K80
    (0x13BD, "GM107", "Maxwell", "5.0", 340, 580, "12.9", "cannot", ""),  # M10
    (0x13C0, "GM204", "Maxwell", "5.2", 343, 580, "12.9", "cannot", ""),  # GeForce GTX 980
    (0x17FD, "GM200", "Maxwell", "5.2", 343, 580, "12.9", "cannot", ""),  # M40
    (0x15F8, "GP100", "Pascal", "6.0", 367, 580, "12.9", "cannot", ""),  # P100
    (0x1B80, "GP104", "Pascal", "6.1", 367, 580, "12.9", "cannot", ""),  # GeForce GTX 1080
    (0x1DB4, "GV100", "Volta", "7.0", 384, 580, "12.9", "cannot", ""),  # V100
    (0x1EB8, "TU104", "Turing", "7.5", 410, None, None, "may", ""),  # T4
    (0x2182, "TU116", "Turing", "7.5", 410, None, None, "may", ""),  # GeForce GTX 1660 Ti
    (0x20B2, "GA100", "Ampere", "8.0", 450, None, None, "may", ""),  # A100
    (0x2236, "GA102", "Ampere", "8.6", 455, None, None, "may", ""),  # A10
    (0x25B6, "GA107", "Ampere", "8.6", 455, None, None, "may", ""),  # A2
    (0x26B9, "AD102", "Ada", "8.9", 520, None, None, "may", ""),  # L40S
    (0x27B8, "AD104", "Ada", "8.9", 520, None, None, "may", ""),  # L4
    (0x2330, "GH100", "Hopper", "9.0", 520, None, None, "may", ""),  # H100
    (0x2335, "GH100", "Hopper", "9.0", 520, None, None, "may", ""),  # H200
    (0x2342, "GH100", "Grace Hopper", "9.0", 535, None, None, "must", "Grace"),  # GH200
    (0x2348, "GH100", "Grace Hopper", "9.0", 535, None, None, "must", "Grace"),
    (0x2901, "GB100", "Blackwell", "10.0", 570, None, None, "must", ""),  # B200
    (0x2941, "GB100", "Blackwell", "10.0", 570, None, None, "must", "Grace"),  # GB200
    (0x29BC, "GB102", "Blackwell", "10.0", 570, None, None, "must", ""),  # B100
    (0x3182, "GB110", "Blackwell Ultra", "10.3", 580, None, None, "must", ""),  # B300
    (0x31C2, "GB110", "Blackwell Ultra", "10.3", 580, None, None, "must", "Grace"),  # GB300
    (0x2B00, "GB10B", "Blackwell", "11.0", 580, None, None, "must", "Jetson"),  # AGX Thor
    (0x2B85, "GB202", "Blackwell", "12.0", 570, None, None, "must", ""),  # GeForce RTX 5090
    (0x2BB5, "GB202", "Blackwell", "12.0", 570, None, None, "must", ""),  # RTX PRO 6000 Server
    (0x2F04, "GB205", "Blackwell", "12.0", 570, None, None, "must", ""),  # GeForce RTX 5070
    (0x2E12, "GB20B", "Blackwell", "12.1", 580, None, None, "must", "GB10"),  # DGX Spark
    (0x3000, "GR100", "Rubin", "10.7", 615, None, None, "must", ""),
    (0x30FF, "GR102", "Rubin", "10.7", 615, None, None, "must", ""),
]


@pytest.mark.parametrize("row", PRODUCTS, ids=[f"{row[0]:04x}" for row in PRODUCTS])
def test_products(row: tuple[int, str, str, str | None, int, int | None, str | None, str, str]) -> None:
    device, code, name, capability, first, last, cuda_max, open_modules, system = row
    chip = find_chip(device)
    assert chip is not None
    g = chip.generation
    found = (chip.code, g.name, g.first_branch, g.last_branch, g.cuda_max, g.open_modules, chip.system)
    assert found == (code, name, first, last, cuda_max, open_modules, system)
    assert capability is None or capability in g.capabilities
    assert find_generation(device) == g


# (last id of one, first id of the next, what both are): where one generation's ids end and another's begin
@pytest.mark.parametrize(
    ("last", "following", "names"),
    [
        (0x06DF, 0x06E0, ("Fermi", "Tesla")),
        (0x103F, 0x1040, ("Kepler", "Fermi")),
        (0x117F, 0x1180, ("Fermi", "Kepler")),
        (0x11FF, 0x1200, ("Kepler", "Fermi")),
        (0x127F, 0x1280, ("Fermi", "Kepler")),
        (0x133F, 0x1340, ("Kepler", "Maxwell")),
        (0x15FF, 0x1600, ("Pascal", "Maxwell")),
        (0x173F, 0x1740, ("Pascal", "Maxwell")),
        (0x1D7F, 0x1D80, ("Pascal", "Volta")),
        (0x1DFF, 0x1E00, ("Volta", "Turing")),
        (0x1FFF, 0x2000, ("Turing", None)),
        (0x207F, 0x2080, (None, "Ampere")),
        (0x20FF, 0x2100, ("Ampere", None)),
        (0x217F, 0x2180, (None, "Turing")),
        (0x21FF, 0x2200, ("Turing", "Ampere")),
        (0x22FF, 0x2300, (None, "Hopper")),
        (0x233F, 0x2340, ("Hopper", "Grace Hopper")),
        (0x234F, 0x2350, ("Grace Hopper", "Hopper")),
        (0x23FF, 0x2400, ("Hopper", "Ampere")),
        (0x25FF, 0x2600, ("Ampere", None)),
        (0x267F, 0x2680, (None, "Ada")),
        (0x28FF, 0x2900, ("Ada", "Blackwell")),
        (0x2FFF, 0x3000, (None, "Rubin")),
        (0x317F, 0x3180, (None, "Blackwell Ultra")),
        (0x327F, 0x3280, ("Blackwell Ultra", None)),
    ],
)
def test_boundaries(last: int, following: int, names: tuple[str | None, str | None]) -> None:
    found = tuple(g.name if (g := find_generation(device)) else None for device in (last, following))
    assert found == names


@pytest.mark.parametrize("device", [0x22A3, 0x1AF1, 0x22BA, 0x1AD6, 0x228B, 0x22D1, 0x200A, 0x0FBB])
def test_switches_sound_and_bridges_are_no_gpus(device: int) -> None:
    assert (find_chip(device), is_newer_than_known(device)) == (None, False)


@pytest.mark.parametrize(
    ("device", "newer"),
    [
        (0x2AFF, True),  # between chips of Blackwell
        (0x3150, True),
        (0x3340, True),  # GB120, of which no driver is known
        (0x7FFF, True),
        (0xFFFF, True),
        (0x2B85, False),
        (0x3000, False),
        (0x28FF, False),
        (0x2000, False),  # unknown, but between Turing and Ampere
        (0x0000, False),
        (-1, False),
    ],
)
def test_only_ids_after_blackwell_began_can_be_newer(device: int, newer: bool) -> None:
    assert is_newer_than_known(device) is newer


@pytest.mark.parametrize(
    ("device", "class_code", "expected"),
    [
        (0x1EB8, THREE_D, True),  # T4
        (0x2236, THREE_D, True),  # A10
        (0x2235, DISPLAY, True),  # A40 in display mode
        (0x1DB4, DISPLAY, True),  # V100 in a virtual GPU
        (0x26B9, THREE_D, True),  # L40S
        (0x2BB5, THREE_D, True),  # RTX PRO 6000 Server
        (0x2330, THREE_D, True),
        (0x2300, THREE_D, True),  # of a chip that has no other products
        (0x2342, THREE_D, True),
        (0x3182, THREE_D, True),
        (0x1D81, DISPLAY, False),  # TITAN V
        (0x2082, THREE_D, False),  # CMP 170HX
        (0x1D10, THREE_D, False),  # GeForce MX150 in a laptop
        (0x2684, DISPLAY, False),  # GeForce RTX 4090
        (0x2230, DISPLAY, False),  # RTX A6000
        (0x2E12, DISPLAY, False),  # GB10
        (0x2B00, DISPLAY, False),
        (0x2330, AUDIO, False),
        (0x7FFF, THREE_D, False),
    ],
)
def test_data_centre(device: int, class_code: int, expected: bool) -> None:
    assert is_data_centre(device, class_code) is expected


def test_ranges_ascend_and_never_overlap() -> None:
    assert all(first <= last for first, last, _ in RANGES)
    assert [(one, two) for one, two in pairwise(RANGES) if two[0] <= one[1]] == []
    assert [(one, two) for one, two in pairwise(sorted(EXCEPTIONS, key=lambda row: row[0])) if two[0] <= one[1]] == []


def test_every_chip_has_a_generation_and_every_row_a_chip() -> None:
    without = {code for first, _, code in RANGES if find_chip(first) is None}
    assert without == {"GB120"}
    used = {row.code for row in CHIPS if any(code.startswith(row.code) for _, _, code in RANGES)}
    assert {row.code for row in CHIPS} - used == set()


def test_exceptions_lie_inside_the_range_of_their_chip() -> None:
    assert {(first, chip.code) for first, _, chip in EXCEPTIONS} == {
        (first, chip_code(first)) for first, _, _ in EXCEPTIONS
    }
    assert all(chip_code(first) == chip_code(last) for first, last, _ in EXCEPTIONS)


def test_generations_are_whole() -> None:
    every = [row.generation for row in CHIPS] + [chip.generation for _, _, chip in EXCEPTIONS]
    for g in every:
        assert g.why
        assert g.source.title
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", g.source.as_of)
        assert g.last_branch is None or g.first_branch <= g.last_branch
        assert g.open_modules in {"cannot", "may", "must"}
        # Open modules exist from branch 515 on; what ended before can have none.
        assert (g.open_modules == "cannot") == (g.last_branch is not None)
        assert re.fullmatch(r"\d+\.\d", g.cuda_min)
        assert g.cuda_max is None or re.fullmatch(r"\d+\.\d", g.cuda_max)
        assert bool(g.capabilities) == (g.cuda_max != "0.0")


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFF))
def test_any_id_has_one_answer(device: int, class_code: int) -> None:
    holding = [code for first, last, code in RANGES if first <= device <= last]
    assert chip_code(device) == (holding[0] if holding else "")
    assert len(holding) <= 1
    chip = find_chip(device)
    assert chip == find_chip(device)
    assert (chip is None) == (find_generation(device) is None)
    assert chip is None or chip.code == holding[0]
    assert is_newer_than_known(device) is (chip is None and device >= NEW_IDS_BEGIN)
    if is_data_centre(device, class_code):
        assert chip is not None
        assert class_code >> 16 == 0x03
    if chip is not None and device >= NEW_IDS_BEGIN:
        assert chip.generation.open_modules == "must"


@given(st.integers())
def test_numbers_that_are_no_ids(device: int) -> None:
    assert find_chip(device) is None or 0 <= device <= 0xFFFF
