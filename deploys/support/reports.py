"""The folder of results: written whole or not at all, and read again. Needs no pyinfra.

run-TIME-PID.json, .html   a run; latest.json and latest.html point to the newest
fleet.json                 the newest word on every host, over all runs
gpu_host.prom              the same for Prometheus' node_exporter (textfile collector)
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from deploys.plan.metrics import metrics
from deploys.plan.page import page
from deploys.plan.result import SCHEMA, Document, merge, remember_proofs, seconds_of
from deploys.plan.schema import problems

FLEET, METRICS = "fleet.json", "gpu_host.prom"
_SCHEMA_FILE = Path(__file__).resolve().parents[2] / "docs/result-schema.json"
# How far back step times are looked for: files, and bytes of them.
NEWEST, BYTES = 20, 32 << 20
WAIT = 10.0


class ResultError(Exception):
    """A file that is no result of this schema; the text says what it is instead."""


def read(path: Path) -> Document:
    """One result, held against the schema: it may come from anywhere. Raises ResultError and OSError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is no JSON: {error}") from None
    number = found.get("schema") if isinstance(found, dict) else None
    if number != SCHEMA or isinstance(number, bool):
        raise ResultError(f"{path} has schema {number!r}, needed {SCHEMA}: run again with this version")
    schema = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    wrong = list(islice(problems(found, schema), 3))
    if wrong:
        raise ResultError(f"{path} does not keep to docs/result-schema.json: {'; '.join(wrong)}")
    result: Document = found
    return result


def results_in(folder: Path) -> list[Path]:
    """Files of runs in a folder, and that of the fleet; the links to the newest are left out."""
    return sorted(p for p in folder.glob("*.json") if p.is_file() and not p.is_symlink())


def save(path: Path, text: str) -> None:
    """Write a file whole or not at all; readable for everyone, as node_exporter has a user of its own. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def to_json(document: Document) -> str:
    return json.dumps(document, indent=2) + "\n"


def write(folder: Path, document: Document, *, fleet: Iterable[str] | None = None) -> Path:
    """Write a run, its page and what the fleet is now; returns the run's JSON file. Raises OSError.

    `fleet`: names of the hosts that belong to it (None: all); those of a dry run and recordings do not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        before = _fleet(folder)
        remember_proofs(document, {h["host"]: h for h in before["hosts"]} if before else {})
        at = seconds_of(document["started"]) or 0
        path = folder / f"run-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at))}-{os.getpid()}.json"
        save(path, to_json(document))
        save(path.with_suffix(".html"), page(document))
        for suffix in (".json", ".html"):
            _point(folder / f"latest{suffix}", path.with_suffix(suffix).name)
        _write_fleet(folder, before, document, fleet)
    return path


def _write_fleet(folder: Path, before: Document | None, document: Document, names: Iterable[str] | None) -> None:
    wanted = {h["host"] for h in document["hosts"]} if names is None else set(names)
    mine = {**document, "hosts": [h for h in document["hosts"] if h["host"] in wanted]}
    if not mine["hosts"]:
        return
    fleet = merge([before, mine] if before else [mine])
    if fleet is not None:
        save(folder / FLEET, to_json(fleet))
        save(folder / METRICS, metrics(fleet))


def _fleet(folder: Path) -> Document | None:
    """What the fleet was; a file that is damaged or of another schema is begun anew."""
    try:
        return read(folder / FLEET)
    except (OSError, ResultError):
        return None


def _point(link: Path, name: str) -> None:
    """Have a link point elsewhere, without a moment in which it is missing."""
    new = link.with_name(f".{link.name}-{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(name)
    new.replace(link)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two runs that end at once write one after the other. Who waits too long goes on: a result is worth more than its order."""
    with (folder / ".lock").open("w") as lock:
        end = time.monotonic() + WAIT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > end:
                    break
                time.sleep(0.05)
        yield


def step_times(folder: Path) -> Mapping[str, Mapping[str, list[float]]]:
    """Step -> host -> seconds that it took in the newest runs. A file that cannot be read tells nothing."""
    found: dict[str, dict[str, list[float]]] = {}
    room = BYTES
    for path in reversed(results_in(folder)[-NEWEST:]):
        try:
            room -= path.stat().st_size
            document: Any = json.loads(path.read_text(encoding="utf-8")) if room > 0 else {}
            for host in document.get("hosts", ()):
                for timing in host.get("timings", ()):
                    if timing["result"] == "ok":
                        found.setdefault(timing["step"], {}).setdefault(host["host"], []).append(
                            float(timing["seconds"])
                        )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return found
