"""Inventories for, and runs of, the real pyinfra."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

from tests.bed.host import Host
from tests.bed.shell import REPOSITORY, BedError, run

# A host; or a host with data of its own; or a name with all its data (a machine that is not ours, or does not exist).
Member = Host | tuple[Host, Mapping[str, Any]] | tuple[str, Mapping[str, Any]]


def _entry(member: Member, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    host, own = member if isinstance(member, tuple) else (member, {})
    if isinstance(host, Host):
        return host.name, {**host.inventory_data(), **data, **own}
    return host, {**data, **own}


def write_inventory(path: Path, hosts: Iterable[Member], data: Mapping[str, Any] | None = None) -> Path:
    """Write a Python inventory of the hosts; `data` goes to each of them, a host's own data wins."""
    entries = [_entry(member, data or {}) for member in hosts]
    path.write_text(f"hosts = {pformat(entries, width=120)}\n")
    return path


def run_pyinfra(
    inventory: str | Path,
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 900,
    cwd: Path = REPOSITORY,
) -> subprocess.CompletedProcess[str]:
    """Run `pyinfra INVENTORY ARGUMENTS` of this interpreter's environment, whatever its exit code. Raises BedError."""
    program = Path(sys.executable).with_name("pyinfra")
    if not program.exists():
        raise BedError(f"no pyinfra beside {sys.executable}: install the project's requirements in that environment")
    return run([program, inventory, *arguments], check=False, timeout=timeout, env=env, cwd=cwd)
