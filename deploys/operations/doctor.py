"""The examination as an operation: it reads, says what it recognises, and counts a host with a symptom as not ready."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.operation import operation

from deploys.plan.doctor import describe_diagnoses, diagnose
from deploys.support.context import is_executing, this_host
from deploys.support.guard import guarded, log_error, refuse_host
from deploys.support.outcome import current
from deploys.support.run import say
from facts.traces import GpuTraces

Commands = Generator[Any, None, None]

LIMIT = 150


@operation()
@guarded
def examined() -> Commands:
    """No known symptom in the host's logs. Changes nothing."""
    if not is_executing():
        return
    host = this_host()
    traces = host.get_fact(GpuTraces, _timeout=LIMIT)
    found = diagnose(traces)
    outcome = current()
    outcome.symptoms = [
        {"name": d.symptom.name, "line": d.line, "cause": d.symptom.cause, "repair": d.symptom.repair} for d in found
    ]
    outcome.state = "not-ready" if found else "passed"
    outcome.detail = ", ".join(d.symptom.name for d in found)
    say("\n" + describe_diagnoses(host.name, found, tuple(traces)))
    host.noop(outcome.detail or "no known symptom")
    if found:
        log_error(f"symptoms: {outcome.detail}")
        refuse_host()
    yield from ()
