"""What became of each host in this run, kept for the table, the JSON file and the exit code."""

from __future__ import annotations

import atexit
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from pyinfra.api.state import StateStage

from deploys.plan.drift import Drift
from deploys.plan.finding import Finding
from deploys.plan.proof_step import Step
from deploys.support.context import this_host, this_state

SCHEMA = 1
ORDER = (
    "ready",
    "planned",
    "passed",
    "drifted",
    "reboot-pending",
    "restart-pending",
    "not-ready",
    "refused",
    "interrupted",
    "failed",
    "unreachable",
)


@dataclass
class Outcome:
    """One host. `state` is one of `ORDER`; `detail` says in one line why it is not better."""

    host: str
    state: str = "failed"
    detail: str = ""
    system: str = ""
    gpus: list[str] = field(default_factory=list)
    driver: str = ""
    findings: list[Finding] = field(default_factory=list)
    plan: str = ""
    steps: list[Step] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    symptoms: list[dict[str, str]] = field(default_factory=list)
    max_unavailable: int = 1
    max_failed: int = 0


class Ledger:
    """All outcomes of a run. One per process: pyinfra runs one inventory per process."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.report_dir: str | None = None
        self.started = time.time()
        self.installed = False
        self.begun = False
        self.dry = False

    def of(self, name: str) -> Outcome:
        return self.outcomes.setdefault(name, Outcome(name))


LEDGER = Ledger()


def current() -> Outcome:
    """The outcome of the current host."""
    return LEDGER.of(this_host().name)


def settle_failed(state: Any) -> None:
    """Give every host that pyinfra lost a state: unreachable before the deploy began, failed after."""
    for host in state.inventory:
        if not state.is_host_in_limit(host):
            continue
        outcome = LEDGER.outcomes.get(host.name)
        if outcome is None:
            LEDGER.of(host.name).state = "unreachable"
            LEDGER.of(host.name).detail = "no connection"
        elif host in state.failed_hosts and outcome.state in ("planned", "failed", "passed"):
            outcome.state = "failed"
            outcome.detail = outcome.detail or "a step failed; see above"
        elif outcome.state == "planned" and state.current_stage == StateStage.Execute:
            outcome.state, outcome.detail = "interrupted", "the run was ended; steps on the host may go on"


def table() -> str:
    """A row per host, worst last, and a line that counts."""
    rows = sorted(LEDGER.outcomes.values(), key=lambda o: (ORDER.index(o.state), o.host))
    cells = [("host", "state", "system", "gpus", "driver", "detail")]
    cells += [(o.host, o.state, o.system, str(len(o.gpus)), o.driver, o.detail) for o in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(5)] + [0]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    counts = [f"{sum(o.state == s for o in rows)} {s}" for s in ORDER if any(o.state == s for o in rows)]
    return "\n".join([*lines, "", ", ".join(counts)])


def _document() -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(LEDGER.started)),
        "seconds": round(time.time() - LEDGER.started, 1),
        "hosts": [asdict(o) for o in sorted(LEDGER.outcomes.values(), key=lambda o: o.host)],
    }


def write_json(folder: str) -> Path:
    """All outcomes as JSON, written whole or not at all. Raises OSError."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target, prefix=".run-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(_document(), file, indent=2)
        file.write("\n")
    path = target / f"run-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(LEDGER.started))}-{os.getpid()}.json"
    Path(name).chmod(0o644)
    Path(name).replace(path)
    latest = target / "latest.json"
    latest.unlink(missing_ok=True)
    latest.symlink_to(path.name)
    return path


def tell() -> None:
    """Print the table and write the file. Runs once, at the end of the process."""
    state = this_state()
    if state is not None and state.inventory is not None:
        settle_failed(state)
    if not LEDGER.outcomes:
        return
    click.echo(f"\n{table()}", err=True)
    if result := os.environ.get("GPU_HOST_RESULT"):
        # A rolling run asks for what became of its wave.
        Path(result).write_text(json.dumps(_document()), encoding="utf-8")
    if LEDGER.report_dir:
        try:
            path = write_json(LEDGER.report_dir)
        except OSError as error:
            click.echo(f"the result could not be written to {LEDGER.report_dir}: {error}", err=True)
        else:
            click.echo(f"result: {path}", err=True)


def install(report_dir: str | None = None) -> None:
    """Have `tell` called when the run ends, however it ends. `report_dir` serves until a host's settings name one."""
    LEDGER.report_dir = LEDGER.report_dir or report_dir
    if not LEDGER.installed:
        LEDGER.installed = True
        atexit.register(tell)
