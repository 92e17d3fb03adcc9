"""Public keys of vendor repositories, one armoured file each, pinned by full fingerprint where they are used."""

from __future__ import annotations

from pathlib import Path


def read_key(name: str) -> str:
    """Text of a key file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="ascii")
