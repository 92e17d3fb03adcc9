"""Pretend PCI devices: a folder that is mounted over /sys/bus/pci of a host.

Identifiers come from the PCI ID repository and from what `lspci -nn` shows on such machines.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Function:
    """One PCI function. `class_code` has 24 bits. `driver` names the bound driver, "" for none."""

    address: str
    vendor: int
    device: int
    class_code: int
    subsystem_vendor: int
    subsystem_device: int
    driver: str = ""

    @property
    def is_display(self) -> bool:
        return self.class_code >> 16 == 0x03


def _nvidia(address: str, device: int, subsystem: int, class_code: int = 0x030200) -> Function:
    return Function(address, 0x10DE, device, class_code, 0x10DE, subsystem)


HOST_BRIDGE = Function("0000:00:00.0", 0x8086, 0x0D57, 0x060000, 0x8086, 0x0D57)
_H100_BUSES = (0x1B, 0x43, 0x52, 0x61, 0x9D, 0xC3, 0xD1, 0xDF)

SCENARIOS: Mapping[str, tuple[Function, ...]] = {
    "none": (),
    "t4": (_nvidia("0000:00:1e.0", 0x1EB8, 0x12A2),),
    "t4x4": tuple(_nvidia(f"0000:00:{slot:02x}.0", 0x1EB8, 0x12A2) for slot in (0x1B, 0x1C, 0x1D, 0x1E)),
    "a100": (_nvidia("0000:07:00.0", 0x20B2, 0x1463),),
    "l4": (_nvidia("0000:00:03.0", 0x27B8, 0x16EE),),
    "h100": (_nvidia("0000:1b:00.0", 0x2330, 0x16C1),),
    "hgx-h100": (
        *(_nvidia(f"0000:{bus:02x}:00.0", 0x2330, 0x16C1) for bus in _H100_BUSES),
        *(_nvidia(f"0000:{bus:02x}:00.0", 0x22A3, 0x1796, 0x068000) for bus in (0x07, 0x08, 0x09, 0x0A)),
    ),
    "b200": (_nvidia("0000:1b:00.0", 0x2901, 0x1999),),
    "k80": (_nvidia("0000:05:00.0", 0x102D, 0x106C), _nvidia("0000:06:00.0", 0x102D, 0x106C)),
    "gtx1080": (
        Function("0000:01:00.0", 0x10DE, 0x1B80, 0x030000, 0x1043, 0x8591),
        Function("0000:01:00.1", 0x10DE, 0x10F0, 0x040300, 0x1043, 0x8591),
    ),
    "amd": (Function("0000:83:00.0", 0x1002, 0x74A1, 0x120000, 0x1002, 0x74A1),),
}


def functions(scenario: str, display_driver: str = "") -> list[Function]:
    """The scenario's functions and a host bridge, with `display_driver` bound to the NVIDIA display functions."""
    found = [HOST_BRIDGE, *SCENARIOS[scenario]]
    return [replace(f, driver=display_driver) if f.is_display and f.vendor == 0x10DE else f for f in found]


def _attributes(function: Function) -> dict[str, str]:
    f = function
    alias = (
        f"pci:v{f.vendor:08X}d{f.device:08X}sv{f.subsystem_vendor:08X}sd{f.subsystem_device:08X}"
        f"bc{f.class_code >> 16:02X}sc{f.class_code >> 8 & 0xFF:02X}i{f.class_code & 0xFF:02X}"
    )
    uevent = [
        *([f"DRIVER={f.driver}"] if f.driver else []),
        f"PCI_CLASS={f.class_code:X}",
        f"PCI_ID={f.vendor:04X}:{f.device:04X}",
        f"PCI_SUBSYS_ID={f.subsystem_vendor:04X}:{f.subsystem_device:04X}",
        f"PCI_SLOT_NAME={f.address}",
        f"MODALIAS={alias}",
    ]
    return {
        "vendor": f"0x{f.vendor:04x}",
        "device": f"0x{f.device:04x}",
        "class": f"0x{f.class_code:06x}",
        "subsystem_vendor": f"0x{f.subsystem_vendor:04x}",
        "subsystem_device": f"0x{f.subsystem_device:04x}",
        "revision": "0xa1",
        "irq": "0",
        "enable": "0",
        "numa_node": "0",
        "driver_override": "(null)",
        "resource": "\n".join(["0x0000000000000000 0x0000000000000000 0x0000000000000000"] * 13),
        "modalias": alias,
        "uevent": "\n".join(uevent),
    }


def _config_space(f: Function) -> bytes:
    config = bytearray(256)
    fields = (f.vendor, f.device, 0, 0, 0xA1, f.class_code & 0xFF, f.class_code >> 8 & 0xFF, f.class_code >> 16)
    struct.pack_into("<HHHHBBBB", config, 0, *fields)
    struct.pack_into("<HH", config, 0x2C, f.subsystem_vendor, f.subsystem_device)
    return bytes(config)


def clear(folder: Path) -> None:
    """Empty a folder that is (or will be) mounted in a host, and keep the folder itself: the mount holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_bus(folder: Path, devices: Sequence[Function]) -> None:
    """Write /sys/bus/pci as the devices would make it look. As there, devices are links (into `.devices` here)."""
    clear(folder)
    for name in ("devices", "drivers", ".devices"):
        (folder / name).mkdir()
    (folder / "rescan").write_text("")
    for device in devices:
        home = folder / ".devices" / device.address
        home.mkdir()
        for name, text in _attributes(device).items():
            (home / name).write_text(text + "\n")
        (home / "config").write_bytes(_config_space(device))
        (folder / "devices" / device.address).symlink_to(f"../.devices/{device.address}")
        if device.driver:
            driver = folder / "drivers" / device.driver
            driver.mkdir(exist_ok=True)
            (driver / device.address).symlink_to(f"../../.devices/{device.address}")
            (home / "driver").symlink_to(os.path.relpath(driver, home))
