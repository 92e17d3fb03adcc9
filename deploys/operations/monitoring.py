"""The monitoring network, or a Compose network of the user's own: there as wanted, made anew only where it differs."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.monitoring import GRAFANA_UID
from deploys.operations.containers import FACT_LIMIT, NoEngineError, fetch
from deploys.operations.files import write
from deploys.plan.compose_check import check_compose, describe_compose
from deploys.plan.files import Packed, digest
from deploys.plan.gpu_access import Access, Engine
from deploys.plan.monitoring import COMPOSE_FILE, LOOPBACK, PASSWORD_FILE, PROJECT, Monitoring, Stack
from deploys.plan.service import is_wanted
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.run import say
from facts.compose import ComposeNetwork, ComposeState
from facts.containers import ModelServices, Services
from facts.monitoring import ASK

Commands = Generator[Any, None, None]

READY_LIMIT = 120
UP_LIMIT = 3600
OWN = "/srv/gpu-host"

# Made on the host, and known to nobody else; Grafana's own user must read it.
_PASSWORD = f"""umask 077; f={PASSWORD_FILE}; n=$f.gpu-host-new; (umask 022; mkdir -p "${{f%/*}}")
head -c 24 /dev/urandom | base64 | tr -d '/+=\\n' >"$n" && chown {GRAFANA_UID}:0 "$n" && chmod 400 "$n" && mv -f "$n" "$f\""""


class ComposeRefusedError(Exception):
    """The network of the user must not be deployed as it is."""


def _there(stack: Stack) -> Services:
    files = (*(f.path for f in stack.files), PASSWORD_FILE)
    images = tuple(stack.images.values())
    found = this_host().get_fact(ModelServices, images=images, files=files, _timeout=FACT_LIMIT)
    if not isinstance(found, Services) or found.containers is None:
        raise NoEngineError("no Docker engine answers; run deploys/gpu_host.py first")
    return found


def _differs(stack: Stack, now: Services) -> list[str]:
    """Containers that are not there as wanted, or do not run."""
    there = now.containers or {}
    return [
        name
        for name, config in stack.digests.items()
        if not is_wanted(config, there.get(name), now.images.get(stack.images[name], ""))
        or there[name].state != "running"
    ]


def _ready(wanted: Monitoring) -> StringCommand:
    """Both answer, and Prometheus knows its targets; or their last words are shown."""
    prometheus, grafana = (f"http://{LOOPBACK}:{port}" for port in (wanted.prometheus_port, wanted.grafana_port))
    questions = (
        ("prometheus", f"{prometheus}/api/v1/targets?state=active", '"job"'),
        ("grafana", f"{grafana}/api/health", "database"),
    )
    lines = ['have() { command -v "$1" >/dev/null 2>&1; }', ASK, f"end=$(($(date +%s) + {READY_LIMIT}))"]
    for name, url, word in questions:
        failed = f"docker logs --tail 15 gpu-host-{name} >&2; echo '{name} does not answer on {url}' >&2; exit 1"
        lines.append(
            f"until ask '{url}' | grep -q '{word}'; do [ $(date +%s) -lt $end ] || {{ {failed}; }}; sleep 1; done"
        )
    return StringCommand("\n".join(lines))


@operation()
@guarded
def network_up(stack: Stack, wanted: Monitoring) -> Commands:
    """Prometheus, Grafana and the exporter run as wanted. A container whose configuration and image are the same is left alone.

    + stack: files, images and digests of the network
    + wanted: the settings it was made from
    """
    now = _there(stack)
    files = [f for f in stack.files if now.files.get(f.path) != digest(f.content)]
    differs = _differs(stack, now)
    if not files and not differs and PASSWORD_FILE in now.files:
        this_host().noop("the monitoring runs as wanted")
        return
    for image in dict.fromkeys(stack.images.values()):
        if image not in now.images:
            yield fetch(image, wanted.archive)
    if PASSWORD_FILE not in now.files:
        yield StringCommand(_PASSWORD)
    for file in files:
        yield write(file)
    yield StringCommand(
        f"timeout {UP_LIMIT} docker compose -p {PROJECT} -f {COMPOSE_FILE} up --detach --remove-orphans --pull never"
    )
    yield _ready(wanted)
    this_host().log(
        f"Grafana: http://{LOOPBACK}:{wanted.grafana_port} on the host, user admin, password in {PASSWORD_FILE} there; "
        f"from here: ssh -L {wanted.grafana_port}:{LOOPBACK}:{wanted.grafana_port} {this_host().name}"
    )


