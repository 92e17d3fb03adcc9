"""One link of the chain of proof, what it may look at, and the words for what CUDA answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deploys.knowledge.cuda_results import CUDA_RESULTS
from deploys.plan.capabilities import wants
from deploys.plan.machine import ContainerProof, Machine, Proof
from deploys.plan.settings import Settings

Result = Literal["PASS", "FAIL", "SKIP", "UNKNOWN"]
OUT_OF_MEMORY = "2"


@dataclass(frozen=True)
class Step:
    """One link. `detail` is one line: what was found, or why the step was skipped."""

    name: str
    result: Result
    detail: str


@dataclass(frozen=True)
class Seen:
    """Everything that a step may look at. `container` None: no container was tried."""

    machine: Machine
    proof: Proof
    settings: Settings
    container: ContainerProof | None = None

    @property
    def parts(self) -> frozenset[str]:
        return wants(self.settings)


def judged(name: str, good: bool | None, detail: str) -> Step:
    """PASS, FAIL, or UNKNOWN where `good` is None."""
    return Step(name, "UNKNOWN" if good is None else "PASS" if good else "FAIL", detail)


def cuda_words(answer: str) -> str:
    """An answer such as "802 cuInit", with the name that CUDA has for the number."""
    code, _, rest = answer.partition(" ")
    name = CUDA_RESULTS.get(code)
    return f"{rest or 'CUDA'}: {name} ({code})" if name else answer
