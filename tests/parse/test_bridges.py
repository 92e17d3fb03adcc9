"""The switches of NVLink 5, which hide behind InfiniBand functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts import gpu
from tests.parse.host import read_root, write

B200, L4, BRIDGE = "0x10de 0x2901 0x030200", "0x10de 0x27b8 0x030200", "0x15b3 0x1021 0x020700"
NIC, ETHERNET = BRIDGE, "0x15b3 0x1021 0x020000"
OF_A_SWITCH, OF_A_NIC = (
    "\x82\x18\0Nvidia ConnectX-7\x90V5SMDL=SW_MNG\x78",
    "\x82\x18\0Nvidia ConnectX-7\x90V5SMDL=MLX\x78",
)


@pytest.mark.parametrize(
    ("functions", "switched"),
    [
        ([(B200, None), (BRIDGE, OF_A_SWITCH), (NIC, OF_A_NIC)], True),
        ([(B200, None), (BRIDGE, OF_A_SWITCH), (NIC, None)], True),
        ([(B200, None), (NIC, OF_A_NIC)], False),
        ([(B200, None)], False),
        ([(B200, None), (NIC, None)], None),
        ([(B200, None), (ETHERNET, OF_A_SWITCH)], False),
        ([(L4, None), (BRIDGE, OF_A_SWITCH)], None),
    ],
    ids=["there", "beside a card that does not answer", "a card only", "none", "no answer", "Ethernet", "other GPUs"],
)
def test_switches_are_told_by_their_vital_product_data(
    tmp_path: Path, functions: list[tuple[str, str | None]], switched: bool | None
) -> None:
    for bus, (ids, data) in enumerate(functions, 1):
        folder = f"/sys/bus/pci/devices/0000:{bus:02x}:00.0"
        for name, value in zip(("vendor", "device", "class"), ids.split(), strict=True):
            write(tmp_path, f"{folder}/{name}", f"{value}\n")
        if data is not None:
            write(tmp_path, f"{folder}/vpd", data)
    (device,) = read_root(gpu.SUBJECT, tmp_path)
    assert device.switched is switched
