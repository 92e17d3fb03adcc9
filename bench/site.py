"""The hosts of the benchmark: one machine that this toolkit has provisioned, and a fleet that answers as it does.

Ubuntu 24.04's package manager and services are real, its packages are small stand-ins by the real names, and what needs silicon
(nvidia-smi, libcuda, the kernel module) is a stand-in as well. The machine is made anew for each run of the benchmark: the first
provisioning is the product's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploys.plan.plan import Plan
from facts.cuda_program import CUDA_PROGRAM
from facts.probe import SUBJECTS
from facts.proof import SUBJECT as PROOF
from facts.subject import build_command
from tests.bed import rpms
from tests.bed.bed import Bed
from tests.bed.families import FAMILIES
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.shell import BedError
from tests.bed.sources import KEYRING, machine_archive
from tests.hosts import engine_lab, families_lab
from tests.hosts.families_lab import Family

VERSION = "580.178.04"
# The engine of stand-ins runs no containers: what CUDA would say in one is said for it.
DOCKER = """#!/bin/sh
case " $* " in
*" import "*) cat >/dev/null ;;
*" run -d "* | *" rm "* | *" rmi "* | *" down "*) ;;
*" run "* | *" exec "*) cat >/dev/null; echo 0 ;;
*) exec /usr/bin/docker "$@" ;;
esac
"""
DATA = {"gpu_driver_branch": "580", "gpu_accept": ["release_not_ended"]}


@dataclass(frozen=True)
class Site:
    """`data`: what an inventory says of each host."""

    family: Family
    data: dict[str, Any]
    folder: Path

    @property
    def host(self) -> Host:
        return self.family.host

    @property
    def plan(self) -> Plan:
        return self.family.first


def _spec() -> dict[str, Any]:
    nvrm = engine_lab.NVRM.replace(engine_lab.VERSION, VERSION)
    return {"gpus": "a100", "refuse": {}, "on_load": {"nvidia": {"/proc/driver/nvidia/version": nvrm}}}


@contextmanager
def bare(folder: Path, *names: str) -> Iterator[list[Family]]:
    """Bare hosts, and repositories with all that their plan asks for. Raises BedError."""
    with Bed.open() as bed:
        repos = rpms.start(folder / "repositories", bed.network.gateway)
        try:
            key = families_lab.vendor_key(repos, folder)
            hosts = [bed.make_host("ubuntu", name, **_spec()) for name in names]
            for host in hosts:
                real_python(host)
            first = families_lab.stock_deb(hosts[0], repos, key)
            for host in hosts[1:]:
                families_lab.point_deb(host, repos)
            yield [replace(first, host=host) for host in hosts]
        finally:
            rpms.stop(folder / "repositories")


def real_python(host: Host) -> None:
    """Python with all its parts, and with apt's own bindings: CUDA's proof needs the first, Ansible both."""
    archive, suite = machine_archive(), FAMILIES["ubuntu"].suite
    line = f"deb [signed-by={KEYRING}] {archive.main} {suite} main"
    script = f"""echo '{line}' >/etc/apt/sources.list.d/real.list && apt-get -q update &&
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends python3 python3-apt; code=$?
rm -f /etc/apt/sources.list.d/real.list; exit $code"""
    host.nsenter(script, timeout=600)


@contextmanager
def converged(folder: Path) -> Iterator[Site]:
    """A host that this toolkit has provisioned and finds ready. Raises BedError."""
    with bare(folder, "ubuntu") as (family,):
        data = {**family.data, **DATA, "gpu_report_dir": str(folder / "reports")}
        inventory = write_inventory(folder / "first.py", [family.host], data)
        run_pyinfra(inventory, "deploys/gpu_host.py", "-y", timeout=3600)
        pretend(family.host, folder)
        done = run_pyinfra(inventory, "deploys/gpu_host.py", "-y", timeout=600)
        if done.returncode:
            raise BedError(f"the host is not ready:\n{done.stderr[-3000:]}")
        yield Site(family, data, folder)


def pretend(host: Host, folder: Path) -> None:
    """From now on the host answers as with a GPU, and so do its containers."""
    engine_lab.pretend_gpu(host, folder)
    host.put("/usr/local/bin/docker", DOCKER, 0o755)
    host.put("/usr/bin/nvidia-smi", engine_lab.SMI.replace(engine_lab.VERSION, VERSION), 0o755)


def questions() -> dict[str, str]:
    """The commands that the deploy sends to a host which is done."""
    return {"probe": build_command(SUBJECTS), "proof": build_command([PROOF])}


def job(host: Host, plan: Plan) -> dict[str, Any]:
    """The same job in words for the play: packages and units of the plan, and the very files that it left on the host."""
    files = {f.path: {"path": f.path, "content": (host.root / f.path.lstrip("/")).read_text()} for f in plan.files}
    packages = {c.name: list(c.packages) for c in plan.capabilities}
    return {
        "apt_keys": [f for p, f in files.items() if p.endswith(".asc")],
        "sources": [f for p, f in files.items() if p.endswith(".sources")],
        "nouveau": next(f for p, f in files.items() if "nouveau" in p),
        "paths": [f for p, f in files.items() if p.endswith(("-cuda.sh", "-cuda.conf"))],
        "devices": [f for p, f in files.items() if "devices" in p],
        "packages": {**packages, "docker": packages["docker"] + packages.get("compose", [])},
        "daemon": json.loads((host.root / "etc/docker/daemon.json").read_text()),
        "services": list(plan.services),
        "cuda_program": CUDA_PROGRAM,
    }
