"""How the chip table is made from pci.ids, and whether the committed one still agrees with the machine's own list."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploys.knowledge.gpu_table import DATA_CENTRE, SOURCE
from deploys.knowledge.gpus import CHIPS, EXCEPTIONS, chip_code, find_generation
from tools.make_gpu_table import OUTPUT, PCI_IDS, main, parse, ranges, render

EXTRACT = """\
#	Version: 2026.01.02
0e8d  MEDIATEK Corp.
	2080  GA100 [of another vendor]
10de  NVIDIA Corporation
	2080  GA100
	20b2  GA100 [A100 SXM4 80GB]
		10de 1463  GA104 [a subsystem line]
	20c1  GA100 High Definition Audio Controller
	20fd  GA100 [AX800 Converged Accelerator]
	2182  TU116 [GeForce GTX 1660 Ti]
	2236  GA102GL [A10]
	2480  GA104 [Reserved Dev ID A]
	24b0  GA104GL [RTX A4000]
	2c02  GB203 [GeForce RTX 5080]
	2c2c  GB6-256(N22W-ES-A1)
	2c3a  GB203GL [RTX PRO 4500 Blackwell Server Edition]
	2d00  GB206
	2d20  NPU
	2d30  GB206M
	2d50  GB207BM [GeForce RTX 5050]
10df  Emulex Corporation
	2500  GA106 [of a third vendor]
"""


def test_blocks_runs_and_foreign_functions() -> None:
    assert ranges(parse(EXTRACT)) == [
        (0x2080, 0x20BF, "GA100"),
        (0x20FD, 0x20FD, "GA100"),
        (0x2180, 0x21FF, "TU116"),
        (0x2200, 0x227F, "GA102"),
        (0x2480, 0x24FF, "GA104"),
        (0x2C00, 0x2C7F, "GB203"),
        (0x2D00, 0x2D00, "GB206"),
        (0x2D30, 0x2D30, "GB206"),
        (0x2D40, 0x2D7F, "GB207"),
    ]
    assert parse(EXTRACT).data_centre == {0x2236, 0x2C3A}


@pytest.mark.parametrize("text", ["", "# Version: 2026.01.02\n", EXTRACT.partition("\n")[2]])
def test_a_file_that_is_no_pci_ids_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "pci.ids", tmp_path / "table.py"
    source.write_text(text)
    assert (main([str(source), str(output)]), output.exists()) == (1, False)
    assert "tools/make_gpu_table.py FILE" in capsys.readouterr().err


def test_the_table_is_written_as_a_module(tmp_path: Path) -> None:
    source, output = tmp_path / "pci.ids", tmp_path / "table.py"
    source.write_text(EXTRACT)
    assert main([str(source), str(output)]) == 0
    names: dict[str, object] = {}
    exec(output.read_text(), names)
    assert names["RANGES"] == tuple(ranges(parse(EXTRACT)))
    assert names["DATA_CENTRE"] == {0x2236, 0x2C3A}


def generation_of_chip(code: str) -> str | None:
    """The generation that a chip's name alone stands for."""
    rows = [row for row in CHIPS if code.startswith(row.code)]
    return max(rows, key=lambda row: len(row.code)).generation.name if rows else None


def test_the_machines_own_list_agrees() -> None:
    """The version that the table was made from gives the same table; another one names the same generations."""
    if not PCI_IDS.is_file():
        pytest.skip(f"no {PCI_IDS} here (Debian package pci.ids)")
    ids = parse(PCI_IDS.read_text(encoding="utf-8", errors="replace"))
    if SOURCE.as_of == ids.version.replace(".", "-"):
        assert OUTPUT.read_text() == render(ids)
        assert {device for device, code in ids.gpus.items() if chip_code(device) != code} == set()
        assert ids.data_centre == DATA_CENTRE
    excepted = {device for first, last, _ in EXCEPTIONS for device in range(first, last + 1)}
    other = {
        f"{device:04x} {code}"
        for device, code in ids.gpus.items()
        if (g := find_generation(device)) and device not in excepted and g.name != generation_of_chip(code)
    }
    assert other == set()
