"""Processes by pid and start time, so that a reused pid is never mistaken for ours."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.bed.shell import environment


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on; empty when there is no such process (see proc(5))."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


@dataclass(frozen=True)
class Process:
    """`start` is the process's start time in clock ticks since the machine's boot."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process:
        fields = _stat(pid)
        return cls(pid, int(fields[19]) if fields else -1)

    @classmethod
    def from_json(cls, data: Any) -> Process:
        return cls(int(data["pid"]), int(data["start"]))

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    @property
    def alive(self) -> bool:
        fields = _stat(self.pid)
        return bool(fields) and int(fields[19]) == self.start and fields[0] not in "ZX"

    def children(self) -> list[Process]:
        """Direct children, oldest first."""
        if not self.alive:
            return []
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        found = [Process.of(pid) for pid in pids if (_stat(pid) or ["", "0"])[1] == str(self.pid)]
        return sorted(found, key=lambda child: (child.start, child.pid))

    def signal(self, number: int) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self, seconds: float = 10) -> None:
        """SIGKILL, then wait until it is gone (or a zombie of another parent)."""
        self.signal(signal.SIGKILL)
        deadline = monotonic() + seconds
        while self.alive and monotonic() < deadline:
            sleep(0.02)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


def start_detached(command: Sequence[str | Path], log: Path, folder: Path) -> Process:
    """Start a program in a session of its own, in `folder`, its output appended to `log`; it may outlive us."""
    words = ["env", f"--chdir={folder}", *(str(word) for word in command)]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return Process.of(os.posix_spawnp("env", words, environment(), file_actions=actions, setsid=True))
