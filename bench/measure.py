"""One run of a program: how long, how much of this machine, and how many remote commands the hosts counted."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bed.fleet import Fleet
from tests.bed.shell import environment


@dataclass(frozen=True)
class Sample:
    """`wall` and `cpu` in seconds (user and system, of the program and all children that it waited for); `peak`: MiB of its first process; `commands`: the most that one host counted."""

    wall: float
    cpu: float
    peak: float
    commands: int
    code: int


def measure(
    words: Sequence[str],
    fleet: Fleet,
    log: Path,
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    limit: float = 3600,
) -> Sample:
    """Run it to its end; its output goes to `log`. Raises TimeoutError after `limit` seconds."""
    fleet.forget()
    with log.open("wb") as output:
        started = time.monotonic()
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=environment(env)
        )
        peak = 0.0
        while True:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, _most(child.pid))
            if time.monotonic() - started > limit:
                child.kill()
                os.wait4(child.pid, 0)
                raise TimeoutError(f"{words[0]} took more than {limit:.0f} s; its output: {log}")
            time.sleep(0.02)
        wall = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    commands = max(fleet.commands().values(), default=0)
    return Sample(wall, used.ru_utime + used.ru_stime, peak, commands, child.returncode)


def _most(pid: int) -> float:
    """The most memory that this process has had so far, in MiB. Not that of `rusage`, which counts the parent's before exec."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) / 1024 if found else 0.0


def best(samples: Sequence[Sample]) -> Sample:
    """The least time: what other work on the machine adds is no property of the contestant. The most of all other figures."""
    return Sample(
        min(s.wall for s in samples),
        min(s.cpu for s in samples),
        max(s.peak for s in samples),
        max(s.commands for s in samples),
        max(abs(s.code) for s in samples),
    )
