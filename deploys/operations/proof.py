"""The proof as an operation: nothing to do on a host that is ready, a failed step with the reason on one that is not."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.operation import operation

from deploys.plan.describe import describe_steps
from deploys.plan.machine import Proof, ServiceProof
from deploys.plan.proof import prove, verdict
from deploys.plan.reboot import reboot_reasons
from deploys.plan.service_proof import prove_services
from deploys.plan.settings import Settings
from deploys.support.context import is_executing, this_host
from deploys.support.guard import guarded, log_error, refuse_host
from deploys.support.outcome import current
from deploys.support.run import say
from deploys.support.world import PROBE_LIMIT, machine
from facts.proof import GpuProof
from facts.service_proof import ServicesProof

Commands = Generator[Any, None, None]


def _services(settings: Settings) -> ServiceProof:
    """What the host says of its services."""
    kinds = {kind: tuple(n for n, s in settings.services.items() if s.kind == kind) for kind in ("container", "raw")}
    found = this_host().get_fact(ServicesProof, containers=kinds["container"], units=kinds["raw"], _timeout=PROBE_LIMIT)
    return found if isinstance(found, ServiceProof) else ServiceProof()


@operation()
@guarded
def proven(settings: Settings) -> Commands:
    """The host is ready: every link of the chain of proof holds. The world is read again; no earlier exit code counts.

    + settings: what was wanted of the host
    """
    if not is_executing():
        return
    host = this_host()
    now = machine()
    answer = host.get_fact(GpuProof, _timeout=PROBE_LIMIT)
    steps = prove(now, answer if isinstance(answer, Proof) else Proof(), settings)
    if settings.services:
        steps = (*steps, *prove_services(settings.services, _services(settings)))
    result = verdict(now, steps)
    outcome = current()
    outcome.steps, outcome.state = list(steps), result
    outcome.driver = now.driver.loaded or now.driver.user_space or ""
    bad = [f"{s.name}: {s.detail}" for s in steps if s.result in ("FAIL", "UNKNOWN")]
    outcome.detail = "; ".join(reboot_reasons(now)) if result == "reboot-pending" else bad[0] if bad else ""
    say("\n" + describe_steps(host.name, steps, result))
    host.noop(result)
    if result != "ready":
        # The proof changes nothing, so it has nothing to execute either: the host counts as failed without a command.
        log_error(f"{result}: {outcome.detail}")
        refuse_host()
    yield from ()
