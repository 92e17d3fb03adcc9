"""A Compose folder, packed: the same content gives the same digest, and what cannot travel is refused by name."""

from __future__ import annotations

import base64
import io
import os
import tarfile
from pathlib import Path

import pytest

from deploys.support import folder
from deploys.support.folder import FolderError, pack


def make(root: Path, text: str = "services: {}\n") -> Path:
    root.mkdir()
    (root / "docker-compose.yaml").write_text(text)
    (root / "conf").mkdir()
    (root / "conf/app.ini").write_bytes(b"a=\xff\n")
    (root / ".env").write_text("TOKEN=x\n")
    (root / ".git").mkdir()
    (root / ".git/HEAD").write_text("ref")
    return root


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    os.utime(two / ".env", (1, 1))
    assert pack(str(one)).digest == pack(str(two)).digest
    assert pack(str(one)).name == "one"
    (two / "conf/app.ini").write_bytes(b"a=b\n")
    assert pack(str(one)).digest != pack(str(two)).digest


def test_everything_but_the_history_travels(tmp_path: Path) -> None:
    packed = pack(str(make(tmp_path / "net")))
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed.text))) as archive:
        assert sorted(archive.getnames()) == [".env", "conf", "conf/app.ini", "docker-compose.yaml"]


def test_what_cannot_travel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FolderError, match="is not a folder"):
        pack(str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError, match=r"has no compose\.yaml"):
        pack(str(tmp_path / "empty"))
    monkeypatch.setattr(folder, "LIMIT", 10)
    with pytest.raises(FolderError, match="keep models and data outside"):
        pack(str(make(tmp_path / "big")))