def _compose(folder: str, project: str) -> ComposeNetwork:
    found = this_host().get_fact(ComposeState, folder=folder, project=project, _timeout=200)
    return found if isinstance(found, ComposeNetwork) else ComposeNetwork()


@operation()
@guarded
def own_network_up(packed: Packed, engine: Engine, access: Access) -> Commands:
    """A Compose network of the user's own runs from exactly this folder; one that would lose its GPU is refused before anything runs.

    + packed: the folder
    + engine: what decides about access to GPUs on the host
    + access: how containers get their GPU there
    """
    name = packed.name.lower()
    folder = f"{OWN}/{name}"
    trial = f"{folder}.gpu-host-new"
    now = _compose(folder, name)
    if not now.asked:
        raise NoEngineError("no Docker engine answers; run deploys/gpu_host.py first")
    if now.there and not now.digest:
        raise ComposeRefusedError(
            f"a Compose project {name} is there that this toolkit has not made: rename the folder, or remove that project"
        )
    # What ran once and ended well is as wanted.
    if (
        now.digest == packed.digest
        and now.states
        and all(s.startswith("running") or s == "exited 0" for s in now.states)
    ):
        this_host().noop("the network runs as wanted")
        return
    up = f"timeout {UP_LIMIT} docker compose -p {shlex.quote(name)} up --detach --remove-orphans"
    if now.digest == packed.digest:
        yield StringCommand(f"cd {shlex.quote(folder)} && {up}")
        return
    unpack = f"umask 022; rm -rf {shlex.quote(trial)} && mkdir -p {shlex.quote(trial)}"
    yield StringCommand(
        f"{unpack} && base64 -d | tar -x --no-same-owner -C {shlex.quote(trial)} -f -", _stdin=packed.text
    )
    refusal = _refusal(_compose(trial, name), engine, access)
    if refusal:
        yield StringCommand(f"rm -rf {shlex.quote(trial)}")
        raise ComposeRefusedError(refusal)
    yield _placed(folder, trial, f"{up} && echo {packed.digest} >.gpu-host")


def _refusal(resolved: ComposeNetwork, engine: Engine, access: Access) -> str:
    """Everything that is to be said of it is said; why it must not run ("" it may)."""
    found = check_compose(resolved.document, engine, access)
    if found:
        say("\n" + describe_compose(this_host().name, found))
    stops = [f"{f.service}: {f.found}" for f in found if f.level == "stop"]
    nothing = resolved.error or "docker compose config gave no services"
    return "; ".join(stops) or ("" if resolved.document.get("services") else nothing)


def _placed(folder: str, trial: str, then: str) -> StringCommand:
    """The trial folder laid over what is there, because the network's own data may lie in it; what was delivered before and is no more goes."""
    new, old = shlex.quote(trial), shlex.quote(folder)
    lines = [
        f"umask 022; mkdir -p {old} && cd {old} && rm -f .gpu-host || exit 1",
        f'[ ! -f .gpu-host-files ] || while IFS= read -r f; do [ -e {new}/"$f" ] || rm -f -- "./$f"; done <.gpu-host-files',
        f"cp -a {new}/. ./ && (cd {new} && find . -type f) >.gpu-host-files && rm -rf {new} || exit 1",
        then,
    ]
    return StringCommand("\n".join(lines))
