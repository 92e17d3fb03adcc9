"""Runs one host: starts systemd-nspawn, and starts it again when the host asks for a reboot.

`python -m tests.bed.supervise FOLDER`, where FOLDER is the host's (see host.py). It ends when the host powers off.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep

from tests.bed import cgroups
from tests.bed.families import FAMILIES
from tests.bed.processes import Process
from tests.bed.shell import environment
from tests.bed.spec import load_on_reboot, load_spec, save
from tests.bed.world import prepare_boot

REBOOT = 133  # exit status of systemd-nspawn when the guest asked for a reboot
# dockerd needs the unified hierarchy, a writable /proc/sys/net, capabilities and these calls.
NSPAWN_ENV = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
NSPAWN_OPTIONS = [
    "--quiet",
    "--register=no",
    "--keep-unit",
    "--boot",
    "--link-journal=no",
    "--resolv-conf=off",
    "--timezone=off",
    "--capability=all",
    "--system-call-filter=@known bpf keyctl add_key perf_event_open",
]


def command(folder: Path, namespace: str, machine: str, hostname: str, *, debian: bool) -> list[str]:
    """The systemd-nspawn command line of the host in `folder`."""
    shared = [f"--bind={folder / 'packages'}:/var/cache/apt/archives"] if debian else []
    return [
        "systemd-nspawn",
        *NSPAWN_OPTIONS,
        f"--directory={folder / 'root'}",
        f"--machine={machine}",
        f"--hostname={hostname}",
        f"--network-namespace-path=/run/netns/{namespace}",
        *shared,
        f"--bind={folder / 'pci'}:/run/early/pci",
    ]


def boot_once(folder: Path, namespace: str, machine: str) -> int:
    """One boot from the world's making to the end of systemd-nspawn; returns its exit status."""
    spec = load_spec(folder / "spec.json")
    prepare_boot(folder / "root", folder / "pci", spec)
    log = os.open(folder / "console.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        process = subprocess.Popen(
            command(folder, namespace, machine, spec.name, debian=FAMILIES[spec.suite].debian),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(NSPAWN_ENV),
        )
    finally:
        os.close(log)
    save(folder / "nspawn.json", Process.of(process.pid).to_json())
    return process.wait()


def main(folder: Path) -> int:
    start = json.loads((folder / "start.json").read_text())
    namespace, machine = start["namespace"], start["machine"]
    cgroups.enter(machine)
    while True:
        status = boot_once(folder, namespace, machine)
        shutil.rmtree(f"/run/systemd/nspawn/propagate/{machine}", ignore_errors=True)
        asked = load_on_reboot(folder / "on-reboot.json")
        if status != REBOOT or not asked.returns:
            return status
        sleep(asked.delay)
        if asked.release:
            save(folder / "spec.json", replace(load_spec(folder / "spec.json"), release=asked.release))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
