"""TELL: what became of the hosts, as one document for programs. `docs/result-schema.json` is its contract, `docs/results.md` explains it."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from deploys.knowledge.gpus import find_chip
from deploys.knowledge.version import VERSION
from deploys.plan.drift import Drift
from deploys.plan.finding import Finding
from deploys.plan.machine import Machine, Proof
from deploys.plan.proof_step import Step
from deploys.plan.reboot import reboot_reasons
from deploys.plan.state import driver_state
from deploys.plan.states import BY_NAME, ORDER, exit_code

# A change that could break a reader gives this another number; tests/plan/test_result_schema.py holds the two together.
SCHEMA = 2

Document = dict[str, Any]


@dataclass
class Timing:
    """One step on one host: `started` in seconds after the run began, `seconds` that it took. `result` is "ok" or "failed"."""

    step: str
    started: float
    seconds: float
    changed: bool = False
    result: str = "ok"


@dataclass
class Outcome:
    """One host. `state` is one of `ORDER`; `detail` says in one line why it is not better. Fields that nobody could read are empty."""

    host: str
    state: str = "failed"
    detail: str = ""
    seen: str = ""
    system: str = ""
    kernel: str = ""
    gpus: list[dict[str, Any]] = field(default_factory=list)
    driver: str = ""
    driver_state: dict[str, str] | None = None
    cuda: list[str] = field(default_factory=list)
    docker: str = ""
    compose: str = ""
    runtime: str = ""
    reboot: dict[str, Any] | None = None
    last_proof: dict[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)
    plan: str = ""
    steps: list[Step] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    symptoms: list[dict[str, str]] = field(default_factory=list)
    max_unavailable: int = 1
    max_failed: int = 0

    def learn(self, machine: Machine, proof: Proof | None = None) -> None:
        """Take over what the record of the host says now."""
        self.system = " ".join(part for part in (machine.distribution.id, machine.distribution.version) if part)
        self.kernel = machine.kernels.running or ""
        self.gpus = _gpus(machine, proof) or self.gpus
        self.driver = machine.driver.loaded or machine.driver.user_space or ""
        self.driver_state = asdict(driver_state(machine))
        self.cuda = [toolkit.version for toolkit in machine.cuda or () if toolkit.version]
        self.docker = machine.docker.engine or machine.docker.client or ""
        self.compose = machine.docker.compose or ""
        self.runtime = machine.toolkit.version or ""
        # nouveau on a bare host waits for the driver first, not for a reboot.
        reasons = () if self.driver_state["name"] == "bare" else reboot_reasons(machine)
        if machine.proven:
            # The host's own memory, for a controller that has none; it holds the first proof of what is there now.
            self.last_proof = {"at": machine.proven.time, "state": "ready"}
        flags = machine.boot.reboot_flags
        why = [*reasons, *([f"the system asks for one: {', '.join(flags[1:] or flags)}"] if flags else [])]
        self.reboot = {"pending": bool(why), "why": why}

    @property
    def gpu_count(self) -> int:
        return sum(gpu["count"] for gpu in self.gpus)


def _gpus(machine: Machine, proof: Proof | None) -> list[dict[str, Any]]:
    """Kinds of GPUs with their number; nvidia-smi counts in the order of the PCI bus and knows the name of the product."""
    lines = proof.smi_text.splitlines() if proof and proof.smi_code == 0 else []
    names = [line.split(",")[1].strip() for line in lines if line.count(",") >= 2]
    kinds: dict[tuple[str, str], int] = {}
    for index, gpu in enumerate(machine.gpus):
        chip = find_chip(gpu.device)
        known = f"{chip.generation.name} ({chip.code})" if chip else ""
        name = names[index] if len(names) == len(machine.gpus) else known
        kinds[gpu.id, name] = kinds.get((gpu.id, name), 0) + 1
    return [{"id": identity, "name": name, "count": count} for (identity, name), count in kinds.items()]


def instant(seconds: float) -> str:
    """Seconds since 1970 as the documents write them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def seconds_of(text: str) -> int | None:
    """The other way round; None where it is no such time."""
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return None


