"""The first half of every entry: settings, probe, judgement, plan; and the refusal of a host that must be left alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from pyinfra.api.exceptions import PyinfraError

from deploys.knowledge.distros import find_distro
from deploys.knowledge.paths import LONG_STEPS, unit_name
from deploys.plan.checks import CHECK_NAMES, WAIVABLE, judge
from deploys.plan.describe import describe, describe_finding, describe_problems, state_row
from deploys.plan.finding import Finding
from deploys.plan.gpu_access import Access, choose_access, engine_of
from deploys.plan.machine import Footprint, Machine
from deploys.plan.plan import Plan, make_plan
from deploys.plan.settings import Settings, parse_settings
from deploys.plan.settings_values import SettingsError
from deploys.support import world
from deploys.support.board import BOARD
from deploys.support.contain import contain
from deploys.support.context import is_local, is_recording, reboots_itself, this_host, this_state
from deploys.support.guard import log_error, refuse_host
from deploys.support.heartbeat import Progress, over, timed
from deploys.support.lease import seen
from deploys.support.logged import wait_command
from deploys.support.outcome import LEDGER, current, install
from deploys.support.output import tolerate_any_output
from facts.footprint import OurFootprint

# Seconds for a step whose controller was lost; a new run waits for it before it judges.
WAIT_LIMIT = 5400
READ = "Read the host"


@dataclass(frozen=True)
class Brief:
    """What the steps need of one host. `plan` is None where only its proof is wanted."""

    machine: Machine
    settings: Settings
    plan: Plan | None = None
    name: str = ""


def start() -> None:
    """Once per process: the table at the end, the heartbeat, and whether this run only looks."""
    if LEDGER.begun:
        return
    LEDGER.begun = True
    install()
    contain()
    tolerate_any_output()
    BOARD.watch()
    LEDGER.dry = "--dry" in sys.argv
    state = this_state()
    if state is not None:
        if state.should_raise_failed_hosts is not None:
            # Without -y pyinfra asks "continue?" whenever a host fails, and dies where there is no terminal.
            state.should_raise_failed_hosts = lambda _state: False
        state.add_callback_handler(Progress())  # type: ignore[no-untyped-call]


def say(text: str) -> None:
    """Text for the person at the terminal; standard output stays free for --json."""
    click.echo(text, err=True)


def refuse(state: str, detail: str) -> None:
    """Take this host out of the run and remember why. Nothing has been changed on it."""
    outcome = current()
    outcome.state, outcome.detail = state, detail
    refuse_host()


def refuse_findings(findings: Sequence[Finding]) -> bool:
    """Refuse the host where a finding stops it, with all of them."""
    stops = [f for f in findings if f.stops]
    if stops:
        say("\n" + "\n".join(describe_finding(f, this_host().name, f.check in WAIVABLE) for f in findings))
        refuse("refused", ", ".join(f.check for f in stops))
    return bool(stops)


def show(page: str) -> None:
    """The page that a person approves, on the terminal and in the result."""
    current().plan = page
    say("\n" + page)


def nothing_to_do(why: str) -> None:
    """The host passes, and its row says why nothing was done."""
    outcome = current()
    outcome.state, outcome.detail = "passed", f"{why}: nothing to do"


def gpu_access(brief: Brief, what: str) -> Access | None:
    """How containers of the host get their GPU for good; None after refusing a host that has no such way."""
    access = choose_access(engine_of(brief.machine))
    problem, needed, fix = access.problem, access.needed, access.fix
    if access.feature:
        problem, needed, fix = (
            "dockerd reads no CDI specifications",
            "an engine that does",
            "gpu_docker_cdi = True, then deploys/gpu_host.py",
        )
    if not problem:
        return access
    say(f"STOP  gpu access for {what}\n    found   {problem}\n    needed  {needed}\n    fix     {fix}")
    refuse("refused", f"gpu access: {problem}")
    return None


def read_settings() -> Settings | None:
    """Settings of the current host, or None after refusing it with every problem at once."""
    try:
        settings = parse_settings(_data(), checks=CHECK_NAMES, waivable=WAIVABLE, read_file=_read_file)
    except SettingsError as error:
        LEDGER.report_dir = LEDGER.report_dir or Settings().report_dir
        say(describe_problems(this_host().name, error.problems))
        refuse("refused", f"settings: {', '.join(p.key for p in error.problems)}")
        return None
    LEDGER.report_dir = settings.report_dir
    world.limit_probe(settings.probe_timeout)
    outcome = current()
    outcome.max_unavailable, outcome.max_failed = settings.max_unavailable, settings.max_failed
    return settings


def _data() -> dict[str, object]:
    return dict(this_host().data.dict())  # type: ignore[no-untyped-call]


def _read_file(path: str) -> str | None:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def read_machine() -> Machine | None:
    """The record of this host, read after any step that an earlier run left running; None when it cannot be read."""
    try:
        machine = seen(world.machine())
        active = _steps_at_work(machine)
        if active and not LEDGER.dry and not (machine.boot.lease and machine.boot.lease.left):
            host = this_host()
            for step in active:
                host.log(f"an earlier run's step is still at work: waiting for {unit_name(step)}")
                host.run_shell_command(wait_command(step, WAIT_LIMIT))
            world.forget()
            machine = seen(world.machine())
    except world.UnreadableHostError as error:
        current().detail = str(error)
        return None
    current().learn(machine)
    return machine


def _steps_at_work(machine: Machine) -> list[str]:
    """Long steps of ours that run, or that held a package manager's lock a moment before their end: what was read beside them is void."""
    units = {step: machine.units.get(unit_name(step)) for step in LONG_STEPS}
    holding = {lock.step for lock in machine.packages.locks}
    return [step for step, unit in units.items() if (unit and unit.active == "active") or step in holding]


