"""`bench/run no-op`: a fleet that is done is provisioned once more."""

from __future__ import annotations

import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import contestants, latency, site, table
from bench.contestants import Contestant
from bench.measure import Sample, best, measure
from tests.bed.fleet import Fleet
from tests.bed.shell import BedError

# Seconds that one run may take.
LIMIT = 5400
# Whoever else fails is in the table as failed: on a busy machine Mitogen gives up on hosts that answer late.
MUST_SUCCEED = frozenset({"ssh true", "floor", "gpu-host"})


@dataclass(frozen=True)
class Bench:
    """What all rounds share. `play`: Ansible's program and Mitogen's folder, each "" where it does not take part."""

    site: site.Site
    fleet: Fleet
    options: Namespace
    play: tuple[str, str]
    job: Mapping[str, Any]


def main(options: Namespace) -> int:
    """Every round's table on the terminal as soon as it is over, and all of them at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        play = contestants.environment() if options.ansible else ("", "")
        with site.converged(folder) as converged:
            host = converged.host
            seconds = alone(converged)
            fleet = Fleet.of(host, max(options.hosts), _answers(converged))
            for question, took in seconds.items():
                host.put(f"/etc/fleet/{question}.seconds", f"{took:.2f}\n")
            bench = Bench(converged, fleet, options, play, site.job(host, converged.plan))
            print(table.of_host(seconds), flush=True)
            rounds = []
            for count in options.hosts:
                for kind in ("work", "answer") if count <= options.work_hosts else ("answer",):
                    rounds.append(round_of(bench, count, kind))
                    print(table.of_round(*rounds[-1]), flush=True)
        print(table.summary(rounds))
    return 0


def alone(converged: site.Site) -> dict[str, float]:
    """What each question takes on the host while nobody else asks, in seconds: the best of three."""
    found = {}
    for name, command in site.questions().items():
        tries = []
        for _ in range(3):
            script = "read -r a _ </proc/uptime; sh -s >/dev/null; read -r b _ </proc/uptime; echo $a $b"
            before, after = converged.host.nsenter(script, text_in=command, timeout=600).stdout.split()
            tries.append(float(after) - float(before))
        found[name] = min(tries)
    return found


def _answers(converged: site.Site) -> dict[str, str]:
    return {
        name: converged.host.nsenter("sh -s", text_in=c, timeout=600).stdout for name, c in site.questions().items()
    }


def round_of(bench: Bench, count: int, kind: str) -> tuple[str, list[tuple[Contestant, Sample]]]:
    """All contestants on `count` hosts of one kind, in turn, as often as asked for; one uncounted turn before."""
    options, whole = bench.options, bench.fleet
    folder = bench.site.folder / f"{kind}-{count}"
    folder.mkdir()
    part = Fleet(whole.host, dict(list(whole.addresses.items())[:count]))
    part.behave(kind, wait=True)
    with latency.slow(part, options.latency) as places:
        data = {**whole.host.inventory_data(), **bench.site.data, "gpu_report_dir": str(folder / "reports")}
        if options.latency:
            data["ssh_strict_host_key_checking"] = "no"
        reached = contestants.Fleet(places, data, folder)
        light = [*contestants.ssh_loops(reached, site.questions()["probe"]), *contestants.floor_and_product(reached)]
        heavy: list[Contestant] = []
        if bench.play[0] and kind == "work" and count <= options.ansible_hosts:
            heavy = contestants.ansible(reached, bench.job, *bench.play, round_name=f"{kind}-{count}")
        samples: dict[str, list[Sample]] = {c.name: [] for c in (*light, *heavy)}
        for turn in range(options.runs + 1):
            for contestant in (*light, *(heavy if turn <= options.ansible_runs else ())):
                sample = _once(contestant, part, folder)
                if turn:
                    samples[contestant.name].append(sample)
    title = f"{count} hosts, {kind}, {options.latency} ms"
    return title, [(c, best(samples[c.name])) for c in (*light, *heavy) if samples[c.name]]


def _once(contestant: Contestant, fleet: Fleet, folder: Path) -> Sample:
    log = folder / f"{contestant.name.replace(' ', '-')}.log"
    sockets = contestant.env.get("ANSIBLE_SSH_CONTROL_PATH_DIR")
    if sockets:
        shutil.rmtree(sockets, ignore_errors=True)
    sample = measure(contestant.words, fleet, log, cwd=contestant.cwd, env=contestant.env, limit=LIMIT)
    if sample.code and contestant.name in MUST_SUCCEED:
        raise BedError(f"{contestant.name} ended with {sample.code}:\n{_tail(log)}")
    return sample


def _tail(log: Path) -> str:
    lines: Iterable[str] = log.read_text(errors="replace").splitlines()[-40:]
    return "\n".join(lines)
