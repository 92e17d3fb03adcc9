"""TELL: a plan and its findings as the page that a person approves. The one place that words a plan."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from deploys.knowledge.sizes import MIB
from deploys.plan.capabilities import Capability
from deploys.plan.daemon_json import needs_start, registered
from deploys.plan.drift import Drift
from deploys.plan.driver import generations
from deploys.plan.files import FileChange, digest
from deploys.plan.finding import Finding
from deploys.plan.gpu_access import ALL, choose_access, docker_arguments, engine_of
from deploys.plan.holds import describe_holds
from deploys.plan.kernel_gate import describe_gate
from deploys.plan.machine import Machine
from deploys.plan.plan import Plan
from deploys.plan.proof_step import Step
from deploys.plan.reboot import busy
from deploys.plan.scheduling import describe_scheduler
from deploys.plan.settings_values import Problem
from deploys.plan.state import driver_state

WIDTH = 14


def describe_finding(finding: Finding, name: str, waivable: bool) -> str:
    """A finding as a block: found, needed, fix and, where it can be, how to accept it."""
    word = {"stop": "STOP", "warn": "WARN"}[finding.level] if not finding.accepted else "ACCEPTED"
    rows = [("found", finding.found), ("needed", finding.needed), ("fix", finding.fix)]
    if finding.stops and waivable:
        rows.append(("accept", f'gpu_accept = ["{finding.check}"] in this host\'s data'))
    head = f"{name}  {word}  {finding.check}"
    return "\n".join([head, *(f"    {label:<8}{text}" for label, text in rows)])


def describe_problems(name: str, problems: Sequence[Problem]) -> str:
    """Every setting of a host that cannot be used, as one text."""
    head = f"\n{name}  STOP  settings: {len(problems)} cannot be used; nothing was touched"
    return "\n".join([head, *("    " + str(p).replace("\n", "\n    ") for p in problems)])


def describe_steps(name: str, steps: Sequence[Step], verdict: str) -> str:
    """The chain of proof of a host, a line per step."""
    head = f"{name}: {verdict}"
    return "\n".join([head, *(f"    {s.result:<8}{s.name:<20}{s.detail}" for s in steps)])


def describe_drift(drift: Sequence[Drift]) -> str:
    """What has drifted since the last proof, a line per thing."""
    return "\n".join(f"    {'DRIFT':<8}{d}" for d in drift)


def describe(plan: Plan, machine: Machine, name: str, findings: Sequence[Finding] = ()) -> str:
    """The plan of one host as a page of text; the same inputs give the same page."""
    lines = [f"{name}: {plan.distro.label}, kernel {machine.kernels.running or 'unknown'}"]
    lines.append(state_row(machine))
    lines += [_row("gpu", text) for text in _gpus(machine)]
    lines += [_row("scheduler", describe_scheduler(s)) for s in machine.schedulers]
    lines += [_row("in use by", users)] if (users := busy(machine)) else []
    for capability in plan.capabilities:
        lines += _capability(capability, set(plan.packages.missing))
    lines += _changes("file", [f for f in plan.files if not _present(f, machine)])
    lines += _changes("source", plan.sources)
    lines.append(_row("packages", _packages(plan)))
    if plan.bundle and plan.packages.missing:
        lines.append(_row("bundle", f"{plan.bundle.address}: no other source is asked for packages"))
    lines += _steering(plan, machine)
    if not plan.daemon.nothing:
        lines.append(_row("daemon.json", _daemon(plan, machine)))
    lines += _containers(plan, machine)
    if plan.proxy:
        docker = "; dockerd from its next start on" if plan.docker else ""
        lines.append(_row("proxy", f"{plan.proxy}: package managers and builds during the run{docker}"))
    lines.append(_row("services", ", ".join(s.removesuffix(".service") for s in plan.services)))
    lines.append(_row("reboot", _reboot(plan)))
    if boot := describe_gate(machine):
        lines.append(_row("boot", boot))
    lines += _drain(plan, machine)
    lines.append(_row("outage", plan.outage))
    lines += [
        _row("accepted" if f.accepted else "warning", f"{f.check}: {f.found}; needed: {f.needed}; {f.fix}")
        for f in findings
        if not f.stops
    ]
    return "\n".join(lines)


def state_row(machine: Machine) -> str:
    """The driver's state in a line, for hosts that are refused too."""
    return _row("state", str(driver_state(machine)))


def _row(label: str, text: str) -> str:
    return f"    {label:<{WIDTH}}{text}".rstrip()


