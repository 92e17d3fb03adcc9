"""A GPU that a hypervisor shares among its guests, told by its PCI configuration space."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts import gpu
from tests.parse.host import read_root


def config_space(*capabilities: bytes, status: int = 0x10) -> bytes:
    """256 bytes of configuration space with a list of capabilities from 0x40 on, each given without its link."""
    space = bytearray(256)
    space[0:2], space[0x06], space[0x34] = b"\xde\x10", status, 0x40 if capabilities else 0
    at = 0x40
    for number, capability in enumerate(capabilities, 1):
        following = at + 0x10 if number < len(capabilities) else 0
        space[at : at + 1 + len(capability)] = capability[:1] + bytes([following]) + capability[1:]
        at += 0x10
    return bytes(space)


POWER, MINE, SHARED = b"\x01\x00", b"\x09\x14\x01\x02", b"\x09\x14VF"


@pytest.mark.parametrize(
    ("space", "shared"),
    [
        (config_space(POWER, SHARED), True),
        (config_space(POWER, MINE), False),
        (config_space(POWER), False),
        (config_space(), False),
        (config_space(SHARED, status=0), False),
        (config_space(SHARED)[:64], False),
        (config_space(POWER)[:0x41] + b"\x40" + config_space(POWER)[0x42:], False),
    ],
    ids=["vGPU", "another capability", "none of the vendor's", "no list", "list not valid", "not root", "a loop"],
)
def test_a_shared_gpu_is_told_by_its_configuration_space(tmp_path: Path, space: bytes, shared: bool) -> None:
    device = tmp_path / "sys/bus/pci/devices/0000:41:00.0"
    device.mkdir(parents=True)
    for name, text in (("vendor", "0x10de"), ("device", "0x1eb8"), ("class", "0x030200")):
        (device / name).write_text(f"{text}\n")
    (device / "config").write_bytes(space)
    devices = read_root(gpu.SUBJECT, tmp_path)
    assert devices
    assert [d.vgpu for d in devices] == [shared]
