"""`bench/run first`: a bare host each for this toolkit and for the play of Ansible, with the same packages; what each did there is counted.

The packages are small stand-ins, so the figures show what each does around them: no compiler runs, and nothing large is fetched.
"""

from __future__ import annotations

import json
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import contestants, site
from bench.contestants import Fleet
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.shell import run

# How often each happened on the host since it was made.
COUNTS = {
    "transactions": "grep -c '^Commandline: .*' /var/log/apt/history.log",
    "index refreshes": "grep -c '' /var/log/bench-updates",
    "boot images built": "grep -c '' /var/log/bench-images",
    "docker starts": "journalctl -u docker.service -o cat | grep -c '^Started'",
    "reboots": "journalctl --list-boots -o json | grep -o boot_id | wc -l",
    "remote commands": "grep -c '' /var/log/remote-commands.log",
}
# Programs that note when they were called, before what they stand for.
NOTED = {"/usr/sbin/update-initramfs": "bench-images", "/usr/bin/apt-get": "bench-updates"}
LIMIT = 5400


@dataclass(frozen=True)
class Run:
    """`seconds` by the clock, and the counts of the host."""

    who: str
    seconds: float
    counts: dict[str, int]


def main(_options: Namespace) -> int:
    """Both in one run, one after the other; ratios first."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        program, _ = contestants.environment()
        with site.bare(folder, "product", "ansible") as (ours, theirs):
            for family in (ours, theirs):
                note(family.host)
            data = {**ours.data, **site.DATA, "gpu_report_dir": str(folder / "reports")}
            product = provision(ours.host, data, folder)
            play = contestants.ansible(
                Fleet({theirs.host.name: (theirs.host.address, 22)}, theirs.host.inventory_data(), folder),
                site.job(ours.host, ours.first),
                program,
                "",
                round_name="first",
            )[0]
            started = time.monotonic()
            done = run(play.words, check=False, timeout=LIMIT, env=dict(play.env), cwd=play.cwd)
            other = Run("Ansible", time.monotonic() - started, count(theirs.host))
            print(done.stdout[-1500:])
        print(report([product, other]))
    return 0


def note(host: Host) -> None:
    """Have the host count what is called on it, from now on; the real programs are moved aside."""
    for path, log in NOTED.items():
        text = (
            f'#!/bin/sh\ncase "$*" in *update*|*-u*|*-c*) echo "$*" >>/var/log/{log} ;; esac\nexec {path}.real "$@"\n'
        )
        host.nsenter(f"touch /var/log/{log}; dpkg-divert --local --rename --divert {path}.real {path}")
        host.put(path, text, 0o755)


def provision(host: Host, data: dict[str, object], folder: Path) -> Run:
    """This toolkit's first run. What needs silicon fails its last step, as on any host without it."""
    inventory = write_inventory(folder / "first.py", [host], data)
    started = time.monotonic()
    run_pyinfra(inventory, "deploys/gpu_host.py", "-y", timeout=LIMIT)
    return Run("gpu-host", time.monotonic() - started, count(host))


def count(host: Host) -> dict[str, int]:
    return {name: int(host.nsenter(command, check=False).stdout.strip() or 0) for name, command in COUNTS.items()}


def report(runs: Iterable[Run]) -> str:
    """A row per tool."""
    product, *others = runs
    lines = [f"wall time of gpu-host: {product.seconds / other.seconds:.2f} of {other.who}'s" for other in others]
    lines += [f"{run.who}: {run.seconds:.0f} s, {json.dumps(run.counts)}" for run in (product, *others)]
    return "\n".join(lines)
