"""KNOW: the records of who works on a host: processes on its GPUs, and schedulers that send it jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from deploys.plan.record import Record


@dataclass(frozen=True)
class Process(Record):
    """A process that holds a device file. `user` and `command` as ps would print them; `memory` of the GPUs in MiB, None unknown.

    `cgroup`: its paths (source: cgroups(7)); `place`: what these mean to an operator ("container llm", "pod ml/llm-0",
    "Slurm job 12", "unit llm.service"), "" for a login session.
    """

    pid: int
    user: str | None
    command: str | None
    devices: tuple[str, ...] = ()
    memory: int | None = None
    cgroup: str = ""
    place: str = ""


@dataclass(frozen=True)
class Job(Record):
    """Work that a scheduler has sent here: number of a Slurm job, or NAMESPACE/NAME of a pod that was given a GPU. `user` "" unknown."""

    name: str
    user: str = ""


@dataclass(frozen=True)
class Scheduler(Record):
    """A cluster whose agent runs here. `node`: what the cluster calls this host; `pods`: NAMESPACE/NAME of all pods here by their uid."""

    kind: Literal["slurm", "kubernetes"]
    agent: str
    node: str
    jobs: tuple[Job, ...] = ()
    pods: Mapping[str, str] = field(default_factory=dict)
