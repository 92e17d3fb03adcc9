"""Types of arguments by which a system is described on the command line: its GPUs, its release."""

from __future__ import annotations

import argparse
import re

from deploys.knowledge.distros import DISTROS, find_distro
from deploys.knowledge.distros.known import KNOWN_RELEASES, find_release

_ID = re.compile(r"(?:(?P<count>[1-9]\d?)x)?(?:10de:)?(?P<device>[0-9a-f]{4})", re.ASCII)


def device(text: str) -> tuple[int, ...]:
    """PCI device ids of one word, "8x10de:2330" for eight of them."""
    match = _ID.fullmatch(text.lower().removeprefix("0x"))
    if not match:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no NVIDIA device; write 10de:2330 (8x10de:2330 for eight), as lspci -nn -d 10de: prints it"
        )
    return (int(match["device"], 16),) * int(match["count"] or 1)


def release(text: str) -> tuple[str, str]:
    """ID-VERSION as os-release has them; the id may hold dashes, the version may be missing."""
    name, _, version = text.lower().rpartition("-")
    for found in ((name, version), (text.lower(), "")):
        if find_distro(*found) or find_release(*found):
            return found
    releases = [(r.id, r.version) for r in DISTROS] + [(r.id, r.version) for r in KNOWN_RELEASES]
    known = sorted({"-".join(filter(None, pair)) for pair in releases})
    raise argparse.ArgumentTypeError(f"{text!r} is no release that is known here; known: {', '.join(known)}")
