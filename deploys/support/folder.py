"""A folder of the controller, packed so that it can travel on the standard input of a command."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

from deploys.plan.files import Packed

COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
LIMIT = 64 * 1024 * 1024


class FolderError(Exception):
    """The folder cannot be taken; the text says why."""


def pack(folder: str) -> Packed:
    """All files of a Compose folder, without times and owners, so that the same content gives the same digest. Raises FolderError."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FolderError(f"{folder} is not a folder on this machine")
    if not any((root / name).is_file() for name in COMPOSE_NAMES):
        raise FolderError(f"{folder} has no {', '.join(COMPOSE_NAMES)}")
    buffer, size = io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            entry = archive.gettarinfo(str(path), str(path.relative_to(root)))
            if entry is None or ".git" in path.relative_to(root).parts:
                continue
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
            size += entry.size
            if size > LIMIT:
                raise FolderError(f"{folder} holds more than {LIMIT >> 20} MiB; keep models and data outside of it")
            if entry.isreg():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)
    data = buffer.getvalue()
    return Packed(root.resolve().name, base64.encodebytes(data).decode(), hashlib.sha256(data).hexdigest())
