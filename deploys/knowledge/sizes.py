"""Room that each capability takes, measured with Debian's packages (rounded up)."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """Bytes: `download` in /var (package cache), `usr` once installed, `var` and `tmp` while building."""

    download: int
    usr: int
    var: int = 0


SIZES: dict[str, Size] = {
    "headers": Size(120 * MIB, 700 * MIB, 900 * MIB),
    "driver": Size(260 * MIB, 900 * MIB, 900 * MIB),
    "fabric": Size(60 * MIB, 250 * MIB),
    "cuda": Size(1700 * MIB, 5300 * MIB),
    "docker": Size(100 * MIB, 420 * MIB, 200 * MIB),
    "compose": Size(20 * MIB, 60 * MIB),
    "runtime": Size(20 * MIB, 60 * MIB),
}

# One more copy of the largest initramfs while it is written, and growth of each.
BOOT_SPARE = 150 * MIB
TMP_SPARE = 200 * MIB
MIN_FREE_INODES = 20_000
