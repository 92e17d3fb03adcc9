"""`./provision INVENTORY --rolling`: the whole fleet is judged first, then done in waves, each a run of pyinfra of its own.

pyinfra does an operation on all hosts before the next one, and looks at failures only after it; with `_serial` all hosts would be drained before
the first reboots. A wave ends with the proof of its hosts, so drain, reboot, proof and undrain of one host are over before the next begins.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploys.plan.result import Document, merge
from deploys.plan.rolling import Wave, roll
from deploys.plan.states import FAILED_CODE, exit_code
from deploys.support import reports

PREFLIGHT = Path(__file__).resolve().parents[1] / "preflight.py"
RESULT = "GPU_HOST_RESULT"


class Runs:
    """The runs of pyinfra that a rolling run is made of, and what each has left."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.folder = ""

    def pyinfra(self, words: Sequence[str]) -> tuple[int, list[dict[str, Any]]]:
        """One run with these arguments; its exit code and what it says of each host."""
        with tempfile.TemporaryDirectory(prefix="gpu-host-") as folder:
            result = Path(folder) / "result.json"
            command = [sys.executable, "-I", "-m", "deploys.support.front", *words]
            code = subprocess.run(
                command, env={**os.environ, RESULT: str(result)}, stdin=subprocess.DEVNULL, check=False
            ).returncode
            try:
                document = json.loads(result.read_text(encoding="utf-8"))
                self.folder = result.with_suffix(".folder").read_text(encoding="utf-8")
                hosts: list[dict[str, Any]] = document["hosts"]
            except (OSError, ValueError, KeyError):
                return code, []
        self.documents.append(document)
        return code, hosts

    def tell(self, left: Sequence[str]) -> None:
        """All of them as one result, the newest; each has written its own before."""
        whole = merge(self.documents)
        if whole is None or not self.folder:
            return
        for host in whole["hosts"]:
            if host["host"] in left:
                host["detail"] = "not begun: the rolling run ended before"
        try:
            path = reports.write(Path(self.folder), whole, fleet=())
        except OSError as error:
            sys.stderr.write(f"the result could not be written to {self.folder}: {error}\n")
        else:
            sys.stderr.write(f"result: {path}, page: {path.with_suffix('.html')}\n")


def without_limits(options: Sequence[str]) -> list[str]:
    """The options without --limit: those of a wave would be added to it, and the wave would be all of them."""
    kept: list[str] = []
    words = iter(options)
    for word in words:
        if word == "--limit":
            next(words, None)
        elif not word.startswith("--limit="):
            kept.append(word)
    return kept


def main(inventory: str, deploys: Sequence[str], options: Sequence[str]) -> int:
    """Judge all, then roll; returns the exit code. `options` are pyinfra's; their --limit says who is judged, and so who has a turn."""
    runs = Runs()
    code, judged = runs.pyinfra([inventory, str(PREFLIGHT), "-y", *options])
    passed = [h for h in judged if h["state"] == "passed"]
    if not passed:
        sys.stderr.write("provision: no host may be done; nothing was changed\n")
        return code or FAILED_CODE
    most_down = min(h["max_unavailable"] for h in passed)
    budget = min(h["max_failed"] for h in passed)

    def run(number: int, wave: Wave) -> Mapping[str, str]:
        sys.stderr.write(f"\nrolling: wave {number}: {', '.join(wave)}\n")
        limits = [word for host in wave for word in ("--limit", host)]
        _, hosts = runs.pyinfra([inventory, *deploys, "-y", *without_limits(options), *limits])
        return {h["host"]: h["state"] for h in hosts}

    rolled = roll([h["host"] for h in passed], most_down, budget, run)
    refused = {h["host"]: h["state"] for h in judged if h["state"] != "passed"}
    rows = [f"{host} {state}" for host, state in rolled.states.items()]
    rows += [f"{host} not begun" for host in rolled.left]
    rows += [f"{host} {state}" for host, state in refused.items()]
    sys.stderr.write("\nrolling:\n" + "".join(f"    {row}\n" for row in rows))
    if rolled.why:
        sys.stderr.write(f"rolling ended: {rolled.why}; {len(rolled.left)} hosts were not begun\n")
    runs.tell(rolled.left)
    return exit_code([*rolled.states.values(), *refused.values()]) or (FAILED_CODE if rolled.left else 0)