def document(
    outcomes: Iterable[Outcome], *, started: float, ended: float, run: Mapping[str, Any], pyinfra: str = ""
) -> Document:
    """A run as a document. `started` and `ended` in seconds since 1970; `run` says `deploys` and `dry`."""
    hosts = [{**asdict(o), "seen": o.seen or instant(ended)} for o in sorted(outcomes, key=lambda o: o.host)]
    return _document(hosts, started, ended, {"deploys": list(run["deploys"]), "dry": run["dry"], "runs": 1}, pyinfra)


def _document(hosts: list[Document], started: float, ended: float, run: Document, pyinfra: str) -> Document:
    counts = {name: sum(h["state"] == name for h in hosts) for name in ORDER}
    return {
        "schema": SCHEMA,
        "tool": {"name": "gpu-host", "version": VERSION, "pyinfra": pyinfra},
        "run": run,
        "started": instant(started),
        "seconds": round(max(ended - started, 0.0), 1),
        "exit_code": exit_code(h["state"] for h in hosts),
        "summary": {
            "hosts": len(hosts),
            "gpus": sum(gpu["count"] for h in hosts for gpu in h["gpus"]),
            "changed": sum(bool(h["changed"]) for h in hosts),
            "reboot_pending": sum(bool(h["reboot"] and h["reboot"]["pending"]) for h in hosts),
            "states": {name: count for name, count in counts.items() if count},
        },
        "hosts": hosts,
    }


def remember_proofs(now: Document, before: Mapping[str, Document]) -> None:
    """Give every host of a document its last proof: that of this run, or the newest that an earlier document or the host itself tells of."""
    for host in now["hosts"]:
        old = before.get(host["host"], {}).get("last_proof")
        mine = {"at": host["seen"], "state": host["state"]} if host["steps"] else host["last_proof"]
        host["last_proof"] = _newest(mine, old)
    _ages(now["hosts"], _end(now))


def _newest(*proofs: Document | None) -> Document | None:
    """A copy of the newest of them, whose age is told anew."""
    known = [proof for proof in proofs if proof]
    return dict(max(known, key=lambda proof: str(proof["at"]))) if known else None


def _ages(hosts: Iterable[Document], end: float) -> None:
    for host in hosts:
        proof = host["last_proof"]
        if proof is not None:
            proof["age_seconds"] = max(int(end) - (seconds_of(proof["at"]) or int(end)), 0)


def _end(run: Document) -> float:
    return (seconds_of(run["started"]) or 0) + float(run["seconds"])


def merge(documents: Iterable[Document]) -> Document | None:
    """The newest word on every host, as one document; None of none.

    A run that only looked (`planned`, `passed`) says less than the proof, the failure or the pending reboot before it, and does not replace it.
    """
    runs = sorted(documents, key=lambda d: (_end(d), d["started"]))
    if not runs:
        return None
    hosts: dict[str, Document] = {}
    for run in runs:
        for host in run["hosts"]:
            old = hosts.get(host["host"])
            if old is None or not _outlives(old, host):
                kept = old["last_proof"] if old else None
                hosts[host["host"]] = {**host, "last_proof": _newest(host["last_proof"], kept)}
    seen = {
        "deploys": list(dict.fromkeys(name for run in runs for name in run["run"]["deploys"])),
        "dry": all(run["run"]["dry"] for run in runs),
        "runs": sum(run["run"]["runs"] for run in runs),
    }
    rows = [hosts[name] for name in sorted(hosts)]
    end = max(map(_end, runs))
    _ages(rows, end)
    first = min(seconds_of(run["started"]) or 0 for run in runs)
    return _document(rows, first, end, seen, runs[-1]["tool"]["pyinfra"])


def _outlives(old: Document, new: Document) -> bool:
    """Is the older word on a host worth more?"""
    if old["seen"] > new["seen"]:
        return True
    return BY_NAME[old["state"]].proven and BY_NAME[new["state"]].kind == "good" and not BY_NAME[new["state"]].proven
