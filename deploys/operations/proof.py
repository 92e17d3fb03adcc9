"""The proof as an operation: nothing to do on a host that is ready, a failed step with the reason on one that is not."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra.api.operation import operation

from deploys.plan.capabilities import wants
from deploys.plan.describe import describe_drift, describe_steps
from deploys.plan.drift import drifted
from deploys.plan.gpu_access import ALL, choose_access, compose_fragment, docker_arguments, engine_of
from deploys.plan.kernel_gate import unproven
from deploys.plan.machine import ContainerProof, Machine, MonitoringProof, Proof, ServiceProof
from deploys.plan.monitoring import Monitoring, targets
from deploys.plan.proof import prove, verdict
from deploys.plan.proof_containers import container_identity, proven_in_containers
from deploys.plan.reboot import name_processes, reboot_reasons, working
from deploys.plan.rollback import unrelated, way_back
from deploys.plan.service_proof import prove_monitoring, prove_services
from deploys.plan.settings import Settings
from deploys.support.context import is_executing, this_host
from deploys.support.guard import guarded, log_error, refuse_host
from deploys.support.lease import release
from deploys.support.outcome import current
from deploys.support.run import say
from deploys.support.world import ask, machine
from facts.container_proof import SUBJECT as CONTAINER_SUBJECT
from facts.container_proof import ContainerGpuProof
from facts.monitoring import MonitoringAnswers
from facts.proof import SUBJECT as HOST_SUBJECT
from facts.proof import GpuProof
from facts.service_proof import ServicesProof

Commands = Generator[Any, None, None]

HOST_LIMIT, CONTAINER_LIMIT = HOST_SUBJECT.seconds + 30, CONTAINER_SUBJECT.seconds + 30


def _services(settings: Settings) -> ServiceProof:
    """What the host says of its services."""
    kinds = {kind: tuple(n for n, s in settings.services.items() if s.kind == kind) for kind in ("container", "raw")}
    return ask(ServicesProof, containers=kinds["container"], units=kinds["raw"])


def _monitoring(wanted: Monitoring) -> MonitoringProof:
    return ask(MonitoringAnswers, prometheus=wanted.prometheus_port, grafana=wanted.grafana_port)


def _container(now: Machine, host_answer: Proof, settings: Settings, *, anew: bool) -> ContainerProof | None:
    """CUDA in a container; None where a container could only repeat what the host has said already. `anew`: whatever was proven since this boot."""
    if "runtime" not in wants(settings) or not now.docker.engine or not now.driver.loaded or host_answer.cuda != "0":
        return None
    access = choose_access(engine_of(now))
    if access.problem or access.feature:
        why = access.problem or "dockerd does not read CDI specifications yet"
        return ContainerProof(skipped=dict.fromkeys(("run", "option", "compose", "reload"), why))
    count, reload = len(now.gpus), _no_reload(now)
    words, compose = (
        docker_arguments(access, ALL, count),
        compose_fragment(access, ALL, count) if now.docker.compose else "",
    )
    identity = container_identity(now, words, compose)
    if not anew and (proven := proven_in_containers(now, identity, reload=not reload)):
        return proven
    return ask(ContainerGpuProof, words=words, compose=compose, reload=reload, identity=identity, limit=CONTAINER_LIMIT)


def _no_reload(now: Machine) -> str:
    """Why systemd is not made to read its units again: the very thing that may take a GPU from a container that others made."""
    if now.docker.running != 0:
        return f"not tried: {now.docker.running or 'perhaps'} containers run that it could harm"
    holders = working(now)
    return f"not tried: the GPUs are in use by {name_processes(holders)}" if holders else ""


@operation()
@guarded
def proven(settings: Settings, compare: bool = False, may_go_back: bool = False) -> Commands:
    """The host is ready: every link of the chain of proof holds. The world is read again; no earlier exit code counts.

    + settings: what was wanted of the host
    + compare: whether it must also be what it was when it was proven last, and containers are tried again whatever they proved since this boot
    + may_go_back: a host that has failed goes on to its way back, where it has one
    """
    if not is_executing():
        return
    outcome = current()
    outcome.state, outcome.detail = _judge(settings, compare=compare)
    this_host().noop(outcome.state)
    if outcome.state != "ready":
        log_error(f"{outcome.state}: {outcome.detail}")
        if not may_go_back or outcome.state != "not-ready" or not _has_way_back():
            # The proof changes nothing, so it has nothing to execute either: the host counts as failed without a command.
            release()
            refuse_host()
    yield from ()


def _has_way_back() -> bool:
    """May the host go back to the set that was proven? Says why not."""
    back = way_back(machine(), machine().proven)
    why_not = back.why_not or unrelated(back, current().steps)
    if why_not:
        this_host().log(f"no rollback: {why_not}")
    return not why_not


@operation()
@guarded
def proven_again(settings: Settings) -> Commands:
    """A host that went back is judged once more. Its state says that it went back, and the detail what came of it.

    + settings: what was wanted of the host
    """
    outcome = current()
    if not is_executing() or outcome.state != "rolled-back":
        return
    result, why = _judge(settings)
    outcome.detail += f"; now {result}" + (f": {why}" if why else "")
    this_host().noop(result)
    if result != "ready":
        log_error(f"rolled-back: {outcome.detail}")
        release()
        refuse_host()
    yield from ()


def _judge(settings: Settings, *, compare: bool = False) -> tuple[str, str]:
    """The verdict, and why it is no better; the chain is shown and remembered."""
    host = this_host()
    now = machine()
    answer = ask(GpuProof, limit=HOST_LIMIT)
    steps = prove(now, answer, settings, _container(now, answer, settings, anew=compare))
    if settings.services:
        steps = (*steps, *prove_services(settings.services, _services(settings)))
    if settings.monitoring and not settings.monitoring.directory:
        steps = (
            *steps,
            prove_monitoring(_monitoring(settings.monitoring), targets(settings.monitoring, settings.services)),
        )
    result = verdict(now, steps)
    outcome = current()
    outcome.drift = list(drifted(now)) if compare else []
    result = "drifted" if outcome.drift and result == "ready" else result
    outcome.steps = list(steps)
    outcome.learn(now, answer)
    bad = [f"{s.name}: {s.detail}" for s in steps if s.result in ("FAIL", "UNKNOWN")]
    note = unproven(now)
    fine = f"unproven-kernel: {note}" if note else ""
    why = "; ".join(reboot_reasons(now)) if result == "reboot-pending" else bad[0] if bad else fine
    if outcome.drift:
        since = f"drifted since {now.proven.time}" if now.proven else "drifted"
        why = "; ".join(filter(None, (why, f"{since}: {', '.join(d.name for d in outcome.drift)}")))
    say("\n".join(filter(None, ("\n" + describe_steps(host.name, steps, result), describe_drift(outcome.drift)))))
    return result, why
