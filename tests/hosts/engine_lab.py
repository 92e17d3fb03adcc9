"""A booted host with Debian's real Docker and stand-ins for what needs silicon: driver, device node, libcuda, nvidia-smi, toolkit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.shell import run

PROGRAMS = Path(__file__).parents[1] / "bed" / "programs"
LIBRARY = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
VERSION = "550.163.01"
# What libcuda.so.1 does wrong, on the host and in containers.
LIE, LIE_INSIDE = "/etc/cuda-lie", "/etc/cuda-lie-inside"
RUNTIME = '#!/bin/sh\nexec runc "$@"\n'
CTK = '#!/bin/sh\necho "NVIDIA Container Toolkit CLI version 1.20.0"\n'
SMI = f'#!/bin/sh\necho "0, NVIDIA A100-SXM4-80GB, {VERSION}"\n'
NVRM = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {VERSION}  Tue Apr  8 12:41:17 UTC 2025\n"
# A real specification; Docker itself reads it. The node is a device that a container may not open by default (10:229).
CDI = {
    "cdiVersion": "0.5.0",
    "kind": "nvidia.com/gpu",
    "devices": [{"name": name, "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}} for name in ("0", "all")],
    "containerEdits": {
        "mounts": [
            {"hostPath": outside, "containerPath": inside, "options": ["ro", "nosuid", "nodev", "bind"]}
            for outside, inside in ((LIBRARY, LIBRARY), (LIE_INSIDE, LIE))
        ]
    },
}


@dataclass
class Site:
    """The host, and the folder of its reports."""

    host: Host
    folder: Path

    def run(self, deploy: str, *options: str, **data: Any) -> subprocess.CompletedProcess[str]:
        data = {"gpu_report_dir": str(self.folder), **data}
        inventory = write_inventory(self.folder / "inventory.py", [self.host], data)
        done = run_pyinfra(inventory, deploy, "-y", *options)
        print(done.stdout[-2000:], done.stderr[-6000:])
        return done

    def report(self) -> dict[str, Any]:
        (host,) = json.loads((self.folder / "latest.json").read_text())["hosts"]
        return dict(host)

    def proof(self, **data: Any) -> dict[str, tuple[str, str]]:
        """What verify.py says: step -> (result, detail)."""
        self.run("deploys/verify.py", **data)
        return {s["name"]: (s["result"], s["detail"]) for s in self.report()["steps"]}


def install(host: Host, *packages: str) -> None:
    host.nsenter(
        "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "
        f"docker.io docker-cli iptables python3 {' '.join(packages)} && systemctl start docker",
        timeout=600,
    )


def pretend_gpu(host: Host, folder: Path) -> None:
    """A host on which everything answers as with a GPU, until it is told to lie."""
    library = folder / "libcuda.so.1"
    run(["gcc", "-O2", "-w", "-shared", "-fPIC", "-o", library, PROGRAMS / "libcuda.c"])
    target = host.root / LIBRARY.lstrip("/")
    target.write_bytes(library.read_bytes())
    host.put(LIE, "")
    host.put(LIE_INSIDE, "")
    host.put("/usr/bin/nvidia-container-runtime", RUNTIME, 0o755)
    host.put("/usr/bin/nvidia-ctk", CTK, 0o755)
    host.put("/usr/bin/nvidia-smi", SMI, 0o755)
    host.put("/etc/cdi/nvidia.yaml", json.dumps(CDI))
    host.nsenter(
        "mkdir -p /sys/module/nvidia; mknod /dev/nvidia0 c 10 229; mknod /dev/nvidiactl c 195 255; mknod /dev/nvidia-uvm c 510 0"
    )


def make_site(make_host: Callable[..., Host], folder: Path, name: str, daemon_json: str) -> Site:
    """A host with Docker and Compose that starts with this daemon.json, and the images "idle" (sleep) and "tool" (ls)."""
    host = make_host(
        "trixie", name, nouveau="absent", gpu_driver="nvidia", stand_ins={"/proc/driver/nvidia/version": NVRM}
    )
    install(host, "docker-compose", "busybox-static")
    pretend_gpu(host, folder)
    host.put("/etc/docker/daemon.json", daemon_json)
    host.nsenter(
        "systemctl restart docker; mkdir -p /tmp/i/bin && cp /bin/busybox /tmp/i/bin/sleep && tar -C /tmp/i -c . | docker import - idle; "
        "cp /bin/busybox /tmp/i/bin/ls && tar -C /tmp/i -c . | docker import - tool"
    )
    return Site(host, folder)
