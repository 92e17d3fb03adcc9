#!/usr/bin/env python3
"""Write deploys/knowledge/gpu_table.py from a pci.ids file: chip ranges, and which products are for data centres.

    tools/make_gpu_table.py [PCI_IDS] [OUTPUT]     default: /usr/share/misc/pci.ids (Debian package pci.ids)

Plain Python, nothing to install. Read the difference with git before committing: a chip that is new in it needs a
row in CHIPS of deploys/knowledge/gpus.py, else its GPUs are refused as unknown.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PCI_IDS = Path("/usr/share/misc/pci.ids")
OUTPUT = Path(__file__).resolve().parents[1] / "deploys" / "knowledge" / "gpu_table.py"

# "GA104GLM [RTX A3000 Mobile]": letters after the digits say where the chip is sold (mobile, workstation), not what it is.
CHIP = re.compile(r"((?:GF|GK|GM|GP|GV|TU|GA|AD|GH|GB|GR)[0-9]{2}[0-9A-F])[A-Z]*\b")
TESLA = re.compile(r"(G8|G9|GT2)[0-9]|(C7[789]|MCP7[A-Z0-9]*|MCP89) \[[^]]*\]$")
OLDER = re.compile(r"(NV[0-9]|G7[0-9])|C[567][0-9A-Z]* \[[^]]*\]$")
FUNCTION = re.compile(r"\b(Audio|USB|NVSwitch|Bridge|Controller|RP)\b", re.IGNORECASE)
# Engineering samples by a working title; they lie inside the block of their chip.
SAMPLE = re.compile(r"GB[0-9]-[0-9]+\b")
# Products of chips that are sold for other purposes too.
DATA_CENTRE = re.compile(r"\[((Tesla|GRID)\b|[AL][0-9]{1,2}[A-Z]?\b|T4G\]|[^]]*Server Edition\])")

# NVIDIA gives a chip an aligned block of 128 ids, older ones 64.
BLOCKS = (128, 64)

Range = tuple[int, int, str]


@dataclass(frozen=True)
class PciIds:
    """What pci.ids says of vendor 10de. `gpus`: id -> chip; `others`: ids of other functions; `data_centre`: ids."""

    version: str
    gpus: dict[int, str]
    others: frozenset[int]
    data_centre: frozenset[int]


def devices(text: str) -> Iterator[tuple[int, str]]:
    """Device ids and names of vendor 10de; subsystem lines are left out."""
    ours = False
    for line in text.splitlines():
        if re.match(r"[0-9a-f]{4}  ", line):
            ours = line.startswith("10de ")
        elif ours and (found := re.match(r"\t([0-9a-f]{4})  (.+)", line)):
            yield int(found.group(1), 16), found.group(2)


def chip_of(name: str) -> str:
    """Chip of a GPU's name; the oldest, which no branch of today carries, share "Tesla" and "NV"; "" for no GPU."""
    if FUNCTION.search(name):
        return ""
    if found := CHIP.match(name):
        return found.group(1)
    return "Tesla" if TESLA.match(name) else "NV" if OLDER.match(name) else ""


def parse(text: str) -> PciIds:
    """Read pci.ids. Raises ValueError for a file without a version or without NVIDIA GPUs."""
    version = re.search(r"^#\s*Version:\s*([0-9]{4}\.[0-9]{2}\.[0-9]{2})\s*$", text, re.MULTILINE)
    names = dict(devices(text))
    gpus = {device: chip for device, name in names.items() if (chip := chip_of(name))}
    if not version or not gpus:
        raise ValueError("found no version or no NVIDIA GPU; a pci.ids file of the PCI ID Repository is needed")
    return PciIds(
        version.group(1),
        gpus,
        frozenset(device for device, name in names.items() if device not in gpus and not SAMPLE.match(name)),
        frozenset(device for device in gpus if DATA_CENTRE.search(names[device])),
    )


def runs(ids: PciIds, first: int, last: int) -> Iterator[Range]:
    """Ranges within first..last that end where another chip or another function begins."""
    run: Range | None = None
    for device in range(first, last + 1):
        chip = ids.gpus.get(device, "")
        if run and chip == run[2]:
            run = (run[0], device, chip)
        elif chip or device in ids.others:
            if run:
                yield run
            run = (device, device, chip) if chip else None
    if run:
        yield run


def split(ids: PciIds, first: int, sizes: tuple[int, ...] = BLOCKS) -> Iterator[Range]:
    """A block that holds one chip only is that chip's; else its halves are looked at, at last the ids themselves."""
    size, rest = sizes[0], sizes[1:]
    inside = range(first, first + size)
    chips = {ids.gpus[device] for device in inside if device in ids.gpus}
    if len(chips) == 1 and ids.others.isdisjoint(inside):
        yield first, first + size - 1, chips.pop()
    elif chips and rest:
        for half in range(first, first + size, rest[0]):
            yield from split(ids, half, rest)
    elif chips:
        yield from runs(ids, first, first + size - 1)


def ranges(ids: PciIds) -> list[Range]:
    """Ranges that do not overlap, ascending; neighbours of one chip are one range."""
    merged: list[Range] = []
    for block in range(0, 0x10000, BLOCKS[0]):
        for first, last, chip in split(ids, block):
            if merged and merged[-1][2] == chip and merged[-1][1] + 1 == first:
                merged[-1] = (merged[-1][0], last, chip)
            else:
                merged.append((first, last, chip))
    return merged


def render(ids: PciIds) -> str:
    """The module's text, as the formatter would leave it."""
    rows = [f'    (0x{first:04X}, 0x{last:04X}, "{chip}"),' for first, last, chip in ranges(ids)]
    words = [f"0x{device:04X}," for device in sorted(ids.data_centre)]
    lines = [f"        {' '.join(words[at : at + 12])}" for at in range(0, len(words), 12)]
    return "\n".join(
        [
            '"""Written by tools/make_gpu_table.py from the PCI ID Repository (pci.ids); not edited by hand."""',
            "",
            "from __future__ import annotations",
            "",
            "from deploys.knowledge.records import Source",
            "",
            f'SOURCE = Source("PCI ID Repository, pci.ids {ids.version}", "{ids.version.replace(".", "-")}")',
            "",
            "# (first id, last id, chip) of vendor 10de, ascending, without overlaps",
            "RANGES: tuple[tuple[int, int, str], ...] = (",
            *rows,
            ")",
            "",
            "# Data-centre products of chips that are sold for other purposes too",
            "# fmt: off",
            "DATA_CENTRE: frozenset[int] = frozenset(",
            "    {",
            *lines,
            "    }",
            ")",
            "# fmt: on",
            "",
        ]
    )


def main(arguments: list[str]) -> int:
    source = Path(arguments[0]) if arguments else PCI_IDS
    output = Path(arguments[1]) if len(arguments) > 1 else OUTPUT
    try:
        ids = parse(source.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{source}: {error}; install a current pci.ids, or name one: tools/make_gpu_table.py FILE\n")
        return 1
    output.write_text(render(ids))
    sys.stdout.write(f"{output}: {len(ranges(ids))} ranges from pci.ids {ids.version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
