"""Commands on this machine: run, fail with the reason, and the packages that carry the tools."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from tests.bed import tools
from tests.bed.shell import BedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Program -> Debian package that carries it.
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "sfdisk": "fdisk",
    "mke2fs": "e2fsprogs",
    "ssh": "openssh-client",
    "ip": "iproute2",
    "iptables": "iptables",
    "setpriv": "util-linux",
}


class VmError(Exception):
    """The bed cannot do what was asked; the message says what was found and what to do."""


def run(
    *words: str,
    check: bool = True,
    timeout: float = 600,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command (seconds in `timeout`), output as text, stderr joined to stdout. Raises VmError on failure."""
    try:
        done = subprocess.run(
            words,
            check=False,
            timeout=timeout,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
        )
    except subprocess.TimeoutExpired as late:
        output = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        raise VmError(f"no end after {timeout:g} s: {' '.join(words)}\n{tail(output)}") from None
    if check and done.returncode:
        raise VmError(f"exit status {done.returncode}: {' '.join(words)}\n{tail(done.stdout)}")
    return done


def tail(text: str, characters: int = 3000) -> str:
    """The end of a log, where the reason usually is."""
    return text if len(text) <= characters else "... " + text[-characters:]


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.5) -> bool:
    """Ask until it is true or the clock says `seconds` are over. True: it came in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def ensure_tools() -> None:
    """Install what is missing from this machine's own package archive. Raises VmError."""
    try:
        tools.ensure_tools(TOOLS, {})
    except BedError as error:
        raise VmError(str(error)) from None
