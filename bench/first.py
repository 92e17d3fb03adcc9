"""`bench/run first`: two bare Debian 13 hosts with the archive's real packages, one for this toolkit, one for a sequence of roles; what each did is counted.

The driver's module is compiled on both. The container toolkit is a stand-in from a signed local repository. CUDA's toolkit is left out:
it is some gigabytes, which both would unpack in the same way.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench import contestants
from bench.contestants import Fleet
from deploys.knowledge.distros.debian import DEBIAN_13
from deploys.plan.plan import Plan, make_plan
from deploys.plan.settings import Settings
from facts.probe import SUBJECTS, parse_machine
from facts.subject import build_command
from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.repository import Repository
from tests.bed.shell import BedError, run

# How often each happened on the host since it was made.
COUNTS = {
    "transactions": "grep -c '^Commandline: .*' /var/log/apt/history.log",
    "boot images built": "grep -c '' /var/log/bench-images",
    "modules compiled": "grep -c '' /var/log/bench-make",
    "docker starts": "journalctl -u docker.service -o cat | grep -c '^Started'",
    "remote commands": "grep -c '' /var/log/remote-commands.log",
}
# Programs that note when they were called, before what they stand for; and which calls count.
NOTED = {"/usr/sbin/mkinitramfs": ("bench-images", "*"), "/usr/bin/make": ("bench-make", "*modules*|*KERNEL*")}
LIMIT = 5400
PROFILE: Literal["containers"] = "containers"


@dataclass(frozen=True)
class Run:
    """`seconds` by the clock, and the counts of the host."""

    who: str
    seconds: float
    counts: dict[str, int]


def main(_options: Namespace) -> int:
    """Both in one run, one after the other; ratios first. Raises BedError."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Bed.open() as bed:
        folder, repo = Path(name), bed.repository()
        program, _ = contestants.environment()
        hosts = [bed.make_host("trixie", who, gpus="t4") for who in ("gpu-host", "roles")]
        for host in hosts:
            prepare(host)
        data = {
            "gpu_profile": PROFILE,
            "gpu_mirrors": mirrors(repo),
            "gpu_report_dir": str(folder / "reports"),
        }
        job = job_of(plan_of(hosts[1]), repo)
        runs = [provision(hosts[0], data, folder), roles(hosts[1], job, program, folder)]
        print(report(runs))
    return 0


def mirrors(repo: Repository) -> dict[str, Any]:
    return {"nvidia-container-toolkit": {"url": repo.url, "key": str(repo.key_path), "fingerprint": repo.fingerprint}}


def prepare(host: Host) -> None:
    """Python for Ansible, on both; and the host counts what is called on it from now on: what a package brings later is moved aside, too."""
    packages = "python3 python3-apt make initramfs-tools"
    host.nsenter(
        f"apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends {packages}",
        timeout=900,
    )
    for path, (log, calls) in NOTED.items():
        text = f'#!/bin/sh\ncase "$*" in {calls}) echo "$*" >>/var/log/{log} ;; esac\nexec {path}.real "$@"\n'
        host.nsenter(f": >/var/log/{log}; dpkg-divert --quiet --local --rename --divert {path}.real {path}")
        host.put(path, text, 0o755)
    host.nsenter(": >/var/log/apt/history.log; : >/var/log/remote-commands.log")


def plan_of(host: Host) -> Plan:
    """What this toolkit would do there."""
    answer = host.nsenter("sh -s", text_in=build_command(SUBJECTS), timeout=600).stdout
    return make_plan(parse_machine(answer), Settings(profile=PROFILE), DEBIAN_13)


def job_of(plan: Plan, repo: Repository) -> dict[str, Any]:
    """The same in words for the roles. What a capability has no packages for is empty."""
    packages = {c.name: list(c.packages) for c in plan.capabilities}
    for name in ("headers", "driver", "docker", "compose", "runtime"):
        if not packages.setdefault(name, []):
            raise BedError(f"the plan has no packages of {name}: {sorted(packages)}")
    source = f"deb [signed-by=/etc/apt/keyrings/toolkit.asc] {repo.url} /\n"
    return {
        "packages": packages,
        "nouveau": next({"path": f.path, "content": f.content} for f in plan.files if "nouveau" in f.path),
        "components": [{"path": f.path, "content": f.content} for f in plan.sources],
        "toolkit": [
            {"path": "/etc/apt/keyrings/toolkit.asc", "content": repo.key_path.read_text()},
            {"path": "/etc/apt/sources.list.d/toolkit.list", "content": source},
        ],
        "daemon": {"runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime", "args": []}}},
    }


def provision(host: Host, data: Mapping[str, Any], folder: Path) -> Run:
    """This toolkit's first run. What needs silicon fails its last step, as on any host without it."""
    inventory = write_inventory(folder / "first.py", [host], data)
    started = time.monotonic()
    done = run_pyinfra(inventory, "deploys/gpu_host.py", "-y", timeout=LIMIT)
    seconds = time.monotonic() - started
    if not re.search(r"PASS\s+driver_built", done.stderr):
        raise BedError(f"the host was not provisioned:\n{done.stderr[-4000:]}")
    return Run("gpu-host", seconds, count(host))


def roles(host: Host, job: dict[str, Any], program: str, folder: Path) -> Run:
    """The sequence of roles."""
    fleet = Fleet({host.name: (host.address, 22)}, host.inventory_data(), folder)
    play = contestants.ansible(fleet, job, program, "", round_name="first", play="roles.yml")[0]
    started = time.monotonic()
    done = run(play.words, check=False, timeout=LIMIT, env=dict(play.env), cwd=play.cwd)
    seconds = time.monotonic() - started
    if done.returncode:
        raise BedError(f"the roles failed:\n{done.stdout[-4000:]}")
    return Run("roles", seconds, count(host))


def count(host: Host) -> dict[str, int]:
    return {name: int(host.nsenter(command, check=False).stdout.strip() or 0) for name, command in COUNTS.items()}


def report(runs: Iterable[Run]) -> str:
    """A row per tool."""
    product, *others = runs
    lines = [f"wall time of gpu-host: {product.seconds / other.seconds:.2f} of {other.who}'s" for other in others]
    lines += [f"{run.who}: {run.seconds:.0f} s, {json.dumps(run.counts)}" for run in (product, *others)]
    return "\n".join(lines)
