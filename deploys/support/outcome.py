"""What became of each host in this run, kept for the table, the files of the result and the exit code."""

from __future__ import annotations

import atexit
import os
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from pyinfra.api.state import StateStage

from deploys.plan.result import Document, Outcome, Timing, document
from deploys.plan.states import ORDER
from deploys.support import reports
from deploys.support.contain import trouble
from deploys.support.context import is_recording, this_host, this_state

__all__ = ["LEDGER", "Ledger", "Outcome", "Timing", "current", "install", "settle_failed", "table", "tell"]


class Ledger:
    """All outcomes of a run. One per process: pyinfra runs one inventory per process."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.report_dir: str | None = None
        self.started = time.time()
        self.installed = False
        self.begun = False
        self.dry = False

    def since(self) -> float:
        """Seconds since the run began."""
        return time.time() - self.started

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
            LEDGER.of(host.name).detail = trouble(host) or "no connection"
        elif host in state.failed_hosts and outcome.state in ("planned", "failed", "passed"):
            outcome.state = "failed"
            outcome.detail = outcome.detail or "a step failed; see above"
        elif outcome.state == "planned" and state.current_stage == StateStage.Execute:
            outcome.state, outcome.detail = "interrupted", "the run was ended; steps on the host may go on"


def table() -> str:
    """A row per host, worst last, and a line that counts."""
    rows = sorted(LEDGER.outcomes.values(), key=lambda o: (ORDER.index(o.state), o.host))
    cells = [("host", "state", "system", "gpus", "driver", "detail")]
    cells += [(o.host, o.state, o.system, str(o.gpu_count), o.driver, o.detail) for o in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(5)] + [0]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    counts = [f"{sum(o.state == s for o in rows)} {s}" for s in ORDER if any(o.state == s for o in rows)]
    return "\n".join([*lines, "", ", ".join(counts)])


def _document() -> Document:
    files = [Path(word) for word in sys.argv[1:] if word.endswith(".py")]
    run = {"deploys": [file.name for file in files if file.parent.name == "deploys"], "dry": LEDGER.dry}
    pyinfra = metadata.version("pyinfra")
    return document(LEDGER.outcomes.values(), started=LEDGER.started, ended=time.time(), run=run, pyinfra=pyinfra)


def _members(state: Any) -> list[str]:
    """Hosts whose result is one of the fleet: not those of a run that only shows plans, and no recordings."""
    if LEDGER.dry:
        return []
    recorded = {host.name for host in state.inventory if is_recording(host)} if state is not None else set()
    return [name for name in LEDGER.outcomes if name not in recorded]


def tell() -> None:
    """Print the table and write the file. Runs once, at the end of the process."""
    state = this_state()
    if state is not None and state.inventory is not None:
        settle_failed(state)
    else:
        state = None
    if not LEDGER.outcomes:
        return
    click.echo(f"\n{table()}", err=True)
    found = _document()
    if result := os.environ.get("GPU_HOST_RESULT"):
        # Who started this run, a rolling one or a machine's own, asks for what became of it, and where it was written.
        Path(result).write_text(reports.to_json(found), encoding="utf-8")
        Path(result).with_suffix(".folder").write_text(LEDGER.report_dir or "", encoding="utf-8")
    if LEDGER.report_dir:
        try:
            path = reports.write(Path(LEDGER.report_dir), found, fleet=_members(state))
        except OSError as error:
            click.echo(f"the result could not be written to {LEDGER.report_dir}: {error}", err=True)
        else:
            click.echo(f"result: {path}, page: {path.with_suffix('.html')}", err=True)


def install(report_dir: str | None = None) -> None:
    """Have `tell` called when the run ends, however it ends. `report_dir` serves until a host's settings name one."""
    LEDGER.report_dir = LEDGER.report_dir or report_dir
    if not LEDGER.installed:
        LEDGER.installed = True
        atexit.register(tell)