def read_footprint() -> Footprint:
    """What this toolkit has left on the current host. Raises `UnreadableHostError`."""
    host, state = this_host(), this_state()
    found = host.get_fact(OurFootprint, _timeout=world.PROBE_LIMIT)
    if not isinstance(found, Footprint) or (state is not None and host in state.failed_hosts):
        raise world.UnreadableHostError(f"{host.name} did not say what is ours there")
    return found


def begin(*, decide: bool = True) -> Brief | None:
    """Read and judge the current host, and plan for it; None when it is refused or cannot be read.

    + decide: False where only the proof is wanted: no judgement, no plan
    """
    start()
    current()
    settings = read_settings()
    machine = None
    if settings:
        timed(this_host().name, "read", READ)
        machine = read_machine()
        over(this_host().name, "read", failed=machine is None)
    if settings is None or machine is None:
        return None
    if not decide:
        if is_recording(this_host()):
            refuse("refused", "a recorded host can be judged and planned for, and nothing else: deploys/preflight.py")
            return None
        current().state = "planned"
        return Brief(machine, settings, name=this_host().name)
    return _judged(machine, settings)


def _judged(machine: Machine, settings: Settings) -> Brief | None:
    name, outcome = this_host().name, current()
    findings = judge(machine, settings)
    outcome.findings = list(findings)
    stops = [f for f in findings if f.stops]
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if stops or distro is None:
        say("\n" + "\n".join([*(describe_finding(f, name, f.check in WAIVABLE) for f in findings), state_row(machine)]))
        refuse("refused", ", ".join(f.check for f in stops))
        return None
    plan = make_plan(machine, settings, distro, local=is_local(this_host()) and not reboots_itself())
    outcome.plan = describe(plan, machine, name, findings)
    outcome.state = "planned"
    say("\n" + outcome.plan)
    return Brief(machine, settings, plan)


def entry(main: Callable[[], None]) -> None:
    """Run an entry's body for the current host: whatever goes wrong there fails this host and no other."""
    try:
        main()
    except PyinfraError:
        # "No hosts remaining": pyinfra's own way to end a run.
        raise
    except Exception as error:  # noqa: BLE001 - a bug here must not stop the other hosts
        log_error(f"{type(error).__name__}: {error}")
        refuse("failed", f"{type(error).__name__}: {error}")
