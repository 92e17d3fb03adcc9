"""Running programs and telling what went wrong."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep

REPOSITORY = Path(__file__).resolve().parents[2]


class BedError(Exception):
    """The bed could not do what was asked; the message says what was found and what fixes it."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment with the administrator's folders on PATH and one language."""
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {**os.environ, "PATH": f"{path}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", **(extra or {})}


def run(
    command: Sequence[str | Path],
    *,
    check: bool = True,
    timeout: float = 120,
    text_in: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises BedError when it fails (and `check`) or exceeds `timeout` seconds."""
    words = [str(word) for word in command]
    shown = shlex.join(words)[:400]
    try:
        done = subprocess.run(
            words,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            input=text_in if text_in is not None else "",
            env=environment(env),
            cwd=cwd,
        )
    except subprocess.TimeoutExpired as error:
        raise BedError(f"no end within {timeout:.0f} s: {shown}") from error
    except FileNotFoundError as error:
        raise BedError(f"no such program: {words[0]}") from error
    if check and done.returncode != 0:
        raise BedError(f"exit {done.returncode}: {shown}\n{(done.stdout + done.stderr)[-2000:]}")
    return done


def run_python(module: str, *arguments: str | Path) -> list[str]:
    """The words that run a module with this interpreter, its output unbuffered."""
    return [sys.executable, "-u", "-m", module, *(str(argument) for argument in arguments)]


def require_root() -> None:
    """Raises BedError unless this process is root."""
    if os.geteuid() != 0:
        raise BedError("test hosts need root (namespaces, mounts, apt-get): run this command as root, e.g. with sudo")


def wait_for(condition: Callable[[], bool], seconds: float, what: str, pause: float = 0.2) -> None:
    """Poll until `condition()` holds. Raises BedError after `seconds` by the clock."""
    end = monotonic() + seconds
    while not condition():
        if monotonic() > end:
            raise BedError(f"waited {seconds:.0f} s in vain for {what}")
        sleep(pause)
