"""Model services: containers and units that are as wanted, made anew only where they differ."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import CONFIG_LABEL
from deploys.operations.files import write
from deploys.plan.files import digest
from deploys.plan.gpu_access import Access
from deploys.plan.service import Service, config_of, container_words, environment_file, is_wanted, unit_file
from deploys.support.context import this_host
from deploys.support.guard import guarded
from facts.containers import ModelServices, Services

Commands = Generator[Any, None, None]

FACT_LIMIT = 90
PULL_LIMIT = 3600
# Seconds that a container without a health check has to stay up before it counts as running.
SETTLE = 5


class NoEngineError(Exception):
    """No Docker engine answers on the host."""


def _there(services: Sequence[Service]) -> Services:
    images = tuple(s.image for s in services if s.kind == "container")
    units = tuple(
        path for s in services if s.kind == "raw" for path in (unit_file(s, 0).path, environment_file(s).path)
    )
    found = this_host().get_fact(ModelServices, images=images, files=units, _timeout=FACT_LIMIT)
    if not isinstance(found, Services) or (images and found.containers is None):
        raise NoEngineError("no Docker engine answers; run deploys/gpu_host.py first")
    return found


def fetch(image: str, archive: str = "", pull: str = "missing") -> StringCommand:
    """Load or pull the image; says which of both did not work."""
    name = shlex.quote(image)
    if archive:
        said = shlex.quote(f"the image {image} is not in {archive}")
        script = f"docker load --quiet --input {shlex.quote(archive)} && {{ docker image inspect {name} >/dev/null 2>&1 || {{ echo {said} >&2; exit 1; }}; }}"
    elif pull == "never":
        said = shlex.quote(f'the image {image} is not on the host, and pull is "never"')
        script = f"echo {said} >&2; exit 1"
    else:
        said = shlex.quote(f"could not pull {image}")
        script = f"timeout {PULL_LIMIT} docker pull --quiet {name} || {{ echo {said} >&2; exit 1; }}"
    return StringCommand(script)


def _create(service: Service, access: Access, count: int) -> Commands:
    """In place of the one that is there; a container of that name that is not ours stays, and nothing is written."""
    name = shlex.quote(service.name)
    said = shlex.quote(
        f"a container {service.name} is there that this toolkit has not made: rename or remove it, or name the service otherwise"
    )
    yield StringCommand(f"if docker container inspect {name} >/dev/null 2>&1; then echo {said} >&2; exit 1; fi")
    yield write(environment_file(service))
    words = (*container_words(service, access, count), "--label", f"{CONFIG_LABEL}={config_of(service, access, count)}")
    make = shlex.join(["docker", "create", *words, service.image, *service.command])
    yield StringCommand(f"{make} >/dev/null && {_started(service)}")


def _started(service: Service) -> str:
    """`docker start`; what Docker says when it fails, and in plain words where that is about the driver."""
    words = "unsatisfied condition: (cuda|driver)"
    why = shlex.quote(
        f"the driver of this host is too old for the image {service.image}: use an image for an older CUDA, or a newer gpu_driver_branch"
    )
    name = shlex.quote(service.name)
    return f'{{ said=$(docker start {name} 2>&1 >/dev/null) || {{ echo "$said" >&2; echo "$said" | grep -Eq \'{words}\' && echo {why} >&2; false; }}; }}'


def _settled(service: Service) -> StringCommand:
    """It runs, and its health check says so; else its last words are shown."""
    health = service.health
    limit = health.start_period + (health.interval + health.timeout) * (health.retries + 1) if health else SETTLE
    name = shlex.quote(service.name)
    look = "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}} {{.RestartCount}}"
    script = f"""
end=$(($(date +%s) + {limit}))
while :; do
    said=$(docker inspect --format '{look}' {name})
    case $said in
    'running healthy '*) exit 0 ;;
    'running starting 0') [ $(date +%s) -lt $end ] || break ;;
    'running  0') [ $(date +%s) -lt $end ] || exit 0 ;;
    *) break ;;
    esac
    sleep 1
done
docker logs --tail 20 {name} >&2
echo "the service {service.name} does not run: $said (state, health, restarts)" >&2
exit 1
"""
    return StringCommand(script)


@operation()
@guarded
def containers_run(services: Sequence[Service], access: Access, count: int) -> Commands:
    """Every container service runs as it is wanted. Containers whose configuration and image are the same are left alone.

    + services: the services of the host
    + access: how containers get their GPU here
    + count: how many GPUs the host has
    """
    wanted = [s for s in services if s.kind == "container"]
    if not wanted:
        return
    now, changed = _there(wanted), False
    for service in wanted:
        if service.pull == "always" or service.image not in now.images:
            yield fetch(service.image, service.archive, service.pull)
            now = _there(wanted)
        there = (now.containers or {}).get(service.name)
        if not is_wanted(config_of(service, access, count), there, now.images.get(service.image, "")):
            if there is not None:
                yield StringCommand(f"docker rm --force {shlex.quote(service.name)} >/dev/null")
            yield from _create(service, access, count)
        elif there is not None and there.state != "running":
            yield StringCommand(_started(service))
        else:
            continue
        changed = True
        yield _settled(service)
    if not changed:
        this_host().noop("every container runs as wanted")


@operation()
@guarded
def units_run(services: Sequence[Service], count: int) -> Commands:
    """Every raw service runs as a unit of systemd; one whose files are the same is left alone.

    + services: the services of the host
    + count: how many GPUs the host has
    """
    wanted = [s for s in services if s.kind == "raw"]
    if not wanted:
        return
    now, changed = _there(wanted), False
    for service in wanted:
        files = (environment_file(service), unit_file(service, count))
        different = [f for f in files if now.files.get(f.path) != digest(f.content)]
        if not different and now.units.get(service.unit) == "active":
            continue
        changed = True
        for file in different:
            yield write(file)
        unit = shlex.quote(service.unit)
        yield StringCommand(
            f"systemctl daemon-reload && systemctl enable --quiet {unit} && systemctl restart {unit} && sleep {SETTLE} && "
            f"systemctl is-active --quiet {unit} || {{ journalctl -u {unit} -n 20 --no-pager -q -o cat >&2; echo 'the unit {service.unit} does not run' >&2; exit 1; }}"
        )
    if not changed:
        this_host().noop("every unit runs as wanted")
