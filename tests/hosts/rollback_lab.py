"""Hosts of apt and dnf on which a driver is ready or not by our word: silicon is played, packages and their managers are real."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploys.knowledge.paths import PROVEN_BEFORE, PROVEN_RECORD
from deploys.plan.proven import ProvenSet, read_proven
from tests.bed import rpms
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.rpms import RpmRepositories
from tests.hosts import families_lab
from tests.hosts.families_lab import Family

NAMES = ("ubuntu", "rocky")
LIMIT = 1800
DATA = {"gpu_profile": "raw", "gpu_cuda": None, "gpu_accept": ["release_not_ended"], "gpu_reboot": "never"}
# Drivers whose version begins like this load, and do not answer.
BROKEN = "/etc/broken-driver"
_VERSION = "/sys/module/nvidia/version"
_NVRM = "/etc/hostmask/root/proc/driver/nvidia/version"
_PROGRAMS = {
    "/usr/local/sbin/modprobe": f"""#!/bin/sh
case $* in
nvidia)
    [ ! -d /sys/module/nvidia ] || exit 0
    v=$(modinfo -F version nvidia) && mkdir -p /sys/module/nvidia {_NVRM.rpartition("/")[0]} || exit 1
    echo "NVRM version: NVIDIA UNIX x86_64 Kernel Module  $v" >{_NVRM}
    echo "$v" >{_VERSION} ;;
nvidia-*) : ;;
*) exec /usr/sbin/modprobe "$@" ;;
esac
""",
    "/usr/local/sbin/rmmod": f"#!/bin/sh\nrm -rf /sys/module/$1 {_NVRM}\n",
    "/usr/local/bin/nvidia-smi": f"""#!/bin/sh
v=$(cat {_VERSION}) || exit 9
case $v in "$(cat {BROKEN} 2>/dev/null || echo none)"*) echo 'Unable to determine the device handle'; exit 9 ;; esac
echo "0, Tesla T4, $v"
""",
    "/usr/local/bin/python3": '#!/bin/sh\n[ "$1" != - ] || { cat >/dev/null; echo 0; exit; }\nexec /usr/bin/python3 "$@"\n',
}


@dataclass
class Site:
    """The hosts, and what was said of them."""

    repos: RpmRepositories
    families: dict[str, Family]
    folder: Path

    def run(self, deploy: str = "deploys/gpu_host.py", branch: str = "580") -> subprocess.CompletedProcess[str]:
        data = {"gpu_report_dir": str(self.folder / "reports"), **DATA, "gpu_driver_branch": branch}
        hosts = [(f.host, f.data) for f in self.families.values()]
        inventory = write_inventory(self.folder / "inventory.py", hosts, data)
        done = run_pyinfra(inventory, deploy, "-y", timeout=LIMIT)
        print(done.stdout[-2000:], done.stderr[-12000:])
        return done

    def results(self) -> dict[str, dict[str, Any]]:
        document = json.loads((self.folder / "reports/latest.json").read_text())
        return {h["host"]: h for h in document["hosts"]}

    def packages(self, name: str) -> str:
        """Without what pins apt to a branch: it comes before a transaction, and stays."""
        command = "dpkg-query -W | grep -v pinning" if name == "ubuntu" else "rpm -qa | grep -v ^gpg-pubkey | sort"
        return self.families[name].host.nsenter(command).stdout

    def loaded(self, name: str) -> str:
        return self.families[name].host.nsenter(f"cat {_VERSION}").stdout.strip()

    def proven(self, name: str) -> tuple[ProvenSet, ProvenSet | None]:
        """The set that was proven last, and the one before."""
        host = self.families[name].host
        before = host.nsenter(f"cat {PROVEN_BEFORE}", check=False).stdout
        return read_proven(host.nsenter(f"cat {PROVEN_RECORD}").stdout), read_proven(before) if before else None

    def downloads(self, version: str) -> int:
        """How often a package of that version was asked for."""
        lines = (self.repos.folder / "server.log").read_text(errors="replace").splitlines()
        return len([line for line in lines if "GET" in line and version in line])

    def break_driver(self, version: str) -> None:
        for family in self.families.values():
            family.host.put(BROKEN, version) if version else family.host.nsenter(f"rm -f {BROKEN}")


@contextmanager
def make_site(make_host: Callable[..., Host], folder: Path, address: str) -> Iterator[Site]:
    """Bare hosts and their repositories."""
    repos = rpms.start(folder / "bed", address)
    try:
        key = families_lab.vendor_key(repos, folder)
        hosts = {n: make_host(n, f"back-{n}", gpus="t4", nouveau="absent", gpu_driver="nvidia") for n in NAMES}
        families = {
            "ubuntu": families_lab.stock_deb(hosts["ubuntu"], repos, key),
            "rocky": families_lab.stock_rpm("rocky", hosts["rocky"], repos, key),
        }
        for host in hosts.values():
            for path, text in _PROGRAMS.items():
                host.put(path, text, 0o755)
            host.nsenter("mknod /dev/nvidia0 c 195 0; mknod /dev/nvidiactl c 195 255; mknod /dev/nvidia-uvm c 510 0")
        yield Site(repos, families, folder)
    finally:
        rpms.stop(folder / "bed")
