"""PROVE: Docker, and a container that has the GPU and keeps it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from deploys.knowledge.distros import find_distro
from deploys.plan.capabilities import docker_origin
from deploys.plan.doctor import diagnose
from deploys.plan.machine import ContainerAnswer, ContainerProof, Machine
from deploys.plan.proof_step import OUT_OF_MEMORY, Seen, Step, cuda_words, judged
from deploys.plan.reboot import working
from deploys.plan.versions import below


def container_identity(machine: Machine, words: Sequence[str], compose: str) -> str:
    """One word for all that decides what CUDA answers in a container of this boot."""
    docker, toolkit = machine.docker, machine.toolkit
    parts = (
        *words,
        compose,
        machine.boot.boot_id,
        (machine.driver.loaded, machine.driver.user_space, machine.driver.unlinked),
        [(gpu.address, gpu.id) for gpu in machine.gpus],
        (docker.engine, docker.compose, docker.runtimes, docker.default_runtime, docker.cgroup_driver, docker.cdi),
        (docker.flags, docker.daemon_json.content if docker.daemon_json else None),
        (toolkit.version, toolkit.runtime, toolkit.config, sorted(toolkit.cdi_specs.items())),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def proven_in_containers(machine: Machine, identity: str, *, reload: bool) -> ContainerProof | None:
    """The proof that this very set has given since this boot, None where it has not. `reload`: it must have kept its GPU through a reload of systemd."""
    known, time, extent = (*machine.toolkit.proven, "", "", "")[:3]
    if known != identity or (reload and extent != "all"):
        return None
    why = f"proven {time}, and nothing that it depends on has changed since; deploys/verify.py tries it again"
    return ContainerProof(skipped=dict.fromkeys(("run", "option", "compose", "reload"), why))


def docker_engine(seen: Seen) -> Step:
    """The engine answers and is at least 19.03."""
    if "docker" not in seen.parts:
        return Step("docker_engine", "SKIP", "not part of this profile")
    docker = seen.machine.docker
    if docker.engine is None:
        return judged("docker_engine", None, "could not be asked")
    if not docker.engine:
        return judged("docker_engine", False, docker.engine_error or "no engine answers")
    return judged("docker_engine", below(docker.engine, "19.03") is False, f"engine {docker.engine}")


def compose(seen: Seen) -> Step:
    """Compose v2 answers, where the release (or Docker itself) brings it."""
    distro = find_distro(seen.machine.distribution.id, seen.machine.distribution.version)
    if "compose" not in seen.parts:
        return Step("compose", "SKIP", "not part of this profile")
    version = seen.machine.docker.compose
    if version is None:
        return judged("compose", None, "could not be asked")
    vendor = distro is not None and docker_origin(seen.machine, seen.settings, distro) == "docker"
    if not version and distro and distro.compose is None and not vendor:
        return Step("compose", "SKIP", distro.no_compose)
    return judged("compose", below(version, "2") is False, f"Compose {version}" if version else "no Compose v2 plugin")


def container_runtime(seen: Seen) -> Step:
    """The engine lists the runtime `nvidia`, and its program exists."""
    if "runtime" not in seen.parts:
        return Step("container_runtime", "SKIP", "not part of this profile")
    docker, toolkit = seen.machine.docker, seen.machine.toolkit
    if toolkit.version is None or docker.engine is None:
        return judged("container_runtime", None, "could not be asked")
    if not toolkit.version:
        return judged("container_runtime", False, "the NVIDIA Container Toolkit is not installed")
    return judged(
        "container_runtime",
        "nvidia" in docker.runtimes and bool(toolkit.runtime),
        f"toolkit {toolkit.version}, runtimes {', '.join(docker.runtimes) or 'none'}",
    )


def container_cdi(seen: Seen) -> Step | None:
    """The running engine reads CDI specifications; only where that was asked for."""
    docker = seen.machine.docker
    if "docker" not in seen.parts or not seen.settings.docker_cdi:
        return None
    if docker.cdi is None:
        return judged("container_cdi", None, "could not be asked")
    late = "dockerd was started without: it waits until a restart ends no container; then run again, or: systemctl restart docker"
    return judged("container_cdi", docker.cdi, "dockerd reads CDI specifications" if docker.cdi else late)


def container_gpu(seen: Seen) -> Step:
    """CUDA computes in a container that got the GPU the way the rule names."""
    return _inside(seen, "container_gpu", "run", "docker run")


def gpus_option(seen: Seen) -> Step:
    """The same by the words that everybody knows."""
    return _inside(seen, "gpus_option", "option", "docker run --gpus all")


def compose_gpu(seen: Seen) -> Step:
    """The same through Compose."""
    if "runtime" in seen.parts and seen.machine.docker.compose == "":
        return Step("compose_gpu", "SKIP", "no Compose v2 on this host")
    return _inside(seen, "compose_gpu", "compose", "docker compose run")


def container_keeps_gpu(seen: Seen) -> Step:
    """A running container still computes after systemd has read its units again, which writes device rules anew."""
    return _inside(seen, "container_keeps_gpu", "reload", "after systemctl daemon-reload")


def _inside(seen: Seen, name: str, which: str, how: str) -> Step:
    if "runtime" not in seen.parts:
        return Step(name, "SKIP", "not part of this profile")
    if seen.container is None:
        return Step(name, "SKIP", "no container was tried: the links before this one must hold first")
    reason = seen.container.skipped.get(which)
    if reason:
        return Step(name, "SKIP", reason)
    answer = seen.container.answers.get(which)
    if answer is None:
        return judged(name, None, f"{how}: no answer")
    # Docker and Compose may say something beside the answer.
    lines = answer.text.splitlines()
    if any(line.startswith(f"{OUT_OF_MEMORY} cu") for line in lines) and working(seen.machine):
        return Step(name, "SKIP", "the GPU answers, but its memory is in use by others")
    good = answer.code == 0 and "0" in lines
    return judged(name, good, f"{how}: a kernel ran on every GPU" if good else f"{how}: {_trouble(answer)}")


def _trouble(answer: ContainerAnswer) -> str:
    """In words: hung, a known symptom with its cause, or what CUDA or Docker said."""
    if answer.code in (124, 137):
        return "no answer within its limit"
    known = diagnose({"": tuple(answer.text.splitlines())})
    if known:
        return f"{known[0].symptom.name}: {known[0].symptom.cause}; {known[0].symptom.repair}"
    last = answer.text.strip().splitlines()[-1] if answer.text.strip() else f"ended with {answer.code}"
    return cuda_words(last)[:300]
