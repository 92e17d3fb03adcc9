"""Where things are kept between runs, the locks that keep runs apart, and what is on its way out."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """`GPU_HOST_TEST_CACHE`, else ~/.cache/gpu-host-tests. Made when absent."""
    chosen = os.environ.get("GPU_HOST_TEST_CACHE", "")
    folder = Path(chosen) if chosen else Path.home() / ".cache" / "gpu-host-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(path: Path) -> int | None:
    """Take the lock file at `path` without waiting: its descriptor, or None when another process holds it."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def wait_lock(path: Path) -> int:
    """Take the lock file at `path`, waiting for it; returns its descriptor."""
    descriptor = _open(path)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`, waiting for it."""
    descriptor = wait_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def trash_folder() -> Path:
    folder = cache_folder() / "trash"
    folder.mkdir(exist_ok=True)
    return folder


def throw_away(folder: Path) -> Path:
    """Move a folder out of the way at once; returns where it waits for its deletion."""
    target = trash_folder() / uuid.uuid4().hex
    folder.rename(target)
    return target


def empty_trash() -> None:
    """Delete what was thrown away; other processes may be at it too."""
    for path in trash_folder().iterdir():
        shutil.rmtree(path, ignore_errors=True)
