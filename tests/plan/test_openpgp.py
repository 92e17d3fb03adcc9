"""Keys read here against what gpg says of them: fingerprint, end, revocation, and files that are no key."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.knowledge.keys import read_key
from deploys.knowledge.vendors.keys import CONTAINER_TOOLKIT, CUDA_RPM_2022, KEYS, Key
from deploys.plan.openpgp import KeyFileError, fingerprint, is_pinned, keys_in
from tests.plan import gpg_keys

FOLDER = Path(__file__).parents[2] / "deploys" / "knowledge" / "keys"
KEY = read_key(CONTAINER_TOOLKIT.file)
SHIPPED = [key for key in KEYS if key.file]
NEEDS_GPG = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not there")
BEGIN, END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"


def armour(data: bytes) -> str:
    return f"{BEGIN}\n\n{base64.b64encode(data).decode()}\n{END}\n"


def bare(text: str) -> bytes:
    """The bytes of an armoured block."""
    inside = text.strip().split("\n\n", 1)[1].splitlines()
    return base64.b64decode("".join(line for line in inside if not line.startswith(("=", "-"))))


def split(block: bytes) -> list[bytes]:
    """Packets with their heads; gpg writes the old format, with one length octet where it fits."""
    packets = []
    while block:
        size = {0: 1, 1: 2}[block[0] & 3]
        end = 1 + size + int.from_bytes(block[1 : 1 + size], "big")
        packets.append(block[:end])
        block = block[end:]
    return packets


def seconds(day: str, since: str = "1970-01-01") -> bytes:
    days = [datetime.fromisoformat(d).replace(tzinfo=timezone.utc) for d in (since, day)]
    return int((days[1] - days[0]).total_seconds()).to_bytes(4, "big")


def lives(day: str) -> bytes:
    return seconds(day, "2024-01-01")


def gpg(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    folder.chmod(0o700)
    words = ["gpg", "--homedir", folder, "--batch", "--no-autostart", "--with-colons", *command]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)


@pytest.mark.parametrize("key", SHIPPED, ids=lambda k: k.file)
def test_a_shipped_key_is_the_pinned_one_and_as_its_row_says(key: Key) -> None:
    (found,) = keys_in(read_key(key.file))
    assert found.fingerprint == key.fingerprint
    assert (found.expires, found.digest) == (key.expires, key.digest)
    assert not found.revoked
    assert not found.expired(key.source.as_of)


def test_no_key_is_shipped_unpinned() -> None:
    assert sorted(p.name for p in FOLDER.glob("*.asc")) == sorted(k.file for k in SHIPPED)


@pytest.mark.parametrize("key", KEYS, ids=lambda k: k.name)
def test_a_row_is_a_file_or_leaves_it_to_the_operator(key: Key) -> None:
    assert key.fingerprint == "" or re.fullmatch("[0-9A-F]{40}", key.fingerprint)
    if key.file:
        assert key.fingerprint
    else:
        assert (key.digest, "no public file" in key.why) == ("", True)
    if key.published.endswith(".pub"):  # NVIDIA names its files by the end of the fingerprint
        assert key.fingerprint.endswith(key.published.removesuffix(".pub").upper()) or not key.fingerprint


@NEEDS_GPG
@pytest.mark.parametrize("key", SHIPPED, ids=lambda k: k.file)
def test_gpg_agrees_and_finds_the_self_signatures_good(key: Key, tmp_path: Path) -> None:
    gpg(tmp_path, "--import", FOLDER / key.file)
    rows = [line.split(":") for line in gpg(tmp_path, "--check-sigs").stdout.splitlines()]
    assert next(row[9] for row in rows if row[0] == "fpr") == key.fingerprint
    assert [row[9] for row in rows if row[0] == "uid"] == list(keys_in(read_key(key.file))[0].user_ids)
    signatures = [row for row in rows if row[0] == "sig"]
    assert signatures
    assert {(row[1], row[4]) for row in signatures} == {("!", key.fingerprint[-16:])}


@pytest.mark.parametrize(
    ("text", "wanted", "expires", "revoked"),
    [
        (gpg_keys.LIVING, gpg_keys.LIVING_FINGERPRINT, "", False),
        (gpg_keys.EXPIRED, gpg_keys.EXPIRED_FINGERPRINT, "2024-12-31", False),
        (gpg_keys.EXTENDED, gpg_keys.EXTENDED_FINGERPRINT, "2030-01-01", False),
        (gpg_keys.REVOKED, gpg_keys.REVOKED_FINGERPRINT, "", True),
    ],
    ids=["living", "expired", "extended", "revoked"],
)
def test_a_key_that_gpg_made(text: str, wanted: str, expires: str, revoked: bool) -> None:
    (key,) = keys_in(text)
    assert (key.fingerprint, key.expires, key.revoked) == (wanted, expires, revoked)
    assert (key.created, key.digest) == ("2024-01-01", "SHA-256")
    assert key.user_ids[0].endswith("@mirror.example>")


def test_the_end_is_known_on_its_day() -> None:
    (key,) = keys_in(gpg_keys.EXPIRED)
    assert [key.expired(day) for day in ("2024-12-30", "2024-12-31", "2026-01-01")] == [False, True, True]
    assert not keys_in(gpg_keys.LIVING)[0].expired("2199-01-01")


@pytest.mark.parametrize("order", [1, -1], ids=["old first", "new first"])
def test_of_two_self_signatures_the_newer_one_counts(order: int) -> None:
    """gpg exports the newest alone; other tools keep both, in any order."""
    packets = split(bare(gpg_keys.EXTENDED))
    older = packets[2].replace(bytes([5, 9]) + lives("2030-01-01"), bytes([5, 9]) + lives("2024-12-31"))
    older = older.replace(bytes([5, 2]) + seconds("2024-06-01"), bytes([5, 2]) + seconds("2024-01-02"))
    assert older != packets[2]
    signatures = [older, packets[2]][::order]
    (key,) = keys_in(armour(b"".join([*packets[:2], *signatures])))
    assert key.expires == "2030-01-01"


def test_a_signature_of_somebody_else_says_nothing_about_the_end() -> None:
    stranger = split(bare(gpg_keys.EXPIRED))[2]
    (key,) = keys_in(armour(bare(gpg_keys.LIVING) + stranger))
    assert key.expires == ""


@pytest.mark.parametrize(
    "text",
    [gpg_keys.TWO_IN_ONE, gpg_keys.LIVING + gpg_keys.EXPIRED, gpg_keys.LIVING + "\n\n" + gpg_keys.LIVING],
    ids=["one block", "two blocks", "the same twice"],
)
def test_a_file_with_two_keys_has_no_fingerprint(text: str) -> None:
    """Whoever trusts the file trusts both keys; the pinned one alone must be in it."""
    assert len(keys_in(text)) == 2
    assert fingerprint(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Dear mirror,", "something else"),
        (bare(gpg_keys.LIVING).decode("utf-8", "replace"), "bytes, not text"),
        (gpg_keys.LIVING.replace("PUBLIC", "PRIVATE"), "a private key"),
        (armour(b"\x94" + bare(gpg_keys.LIVING)[1:]), "a private key"),
        (armour(b"\x98\x33\x03" + bare(gpg_keys.LIVING)[3:]), "a key of version 3"),
        (armour(b"\x98\x33\x05" + bare(gpg_keys.LIVING)[3:]), "a key of version 5"),
        (armour(b"\x98\x33\x06" + bare(gpg_keys.LIVING)[3:]), "a key of version 6"),
        (armour(bare(gpg_keys.LIVING)[53:]), "a block that does not begin with a public key"),
        (armour(bare(gpg_keys.LIVING)[:-1]), "it ends inside a packet"),
        (armour(bare(gpg_keys.LIVING) + b"\x00"), "no packet where one must begin"),
        (armour(b"\x98\x06\x04\x00\x00\x00\x00\x16"), "a key without numbers"),
        (gpg_keys.LIVING.replace(END, ""), "a block without its end"),
        (gpg_keys.LIVING.replace(END, "") + gpg_keys.EXPIRED, "a block without its end"),
        (gpg_keys.LIVING.replace("=", "!"), "not base64"),
    ],
)
def test_what_a_file_holds_instead_is_said(text: str, found: str) -> None:
    with pytest.raises(KeyFileError, match=f"(^|: ){found}$"):
        keys_in(text)
    assert fingerprint(text) is None


@pytest.mark.parametrize(
    "text",
    [
        f"a letter\n\n{KEY}\nand its end",
        KEY.replace("\n", "\r\n"),
        KEY.replace("\n\n", "\nVersion: GnuPG v2\nComment: x\n\n", 1),
        "".join(line + "\n" for line in KEY.splitlines() if not line.startswith("=")),
    ],
    ids=["inside a text", "CRLF", "armour headers", "no checksum"],
)
def test_the_same_key_in_other_clothes(text: str) -> None:
    assert fingerprint(text) == CONTAINER_TOOLKIT.fingerprint


@pytest.mark.parametrize(
    "text",
    [
        "",
        BEGIN,
        f"{END}\n{BEGIN}",
        f"{BEGIN}\n\n{END}",
        KEY.replace("PUBLIC KEY", "PRIVATE KEY"),
        armour(b""),
        armour(b"\x99"),
        armour(b"\x99\x00\x05\x04"),
        armour(b"\x99\x00\x01\x03"),
        armour(b"\xc6\xff\x00\x00\x00\x01\x04"),
        armour(b"\xc6\xe0\x04\x04"),
        armour(b"\x88\x03\x04\x00\x00"),
        armour(b"\x00" * 8),
    ],
)
def test_what_is_no_version_4_public_key(text: str) -> None:
    assert fingerprint(text) is None


def test_both_packet_header_formats() -> None:
    body = b"\x04" + bytes(range(200))
    old, new = (
        b"\x99" + len(body).to_bytes(2, "big"),
        b"\xc6" + bytes([192 + (len(body) - 192 >> 8), len(body) - 192 & 255]),
    )
    assert fingerprint(armour(old + body)) == fingerprint(armour(new + body)) is not None


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(KEY) - 2))
def test_a_key_that_is_cut_is_no_key(length: int) -> None:
    assert fingerprint(KEY[:length].rstrip("\n")) is None


@settings(max_examples=100, deadline=None)
@given(
    st.integers(KEY.index("\n\n") + 2, KEY.index("\n\n") + 500), st.sampled_from("!-.\x00ü\N{CYRILLIC SMALL LETTER A}")
)
def test_a_foreign_character_makes_it_no_key(position: int, character: str) -> None:
    assert fingerprint(KEY[:position] + character + KEY[position:]) is None


@settings(max_examples=100, deadline=None)
@given(st.integers(KEY.index("\n\n") + 2, KEY.index("\n\n") + 500), st.sampled_from("ABCxyz019+/"))
def test_a_changed_key_never_has_the_pinned_fingerprint(position: int, character: str) -> None:
    damaged = KEY[:position] + character + KEY[position + 1 :]
    assert (fingerprint(damaged) == CONTAINER_TOOLKIT.fingerprint) is (damaged == KEY)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=80)
    | st.binary(max_size=80).map(armour)
    | st.tuples(st.integers(0, 340), st.binary(max_size=8)).map(
        lambda x: armour(bare(gpg_keys.EXPIRED)[: x[0]] + x[1] + bare(gpg_keys.EXPIRED)[x[0] :])
    )
)
def test_any_text_is_answered(text: str) -> None:
    answer = fingerprint(text)
    assert answer is None or len(answer) == 40


def test_a_key_may_be_pinned_by_the_digest_of_its_text() -> None:
    """As NVIDIA's image recipes do: sed '/^Version/d' KEY | sha256sum."""
    text = read_key(CUDA_RPM_2022.file)
    pin = "sha256:d0664fbbdb8c32356d45de36c5984617217b2d0bef41b93ccecd326ba3b80c87"
    assert is_pinned(text, pin)
    assert is_pinned(f"{text}\n\n", pin)
    assert not is_pinned(text.replace("mQIN", "mQIM", 1), pin)
    assert not is_pinned(KEY, pin)
    assert not is_pinned("", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert is_pinned(text, CUDA_RPM_2022.fingerprint)
    assert not is_pinned(KEY, CUDA_RPM_2022.fingerprint)
