"""Fingerprint of an armoured OpenPGP public key. Source: RFC 4880 sections 4.2, 6.2 and 12.2 (version 4 keys)."""

from __future__ import annotations

import base64
import binascii
import hashlib

_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC_KEY = 6


def fingerprint(armoured: str) -> str | None:
    """Forty hexadecimal digits of the primary key, or None when the text is not an armoured version 4 public key."""
    data = _dearmour(armoured)
    body = _first_packet(data) if data else None
    if not body or body[0] != 4:
        return None
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324 - the format's own hash


def _dearmour(armoured: str) -> bytes | None:
    lines = [line.strip() for line in armoured.strip().splitlines()]
    if _BEGIN not in lines or _END not in lines:
        return None
    inside = lines[lines.index(_BEGIN) + 1 : lines.index(_END)]
    start = inside.index("") + 1 if "" in inside else 0
    text = "".join(line for line in inside[start:] if not line.startswith("="))
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _first_packet(data: bytes) -> bytes | None:
    """Body of the first packet when it is a public key of at most 64 KiB, in the old or the new header format."""
    if len(data) < 4 or not data[0] & 0x80:
        return None
    if data[0] & 0x40:
        tag, one = data[0] & 0x3F, data[1]
        if one >= 224:
            return None
        offset, length = (2, one) if one < 192 else (3, ((one - 192) << 8) + data[2] + 192)
    else:
        tag, size = (data[0] >> 2) & 0x0F, {0: 1, 1: 2}.get(data[0] & 3)
        if size is None:
            return None
        offset, length = 1 + size, int.from_bytes(data[1 : 1 + size], "big")
    body = data[offset : offset + length]
    return body if tag == _PUBLIC_KEY and len(body) == length else None
