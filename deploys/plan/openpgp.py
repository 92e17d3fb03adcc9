"""Primary keys of an armoured OpenPGP file: fingerprint, end, revocation, hash of the self signature.

Source: RFC 4880 sections 4.2 (packets), 5.2 (signatures), 5.5.2 (keys), 6.2 (armour) and 12.2 (fingerprints), for
version 4 keys, which are all that package managers of every supported release accept. Signatures are read, not
verified: what binds a file is its pinned fingerprint, and gpg verifies the rest on the host.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache

_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
_PRIVATE = "-----BEGIN PGP PRIVATE KEY BLOCK-----"
_SIGNATURE, _SECRET_KEY, _PUBLIC_KEY, _USER_ID = 2, 5, 6, 13
_CERTIFICATIONS, _DIRECT, _REVOCATION = range(0x10, 0x14), 0x1F, 0x20
_SIGNED_ON, _KEY_LIVES, _ISSUER, _ISSUER_FINGERPRINT = 2, 9, 16, 33
_DIGESTS = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160", 8: "SHA-256", 9: "SHA-384", 10: "SHA-512", 11: "SHA-224"}
_KEY_HEAD = 6  # version, four bytes of time, algorithm


class KeyFileError(ValueError):
    """The text is no file of version 4 public keys. The message says what it is instead, to follow "it holds"."""


@dataclass(frozen=True)
class PublicKey:
    """One primary key. Dates are ISO days in UTC; `expires` is "" where it never ends.

    `digest` is the hash of its newest self signature ("SHA-1", "SHA-256", ...), "" where it has none.
    """

    fingerprint: str
    created: str
    expires: str
    revoked: bool
    user_ids: tuple[str, ...]
    digest: str

    def expired(self, today: str) -> bool:
        """Has it ended by `today` (ISO date)? It counts as ended on its last day: the hour is not asked."""
        return bool(self.expires) and self.expires <= today


@dataclass(frozen=True)
class _Signature:
    made: int
    kind: int
    digest: int
    lives: int
    issuer: bytes


@lru_cache(64)
def keys_in(text: str) -> tuple[PublicKey, ...]:
    """Every primary key of all armoured blocks, in their order. Raises KeyFileError."""
    found: list[list[tuple[int, bytes]]] = []
    for tag, body in (packet for block in _blocks(text) for packet in _packets(block)):
        if tag == _SECRET_KEY:
            raise KeyFileError("a private key")
        if tag == _PUBLIC_KEY:
            found.append([])
        elif not found:
            raise KeyFileError("a block that does not begin with a public key")
        found[-1].append((tag, body))
    return tuple(_key(packets) for packets in found)


def fingerprint(text: str) -> str | None:
    """Forty hexadecimal digits of the only primary key, or None: a second key would be trusted as well, unpinned."""
    try:
        keys = keys_in(text)
    except KeyFileError:
        return None
    return keys[0].fingerprint if len(keys) == 1 else None


def is_pinned(text: str, pin: str) -> bool:
    """Is this the one key that `pin` means: a fingerprint, or "sha256:" and the digest of the text without its Version line?

    How many line ends stand at the end of the text does not count.
    """
    kind, _, digest = pin.rpartition(":")
    if not kind:
        return fingerprint(text) == pin
    plain = "".join(f"{line}\n" for line in text.rstrip("\n").split("\n") if not line.startswith("Version"))
    return fingerprint(text) is not None and hashlib.sha256(plain.encode()).hexdigest() == digest


def trouble(text: str, today: str = "") -> str:
    """Why nothing may be trusted on the word of this key file, in words ("" nothing is wrong with it).

    `today` (ISO date): "" where the day does not matter yet.
    """
    try:
        keys = keys_in(text)
    except KeyFileError as error:
        return f"it holds {error}"
    if len(keys) != 1:
        return f"it holds {len(keys)} keys, each of which would be trusted: {', '.join(k.fingerprint for k in keys)}"
    key = keys[0]
    if key.revoked:
        return f"its key {key.fingerprint} has been revoked"
    return f"its key {key.fingerprint} ended on {key.expires}" if today and key.expired(today) else ""


def _blocks(text: str) -> Iterator[bytes]:
    """The bytes of each armoured block; at least one."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if _BEGIN not in lines:
        binary = "\N{REPLACEMENT CHARACTER}" in text or "\0" in text
        raise KeyFileError("a private key" if _PRIVATE in lines else "bytes, not text" if binary else "something else")
    while _BEGIN in lines:
        lines = lines[lines.index(_BEGIN) + 1 :]
        if _END not in lines or _BEGIN in lines[: lines.index(_END)]:
            raise KeyFileError("a block without its end")
        inside, lines = lines[: lines.index(_END)], lines[lines.index(_END) + 1 :]
        start = inside.index("") + 1 if "" in inside else 0
        data = "".join(line for line in inside[start:] if not line.startswith("="))
        try:
            block = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise KeyFileError("a damaged block: not base64") from None
        if not block:
            raise KeyFileError("an empty block")
        yield block


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each packet, in the old and the new header format; keys have neither open nor partial lengths."""
    at = 0
    while at < len(data):
        head, one = data[at], data[at + 1] if at + 1 < len(data) else 0
        if not head & 0x80:
            raise KeyFileError("a damaged block: no packet where one must begin")
        if head & 0x40:
            tag = head & 0x3F
            size = 1 if one < 192 else 2 if one < 224 else 5 if one == 255 else 0
        else:
            tag, size = (head >> 2) & 0x0F, {0: 1, 1: 2, 2: 4}.get(head & 3, 0)
        number = data[at + 1 : at + 1 + size]
        if not size or len(number) < size:
            raise KeyFileError("a damaged block: a packet without its length")
        length = _new_length(number) if head & 0x40 else int.from_bytes(number, "big")
        body = data[at + 1 + size : at + 1 + size + length]
        if len(body) < length:
            raise KeyFileError("a damaged block: it ends inside a packet")
        at += 1 + size + length
        yield tag, body


def _new_length(number: bytes) -> int:
    """A length of one, two or five octets, as packets of the new format and subpackets write it."""
    if len(number) == 2:
        return ((number[0] - 192) << 8) + number[1] + 192
    return int.from_bytes(number[-4:], "big")


def _key(packets: list[tuple[int, bytes]]) -> PublicKey:
    body = packets[0][1]
    if not body or body[0] != 4:
        raise KeyFileError(f"a key of version {body[0]}" if body else "an empty key")
    if len(body) <= _KEY_HEAD:
        raise KeyFileError("a damaged block: a key without numbers")
    digits = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324 - the format's own hash
    signatures = [s for tag, b in packets if tag == _SIGNATURE and (s := _signature(b))]
    own = [s for s in signatures if s.issuer in (b"", bytes.fromhex(digits[-16:]))]
    promises = [s for s in own if s.kind == _DIRECT or s.kind in _CERTIFICATIONS]
    newest = max(promises, key=lambda s: s.made, default=None)
    created = int.from_bytes(body[1:5], "big")
    return PublicKey(
        fingerprint=digits,
        created=_day(created),
        expires=_day(created + newest.lives) if newest and newest.lives else "",
        revoked=any(s.kind == _REVOCATION for s in own),
        user_ids=tuple(b.decode("utf-8", "replace") for tag, b in packets if tag == _USER_ID),
        digest=_DIGESTS.get(newest.digest, f"hash {newest.digest}") if newest else "",
    )


def _signature(body: bytes) -> _Signature | None:
    """What a version 4 signature says about a key; None for older ones, which say nothing that is asked here."""
    if len(body) < 6 or body[0] != 4:
        return None
    size = int.from_bytes(body[4:6], "big")
    signed, rest = body[6 : 6 + size], body[6 + size :]
    open_size = int.from_bytes(rest[:2], "big")
    fields, hints = dict(_subpackets(signed)), dict(_subpackets(rest[2 : 2 + open_size]))
    # Dates count only where they are signed; the issuer's number mostly stands outside, and is a hint anyway.
    made, lives = (int.from_bytes(fields.get(kind, b""), "big") for kind in (_SIGNED_ON, _KEY_LIVES))
    named = fields.get(_ISSUER) or fields.get(_ISSUER_FINGERPRINT, b"")[-8:] or hints.get(_ISSUER, b"")
    return _Signature(made, body[1], body[3], lives, named)


def _subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each; the rest of a damaged area is left out."""
    at = 0
    while at < len(area):
        size = 1 if area[at] < 192 else 2 if area[at] < 255 else 5
        length = _new_length(area[at : at + size]) if at + size <= len(area) else 0
        body = area[at + size : at + size + length]
        if not length or len(body) < length:
            return
        yield body[0] & 0x7F, body[1:]
        at += size + length


def _day(seconds: int) -> str:
    """ISO date in UTC of seconds since 1970; the format has 32 bits for each, so the sum still is a date."""
    return datetime.fromtimestamp(seconds, timezone.utc).date().isoformat()
