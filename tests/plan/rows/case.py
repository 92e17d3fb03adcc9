"""What a row says, and the hosts that rows start from."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploys.plan.machine import Machine
from deploys.plan.settings import Settings
from tests.plan.hosts import (
    debian_12_bare,
    debian_13_converged,
)

MIB = 1024**2
CUDA_REPOSITORY = "500 https://mirror.example/compute/cuda/repos/debian13/x86_64  Packages"
DEBIAN = "500 http://deb.example.org/debian trixie/non-free amd64 Packages"
EMPTY = Machine()
BARE = debian_12_bare()
DONE = debian_13_converged()


@dataclass(frozen=True)
class Case:
    """`level`: "stop", "warn" or None (satisfied). `words` must all stand in the finding's text."""

    check: str
    name: str
    machine: Machine
    level: str | None = None
    words: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)


def ok(check: str, name: str, machine: Machine, **settings: object) -> Case:
    return Case(check, name, machine, settings=Settings(**settings))  # type: ignore[arg-type]


def stop(check: str, name: str, machine: Machine, *words: str, **settings: object) -> Case:
    return Case(check, name, machine, "stop", words, Settings(**settings))  # type: ignore[arg-type]


def warn(check: str, name: str, machine: Machine, *words: str, **settings: object) -> Case:
    return Case(check, name, machine, "warn", words, Settings(**settings))  # type: ignore[arg-type]