def _gpus(machine: Machine) -> list[str]:
    known = generations(machine)
    texts = []
    for gpu in machine.gpus:
        generation = known[gpu.address]
        driver = f", bound to {gpu.driver}" if gpu.driver else ""
        texts.append(f"{gpu.id} {generation.name if generation else 'unknown generation'} at {gpu.address}{driver}")
    if machine.nvswitches:
        texts.append(f"{len(machine.nvswitches)} NVSwitch devices")
    return texts


def _capability(capability: Capability, missing: set[str]) -> list[str]:
    title = capability.name
    if not capability.packages and capability.version:
        return [_row(title, f"{capability.version}, {'; '.join(capability.why)}")]
    if not capability.packages:
        return [_row(title, f"none: {'; '.join(capability.why)}")]
    new = [p for p in capability.packages if p in missing]
    state = f"install {', '.join(new)}" if new else "present"
    head = f"{capability.version}, {state}" if capability.version else state
    return [_row(title, head), *(_row("", f"why: {why}") for why in capability.why)]


def _daemon(plan: Plan, machine: Machine) -> str:
    wanted, docker = plan.daemon, machine.docker
    parts = [*(["runtime nvidia"] if wanted.runtime else []), *(["CDI"] if wanted.cdi else [])]
    if wanted.live_restore is not None:
        parts.append(f"live-restore {'on' if wanted.live_restore else 'off'}")
    if registered(docker, wanted):
        return f"{', '.join(parts)}: as wanted"
    start = needs_start(docker, wanted)
    end = (
        f"{docker.running} containers run: dockerd is restarted later"
        if docker.running and not docker.live_restore
        else "dockerd is restarted"
    )
    return f"{', '.join(parts)}: to be set; every other key stays{f'; {end}' if start else ''}"


def _containers(plan: Plan, machine: Machine) -> list[str]:
    """How containers get their GPU, once engine and toolkit are there."""
    engine = engine_of(machine)
    access = choose_access(engine)
    if not plan.runtime or not engine.docker or not engine.toolkit or not access.way:
        return []
    words = shlex.join(docker_arguments(access, ALL, engine.gpus))
    return [_row("containers", f"docker run {words} IMAGE"), _row("", f"why: {access.rules[-1].text}")]


def _present(change: FileChange, machine: Machine) -> bool:
    state = machine.files.get(change.path)
    return state is not None and state.sha256 == digest(change.content)


def _changes(label: str, changes: Sequence[FileChange]) -> list[str]:
    return [_row(label, f"{change.path}: {change.why}") for change in changes]


def _packages(plan: Plan) -> str:
    count = len(plan.packages.missing)
    if not count:
        return "all present, nothing to do"
    built = " after a trial build of the kernel module" if plan.packages.modules else ""
    return f"{count} to install in one transaction{built}, about {plan.packages.download_bytes // MIB} MiB to download"


def _steering(plan: Plan, machine: Machine) -> list[str]:
    """What comes before the transaction, and what it leaves held."""
    packages, rows = plan.packages, []
    if packages.pins and packages.missing:
        rows.append(_row("before", f"{', '.join(packages.pins)}: a small transaction of its own"))
    rows += [
        _row("aur", f"build {job.base} from {job.url} at commit {job.commit}, PKGBUILD SHA-256 {job.sha256}")
        for job in packages.aur
    ]
    if packages.stream:
        rows.append(_row("stream", packages.stream))
    if packages.enable and packages.missing:
        rows.append(_row("repositories", f"{', '.join(packages.enable)}: enabled for the transaction"))
    if packages.holds and packages.missing:
        rows.append(_row("held", f"{', '.join(packages.holds)}: no other upgrade moves the driver"))
    return rows + [_row("holds", text) for text in describe_holds(machine)]


def _drain(plan: Plan, machine: Machine) -> list[str]:
    """What happens to the work of the host."""
    if machine.boot.drained:
        return [_row("drained", "its work is called back once the host is ready")]
    moves = plan.moves_driver(machine.packages)
    return (
        [_row("drain", f"first: {plan.drain}")]
        if plan.drain and (moves or (plan.reboot.needed and not plan.reboot.refused))
        else []
    )


def _reboot(plan: Plan) -> str:
    reboot, why = plan.reboot, plan.reboot.why
    texts = {
        "not needed": not reboot.needed,
        f"not again: one has not helped; {why}": reboot.tried,
        f"only where the loaded driver cannot be unloaded: {why}": reboot.reload,
        f"needed: {why}; this machine is not rebooted by its own run": reboot.local,
        f"needed, not allowed by gpu_reboot: {why}": not reboot.allowed,
        f"needed: {why}; not done: {reboot.refused}": bool(reboot.refused),
        f"yes, once into {reboot.trial}, which is the default once the host is proven under it: {why}": bool(
            reboot.trial
        ),
    }
    return next((text for text, holds in texts.items() if holds), f"yes: {why}")
