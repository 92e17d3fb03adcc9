"""Checks of Docker and its configuration."""

from __future__ import annotations

from collections.abc import Mapping

from deploys.knowledge.distros import find_distro
from deploys.knowledge.floors import KNOWN_BAD, BadRange, find_floor
from deploys.knowledge.gpu_access import CDI_OPT_IN
from deploys.knowledge.managers import manager
from deploys.knowledge.paths import DAEMON_JSON
from deploys.knowledge.records import Distro
from deploys.plan import daemon_json
from deploys.plan.capabilities import docker_origin, wants
from deploys.plan.finding import Finding, stop, warn
from deploys.plan.machine import Machine
from deploys.plan.settings import Settings
from deploys.plan.versions import below


def _docker_wanted(settings: Settings) -> bool:
    return "docker" in wants(settings)


def no_podman_or_snap_docker(machine: Machine, settings: Settings) -> Finding | None:
    """The stand-in of podman ignores --gpus silently; the snap keeps its data and its daemon elsewhere."""
    if not machine.docker.impostor or not _docker_wanted(settings):
        return None
    words = manager(machine.packages.manager)
    fix = {
        "podman": f"{words.remove.format(packages='podman-docker')} (or remove the `docker` link to podman)",
        "snap": "save its volumes, then: snap remove docker",
    }.get(machine.docker.impostor, "remove it")
    return stop(
        "no_podman_or_snap_docker",
        f"`docker` on this host is {machine.docker.impostor}",
        "Docker Engine from packages, or none yet",
        fix,
    )


def no_rootless_docker(machine: Machine, settings: Settings) -> Finding | None:
    """An engine that a user runs has containers, images and settings of its own: nothing that is done here reaches it."""
    if not machine.docker.rootless or not _docker_wanted(settings):
        return None
    uids = ", ".join(map(str, machine.docker.rootless))
    return warn(
        "no_rootless_docker",
        f"a rootless Docker of user {uids}",
        "GPU containers in the system's engine, which is the one that is set up here",
        "as that user: dockerd-rootless-setuptool.sh uninstall (or leave it, and keep GPU containers out of it)",
    )


def docker_hosts_set_once(machine: Machine, settings: Settings) -> Finding | None:
    """Docker refuses to start with a socket in its unit (-H fd://, as packages have it) and `hosts` in daemon.json."""
    file = machine.docker.daemon_json
    if not _docker_wanted(settings) or file is None or machine.docker.engine:
        return None
    try:
        hosts = daemon_json.read(file.content).get("hosts")
    except daemon_json.DaemonJsonError:
        return None
    if hosts is None or machine.docker.unit_hosts is False:
        return None
    unit = "the unit docker.service" if machine.docker.unit_hosts else "the unit that Docker's packages bring"
    return stop(
        "docker_hosts_set_once",
        f'{DAEMON_JSON} sets "hosts", and so does {unit} (-H)',
        "one of both: dockerd does not start with a directive that is given twice",
        f'remove "hosts" from {DAEMON_JSON}, or keep it and: systemctl edit docker.service, with "[Service]", "ExecStart=" and "ExecStart=/usr/bin/dockerd"',
    )


def docker_reads_cdi(machine: Machine, settings: Settings) -> Finding | None:
    """CDI was asked for, and the engine is too old to know it."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if not settings.docker_cdi or not _docker_wanted(settings) or distro is None:
        return None
    version = machine.docker.engine or machine.docker.client or _coming(machine, settings, distro)
    if not version or below(version, CDI_OPT_IN[0]) is not True:
        return None
    return stop(
        "docker_reads_cdi",
        f"Docker {version}, and gpu_docker_cdi = True",
        f"Docker {CDI_OPT_IN[0]} or newer, the first that reads CDI specifications",
        'leave gpu_docker_cdi out (the runtime nvidia serves), or gpu_docker_source = "docker"',
    )


def _coming(machine: Machine, settings: Settings, distro: Distro) -> str:
    """Version of the distribution's own Docker where that is what will be installed."""
    return "" if docker_origin(machine, settings, distro) == "docker" or not distro.docker else distro.docker.version


