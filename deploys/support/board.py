"""The steps that run now: a live block on a terminal, a line at least every minute elsewhere.

pyinfra's own spinner writes one line and leaves "clear what follows" in the buffer of standard error, so that whatever is printed next wipes it
away. The block does the same with several lines: nothing that pyinfra or a step prints is ever overwritten.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import gevent
from pyinfra import logger, progress
from pyinfra.api.state import StateStage

from deploys.plan.progress import Running, Times, beat, live
from deploys.support.context import this_state
from deploys.support.outcome import LEDGER
from deploys.support.reports import step_times

EVERY = float(os.environ.get("GPU_HOST_BEAT", "30"))
FRAME = 0.25
# Lines of the terminal that stay free for what is printed.
KEEP = 4
_SIGNS = "-\\|/"


class Board:
    """What runs, by host and step. One per process, as all hosts of a run share one terminal."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], tuple[str, float]] = {}
        self._times: tuple[str | None, Times] = (None, {})
        self._watched = False

    def begin(self, host: str, key: str, step: str) -> None:
        self._running[host, key] = (step, time.monotonic())

    def end(self, host: str, key: str) -> float:
        """Seconds that the step took; 0 for one that was never begun."""
        _, started = self._running.pop((host, key), ("", time.monotonic()))
        return time.monotonic() - started

    def running(self) -> list[Running]:
        """In the order in which they were begun; hosts that are being connected to first."""
        now = time.monotonic()
        steps = [Running(host, step, now - started) for (host, _), (step, started) in self._running.items()]
        return [*_connecting(), *steps]

    def times(self) -> Times:
        """Times of earlier runs, read when they are first asked for; the folder is known once a host's settings are."""
        folder = LEDGER.report_dir
        if folder and folder != self._times[0]:
            self._times = (folder, step_times(Path(folder)))
        return self._times[1]

    def watch(self) -> None:
        """Show progress from now on, by the way that fits the terminal."""
        if not self._watched:
            self._watched = True
            progress._print_spinner = self._draw
            if not on_terminal():
                gevent.spawn(self._beat)

    def _beat(self) -> None:
        while True:
            gevent.sleep(EVERY)
            for line in beat(self.running(), self.times()):
                logger.info(line)

    def _draw(self, stop: Any, messages: deque[str]) -> None:
        """Stands in for pyinfra's `_print_spinner`, with the same parameters."""
        turn = 0
        while on_terminal() and not stop.is_set():
            turn += 1
            size = shutil.get_terminal_size()
            # In the last column a terminal would go to the next line by itself.
            width = size.columns - 5
            rows = live(self.running(), self.times(), width=width, height=max(size.lines - KEEP, 1))
            said = messages[-1] if messages else ""
            # pyinfra ends its line with the hosts that are left; the block names them already.
            rows.insert(
                0, f"{_SIGNS[turn % 4]} {said.partition('{')[0].rstrip(' -') if rows else said}"[:width].rstrip()
            )
            sys.stderr.write(frame(rows))
            sys.stderr.flush()
            # Not flushed: it comes before whatever is printed next.
            sys.stderr.write("\033[J")
            stop.wait(timeout=FRAME)


def frame(rows: list[str]) -> str:
    """Lines drawn from the cursor on, with the cursor back where it was."""
    up = f"\033[{len(rows) - 1}A" if len(rows) > 1 else ""
    return "\n".join(f"    {row}\033[K" for row in rows) + f"\r{up}"


def on_terminal() -> bool:
    """Can lines be drawn over? As pyinfra judges it."""
    return bool(progress.IS_TTY) and os.environ.get("PYINFRA_PROGRESS") != "off" and os.environ.get("TERM") != "dumb"


def _connecting() -> list[Running]:
    state = this_state()
    if state is None or state.inventory is None or state.current_stage != StateStage.Connect:
        return []
    waiting = [h for h in state.inventory if state.is_host_in_limit(h) and not h.connected]
    return [Running(host.name, "Connect", LEDGER.since()) for host in waiting]


BOARD = Board()
