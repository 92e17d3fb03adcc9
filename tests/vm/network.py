"""A bridge of our own with a tap device per guest, and the way out to the package mirrors."""

from __future__ import annotations

import re
from pathlib import Path

from tests.vm.commands import run

BRIDGE = "br-gpuvm"
TAP_PREFIX = "gpuvm"
NETWORK = "10.78.0.0/24"
GATEWAY = "10.78.0.1"
PREFIX_LENGTH = 24
# Guests that can live side by side; each slot has its own address, known to the image by its MAC.
SLOTS = range(1, 9)

_RULES = (
    ("nat", "POSTROUTING", ("-s", NETWORK, "!", "-o", BRIDGE, "-j", "MASQUERADE")),
    ("filter", "FORWARD", ("-i", BRIDGE, "-j", "ACCEPT")),
    ("filter", "FORWARD", ("-o", BRIDGE, "-j", "ACCEPT")),
)


def address(slot: int) -> str:
    """The guest's address, e.g. 10.78.0.11."""
    return f"10.78.0.{10 + slot}"


def mac(slot: int) -> str:
    """The guest's hardware address (locally administered)."""
    return f"52:54:00:0a:4e:{10 + slot:02x}"


def up() -> None:
    """Bridge, forwarding and address translation. Whatever an earlier run left is removed first."""
    down()
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{GATEWAY}/{PREFIX_LENGTH}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    for table, chain, rule in _RULES:
        run("iptables", "-w", "-t", table, "-I", chain, *rule)
    # Left on at the end: others on this machine may have come to need it, and it opens nothing by itself.
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


def down() -> None:
    """Remove everything with our names; nothing there is no error."""
    for table, chain, rule in _RULES:
        while run("iptables", "-w", "-t", table, "-D", chain, *rule, check=False).returncode == 0:
            pass
    for device in _devices():
        run("ip", "link", "del", device, check=False)


def _devices() -> list[str]:
    names = [entry.name for entry in Path("/sys/class/net").iterdir()]
    return [name for name in names if name == BRIDGE or re.fullmatch(rf"{TAP_PREFIX}\d+", name)]


def add_tap(slot: int) -> str:
    """A tap device on the bridge; returns its name."""
    name = f"{TAP_PREFIX}{slot}"
    run("ip", "tuntap", "add", name, "mode", "tap")
    run("ip", "link", "set", name, "master", BRIDGE, "up")
    return name


def remove_tap(slot: int) -> None:
    run("ip", "link", "del", f"{TAP_PREFIX}{slot}", check=False)