def docker_at_least_19_03(machine: Machine, settings: Settings) -> Finding | None:
    """`docker run --gpus` came with 19.03."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if not _docker_wanted(settings) or distro is None:
        return None
    version = machine.docker.engine or machine.docker.client or _coming(machine, settings, distro)
    floor = find_floor("docker")
    if below(version, floor.refuse if floor else None) is not True:
        return None
    return stop(
        "docker_at_least_19_03",
        f"Docker {version}",
        f"Docker {floor.refuse if floor else ''} or newer",
        f"stop its containers, remove it and run again: {manager(distro.manager).remove.format(packages='docker docker.io docker-engine')}",
    )


def _parts(machine: Machine, settings: Settings, distro: Distro) -> dict[str, str | None]:
    """Component -> version: as installed, for Docker also as it is going to be."""
    packages, vendor = machine.packages, docker_origin(machine, settings, distro) == "docker"
    return {
        "docker": machine.docker.engine or (distro.docker.version if distro.docker and not vendor else ""),
        "containerd": packages.version("containerd") or packages.version("containerd.io"),
        "runc": packages.version("runc"),
        "compose": machine.docker.compose,
        "container-toolkit": machine.toolkit.version,
    }


def container_security_floors(machine: Machine, settings: Settings) -> Finding | None:
    """Parts below their security floor are named; distributions backport fixes, so only what none of them mends is refused."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if not _docker_wanted(settings) or distro is None:
        return None
    present = _parts(machine, settings, distro)
    rows = {name: floor for name in present if (floor := find_floor(name))}
    low = [name for name, floor in rows.items() if present[name] and below(present[name], floor.warn)]
    if not low:
        return None
    # Docker's own lowest version has a check of its own.
    refused = [n for n in low if n != "docker" and below(present[n], rows[n].refuse)]
    if refused:
        words = manager(distro.manager)
        names = " ".join(p for n in refused for p in sorted(machine.packages.installed) if n in p) or " ".join(refused)
        return stop(
            "container_security_floors",
            ", ".join(f"{n} {present[n]}" for n in refused),
            "; ".join(f"{n} {rows[n].refuse} or newer: {rows[n].why}" for n in refused),
            f"{words.refresh} && {words.install.format(packages=names)}",
        )
    return warn(
        "container_security_floors",
        ", ".join(f"{n} {present[n]}" for n in low) + " (the distribution may have backported fixes)",
        "; ".join(f"{n} {rows[n].warn} or newer: {rows[n].why}" for n in low),
        "keep the packages up to date; do not run untrusted images",
    )


def container_parts_not_known_bad(machine: Machine, settings: Settings) -> Finding | None:
    """Versions that others have found to go wrong are named, with what they break."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if not _docker_wanted(settings) or distro is None:
        return None
    present = _parts(machine, settings, distro)
    bad = [row for row in KNOWN_BAD if _is_bad(row, present)]
    if not bad:
        return None
    return warn(
        "container_parts_not_known_bad",
        "; ".join(f"{row.component} {present[row.component]}: {row.why}" for row in bad),
        "versions without known faults",
        "; ".join(row.fix for row in bad),
    )


def _is_bad(row: BadRange, present: Mapping[str, str | None]) -> bool:
    """Is the part in the range, and the other one beside it too old?"""
    version = present[row.component]
    inside = below(version, row.first) is False and (row.fixed is None or below(version, row.fixed) is True)
    return bool(version) and inside and (not row.other or below(present[row.other], row.other_below) is True)


def daemon_json_readable(machine: Machine, settings: Settings) -> Finding | None:
    """A configuration that cannot be parsed is never overwritten."""
    file = machine.docker.daemon_json
    if "runtime" not in wants(settings) or machine.docker.daemon_json_exists is False:
        return None
    if machine.docker.daemon_json_exists is None:
        return stop(
            "daemon_json_readable",
            f"whether {DAEMON_JSON} exists could not be read: {machine.unknown.get('docker', 'no answer')}",
            "an answer, so that nothing is overwritten",
            f"look why these do not answer on the host: ls -l {DAEMON_JSON}; timeout 10 docker info",
        )
    if file is None or file.content is None:
        return stop(
            "daemon_json_readable",
            f"{DAEMON_JSON} exists and could not be read as text",
            "a readable JSON object",
            f"look at {DAEMON_JSON}; move it away if it is not wanted",
        )
    try:
        daemon_json.merge(file.content)
    except daemon_json.DaemonJsonError as error:
        return stop(
            "daemon_json_readable",
            f"{DAEMON_JSON}: {error}",
            "one JSON object without duplicate keys",
            f"correct {DAEMON_JSON}: dockerd --validate --config-file {DAEMON_JSON}",
        )
    return None
