"""The gate of a host: hears of every program that a step of the toolkit starts there, and can hold one of them.

A moment of a road is thus "the Nth program of that step", however fast the machine is. The other half is killgate.c.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.bed.cache import cache_folder, locked
from tests.bed.shell import BedError, run

SOURCE = Path(__file__).with_name("killgate.c")
LIBRARY = "usr/lib/x86_64-linux-gnu/libkillgate.so"
ADDRESS = "\0gpu-host-kill-gate"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET, see setns(2)


def library() -> Path:
    """The compiled half that programs load, made on first use and whenever its source changes. Raises BedError."""
    built = cache_folder() / "libkillgate.so"
    with locked(cache_folder() / "killgate.lock"):
        if not built.exists() or built.stat().st_mtime < SOURCE.stat().st_mtime:
            making = built.with_suffix(".making")
            run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", making, SOURCE])
            making.rename(built)
    return built


def _listen_in(namespace: str) -> socket.socket:
    """A socket in a network namespace: only the thread that makes it enters there. Raises BedError."""
    made: list[socket.socket] = []

    def make() -> None:
        with Path(f"/run/netns/{namespace}").open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEW_NETWORK) == 0:
                made.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                made[0].bind(ADDRESS)
                made[0].listen(512)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise BedError(f"the network namespace {namespace} cannot be entered")
    return made[0]


class Gate:
    """Counts programs by place: the name of a unit of ours, or the number of a remote command's text.

    `aim` at one, wait for `reached`, do your worst, `release`. A context manager.
    """

    def __init__(self, namespace: str) -> None:
        self.counts: Counter[str] = Counter()
        self.reached = threading.Event()
        self.program = ""
        self.pid = 0
        self._aim = ("", 0)
        self._held: socket.socket | None = None
        self._lock = threading.Lock()
        self._socket = _listen_in(namespace)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Gate:  # noqa: PYI034  Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def aim(self, place: str, number: int) -> None:
        """Hold the `number`th program, from 1, of that place."""
        self._aim = (place, number)

    def release(self) -> None:
        """Let the held program go on; no further one is held."""
        with self._lock:
            self._aim = ("", 0)
            if self._held is not None:
                self._held.close()
                self._held = None

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with suppress(OSError):
                self._hear(connection)

    def _hear(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        place, _, program = connection.recv(200).decode(errors="replace").strip().partition(" ")
        with self._lock:
            self.counts[place] += 1
            if (place, self.counts[place]) == self._aim:
                credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                self._held, self.program, self.pid = connection, program, struct.unpack("3i", credentials)[0]
                self.reached.set()
                return
        connection.close()


def session_of(pid: int) -> list[int]:
    """All processes in the session of a process, as setsid(2) makes them: what one remote command consists of."""
    with suppress(OSError):
        session = os.getsid(pid)
        return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_in(int(p.name), session)]
    return []


def _is_in(pid: int, session: int) -> bool:
    with suppress(OSError):
        return os.getsid(pid) == session
    return False
