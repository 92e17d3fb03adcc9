"""Fingerprints computed here against those that gpg prints, and against those that are pinned."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.knowledge.keys import read_key
from deploys.knowledge.records import Repository
from deploys.knowledge.repositories import REPOSITORIES
from deploys.plan.openpgp import fingerprint

KEYS = Path(__file__).parents[2] / "deploys" / "knowledge" / "keys"
KEY = read_key(REPOSITORIES[0].key)
BEGIN, END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"


def armour(data: bytes) -> str:
    return f"{BEGIN}\n\n{base64.b64encode(data).decode()}\n{END}\n"


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda r: r.name)
def test_the_shipped_key_is_the_pinned_one(repository: Repository) -> None:
    assert fingerprint(read_key(repository.key)) == repository.fingerprint
    assert len(repository.fingerprint) == 40


def test_no_key_is_shipped_unpinned() -> None:
    assert {p.name for p in KEYS.glob("*.asc")} == {r.key for r in REPOSITORIES}


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not there")
@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda r: r.name)
def test_gpg_agrees(repository: Repository, tmp_path: Path) -> None:
    listing = subprocess.run(
        ["gpg", "--homedir", tmp_path, "--batch", "--with-colons", "--show-keys", KEYS / repository.key],
        capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip
    prints = [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")]
    assert prints[0] == fingerprint(read_key(repository.key))


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
    assert fingerprint(text) == REPOSITORIES[0].fingerprint


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
    assert (fingerprint(damaged) == REPOSITORIES[0].fingerprint) is (damaged == KEY)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=80).map(armour))
def test_any_text_is_answered(text: str) -> None:
    answer = fingerprint(text)
    assert answer is None or len(answer) == 40
