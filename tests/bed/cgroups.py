"""A cgroup of its own for each host. systemd-nspawn makes its "payload" below the cgroup that it is started in: side by side, hosts would
share the cgroups of all units of one name, and a unit that one of them stops would take the processes of the others with it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def _top() -> Path | None:
    """Where the unified hierarchy is mounted."""
    rows = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return next((Path(row[1]) for row in rows if row[2] == "cgroup2"), None)


def enter(name: str) -> None:
    """Put this process, and so all that it starts, into the cgroup of that host."""
    top = _top()
    if top is not None:
        own = top / f"gpu-host-{name}"
        # Where none can be made, hosts share one as before; one host alone does not mind.
        with suppress(OSError):
            own.mkdir(exist_ok=True)
            (own / "cgroup.procs").write_text(str(os.getpid()))


def remove(name: str) -> None:
    """Remove the cgroup of a host that has ended, with all below it, as far as nobody is left there."""
    top = _top()
    if top is not None:
        for folder, _, _ in os.walk(top / f"gpu-host-{name}", topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
