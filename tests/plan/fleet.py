"""A fleet that never was, for tests of the page, the metrics and the schema: every state, and figures that could be so."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from deploys.plan.finding import Finding, stop, warn
from deploys.plan.proof_step import Step
from deploys.plan.result import Document, Outcome, Timing, document, instant, remember_proofs
from deploys.plan.states import BY_NAME, ORDER

STARTED = 1_795_000_000
DAY = 86_400

# State -> why, in the words of the toolkit.
DETAILS = {
    "drifted": "drifted since 2026-11-20T10:00:00Z: package docker.io",
    "reboot-pending": "driver 580.95.05 is loaded, 580.105.08 is on disk",
    "restart-pending": "container_cdi: dockerd reads CDI specifications after its next start; 3 containers run",
    "not-ready": "cuda_kernel: cuInit: CUDA_ERROR_SYSTEM_NOT_READY (802)",
    "refused": "gpu_count_as_expected",
    "interrupted": "the run was ended; steps on the host may go on",
    "failed": "step failed: Sources | The transaction is rehearsed in an overlay",
    "unreachable": "no connection",
}
KINDS = (
    ("2330", "NVIDIA H100 80GB HBM3", 8, "ubuntu 24.04", "6.8.0-60-generic", "580.105.08"),
    ("27b8", "NVIDIA L4", 2, "debian 13", "6.12.48-amd64", "550.163.01"),
    ("20b0", "NVIDIA A100-SXM4-80GB", 4, "rocky 9.6", "5.14.0-570.el9.x86_64", "580.105.08"),
    ("1eb8", "Tesla T4", 1, "debian 12", "6.1.0-50-amd64", "535.309.01"),
)
STEPS = (
    ("Read the host", 0.8),
    ("Sources | The transaction is rehearsed in an overlay", 312.0),
    ("Sources | Our own files are in place", 0.9),
    ("Software | Docker is configured as wanted", 0.4),
    ("Software | All packages are installed in one transaction", 186.0),
    ("nouveau | nouveau is blocked in every boot image", 41.0),
    ("Activate | Rebooted, where the state of the host needs it", 148.0),
    ("Activate | Services are enabled and running", 2.6),
    ("Proof | The host is ready", 9.4),
)
PLAN = """{host}: Ubuntu 24.04 (noble), kernel 6.8.0-60-generic
    state         reload-pending: driver 580.95.05 is loaded, 580.105.08 is on disk; load 580.105.08 anew: nobody uses the GPUs
    gpu           10de:2330 Hopper at 0000:1b:00.0, bound to nvidia
    driver        580.105.08, install nvidia-open-580
                  why: the newest LTS branch that carries every GPU
    packages      6 to install in one transaction after a trial build of the kernel module, about 412 MiB to download
    reboot        only where the loaded driver cannot be unloaded
"""
PROOF = (
    "pci_gpus",
    "nouveau_absent",
    "driver_built",
    "driver_loaded",
    "device_nodes",
    "nvml",
    "cuda_kernel",
    "compose",
)


def host(index: int, state: str, chance: random.Random) -> Outcome:
    """One host of the fleet; the same index, state and seed give the same host."""
    name = f"gpu-{index + 1:02d}"
    if state == "unreachable":
        return Outcome(name, state, DETAILS[state], last_proof={"at": instant(STARTED - 9 * DAY), "state": "ready"})
    device, product, count, system, kernel, driver = KINDS[chance.randrange(len(KINDS)) if state != "refused" else 0]
    count -= state == "refused"
    found = Outcome(name, state, DETAILS.get(state, ""), system=system, kernel=kernel)
    found.gpus = [{"id": f"10de:{device}", "name": product, "count": count}]
    found.driver, found.docker, found.compose = driver, "28.5.1", "2.40.3"
    found.runtime, found.cuda = "1.18.0", ["13.0"]
    found.driver_state = {"name": "ready", "why": f"module and libraries {driver}, next kernel too", "repair": ""}
    found.reboot = {"pending": False, "why": []}
    if state == "reboot-pending":
        found.reboot = {"pending": True, "why": [found.detail]}
        found.driver_state = {
            "name": "reboot-pending",
            "why": found.detail,
            "repair": "waits for llm-server (pid 4121)",
        }
    found.findings = _findings(state, driver, chance)
    if state != "refused":
        found.plan = PLAN.format(host=name)
    if state in ("refused", "planned", "passed"):
        found.timings = [Timing("Read the host", 1.2, 0.8)]
        return found
    _work(found, chance)
    return found


def _findings(state: str, driver: str, chance: random.Random) -> list[Finding]:
    found = []
    if state == "refused":
        found.append(
            stop(
                "gpu_count_as_expected",
                "7 GPUs on the PCI bus",
                "8 (gpu_expected_gpus)",
                "reseat or power-cycle the missing GPU, or correct gpu_expected_gpus in this host's data",
            )
        )
    if state != "ready" or chance.random() < 0.2:
        found.append(
            warn(
                "driver_branch_alive",
                f"branch {driver.partition('.')[0]} ends on 2027-06-30",
                "a branch with updates",
                "set gpu_driver_branch to a newer one before its end",
            )
        )
    return found


def _work(found: Outcome, chance: random.Random) -> None:
    """Steps, changes and the proof of a host that was worked on."""
    first, at = chance.random() < 0.35 or found.state != "ready", 1.0
    stopped = {"failed": 1, "interrupted": 4}.get(found.state, len(STEPS) - 1)
    for number, (name, seconds) in enumerate(STEPS[: stopped + 1]):
        took = seconds * chance.uniform(0.7, 1.5) if first or seconds < 10 else 0.1
        bad = found.state in ("failed", "not-ready") and number == stopped
        changed = first and number not in (0, len(STEPS) - 1) and not bad
        found.timings.append(Timing(name, round(at, 2), round(took, 2), changed, "failed" if bad else "ok"))
        at += took
    found.changed = [t.step for t in found.timings if t.changed]
    if stopped == len(STEPS) - 1 and BY_NAME[found.state].proven:
        lacking = {"not-ready": "cuda_kernel", "reboot-pending": "driver_loaded"}.get(found.state, "")
        found.steps = [
            Step(name, "FAIL", found.detail.removeprefix(f"{name}: "))
            if name == lacking
            else Step(name, "PASS", f"as wanted on {found.driver}")
            for name in PROOF
        ]


def fleet(count: int, *, good: int = 0, states: Sequence[str] = ORDER, started: int = STARTED) -> Document:
    """A run over `count` hosts with `states` in turn, and `good` more that are ready. The same arguments give the same fleet."""
    chance = random.Random(7)
    names = [*islice(cycle(states), count), *["ready"] * good]
    chance.shuffle(names)
    hosts = [host(index, state, chance) for index, state in enumerate(names)]
    run: dict[str, Any] = {"deploys": ["gpu_host.py"], "dry": False}
    found = document(hosts, started=started, ended=started + 742, run=run, pyinfra="3.10.0")
    remember_proofs(found, {})
    return found
