"""DECIDE: which CUDA toolkits fit the GPUs and the driver of one host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deploys.knowledge.cuda import FORWARD_COMPATIBILITY, FORWARD_SOURCE, RELEASES, find_family, find_release
from deploys.knowledge.floors import find_floor
from deploys.knowledge.gpus import Generation, is_data_centre
from deploys.plan.driver_branch import known_generations
from deploys.plan.machine import Machine
from deploys.plan.reason import OWN, Reason
from deploys.plan.versions import below, numbers

_NO_REASON = Reason("cuda", "", OWN)


@dataclass(frozen=True)
class CudaFit:
    """How a toolkit fits. `way`: "native", "minor-version", "forward" (with `package`), or "" with the `problem`."""

    version: str
    way: str = ""
    package: str = ""
    reason: Reason = _NO_REASON
    problem: str = ""


@dataclass(frozen=True)
class CudaChoice:
    """Toolkits side by side, newest first, or (`problem` not empty) why not, with what would (`needed`, `fix`)."""

    fits: tuple[CudaFit, ...] = ()
    rules: tuple[Reason, ...] = ()
    problem: str = ""
    needed: str = ""
    fix: str = ""

    @property
    def versions(self) -> tuple[str, ...]:
        return tuple(f.version for f in self.fits)


def fit_cuda(version: str, machine: Machine, driver: str) -> CudaFit:
    """Does toolkit `version` ("12.4") run on these GPUs with this driver version, and how?"""
    floor, release, family = find_floor("cuda"), find_release(version), find_family(version)
    if floor and below(version, floor.refuse) is not False:
        return CudaFit(version, problem=f"CUDA {version}: {floor.why}")
    if release is None or family is None:
        return CudaFit(version, problem=f"CUDA {version} is no toolkit that is known here")
    wrong = _wrong_gpu(version, known_generations(machine))
    if wrong:
        return CudaFit(version, problem=wrong)
    if below(driver, release.driver) is False:
        text = f"CUDA {version} needs driver {release.driver} or newer; {driver} is"
        return CudaFit(version, "native", reason=Reason("cuda", text, release.source))
    if below(driver, family.driver) is False:
        text = (
            f"CUDA {version} was made with driver {release.driver}; {driver} runs it by minor-version compatibility "
            f"({family.driver} or newer), without what is new in it and without PTX that is compiled on the host"
        )
        return CudaFit(version, "minor-version", reason=Reason("cuda", text, family.source))
    return _forward(version, machine, driver, family.driver)


def _forward(version: str, machine: Machine, driver: str, oldest: str) -> CudaFit:
    package = f"cuda-compat-{version.replace('.', '-')}"
    rule = FORWARD_COMPATIBILITY.format(package=package)
    if machine.gpus and all(is_data_centre(g.device, g.class_code) for g in machine.gpus) and numbers(driver):
        text = f"CUDA {version} needs driver {oldest} or newer, this is {driver}: {rule}"
        return CudaFit(version, "forward", package, Reason("cuda", text, FORWARD_SOURCE))
    return CudaFit(
        version, problem=f"CUDA {version} needs driver {oldest} or newer, this is {driver or 'unknown'}; {rule}"
    )


def _wrong_gpu(version: str, generations: Sequence[Generation]) -> str:
    for generation in generations:
        if generation.cuda_max and below(generation.cuda_max, version):
            return f"CUDA {version} does not compile for {generation.name} any more (last: {generation.cuda_max})"
        if below(version, generation.cuda_min):
            return f"CUDA {version} does not know {generation.name} yet (first: {generation.cuda_min})"
    return ""


def choose_cuda(machine: Machine, driver: str, asked: Sequence[str], offered: Sequence[str], source: str) -> CudaChoice:
    """The toolkits for a host with driver version `driver`.

    `asked`: versions, or empty for the newest that fits; `offered`: what the source named `source` carries. Asked-for
    versions are honoured or all refused; the newest that fits is never one that needs forward compatibility.
    """
    fits = [fit_cuda(v, machine, driver) for v in sorted({*asked, *offered}, key=_order, reverse=True)]
    choice = _asked(fits, asked, offered, source) if asked else _newest(fits, source)
    return replace(choice, rules=(*_limits(known_generations(machine)), *choice.rules))


def _newest(fits: Sequence[CudaFit], source: str) -> CudaChoice:
    best = next((f for way in ("native", "minor-version") for f in fits if f.way == way), None)
    if best:
        text = f"the newest toolkit of {source} that every GPU and the driver allow: {best.version}"
        return CudaChoice((best,), (Reason("cuda", text, OWN), best.reason))
    problems = list(dict.fromkeys(f.problem or f.reason.text for f in fits)) or [f"{source} has none"]
    return CudaChoice(
        problem=f"no CUDA toolkit fits: {'; '.join(problems[:2])}",
        needed="a toolkit newer than 11.3 that every GPU and the driver allow",
        fix="set gpu_cuda = None (no toolkit), or use GPUs and a driver branch that a newer toolkit serves",
    )


def _asked(fits: Sequence[CudaFit], asked: Sequence[str], offered: Sequence[str], source: str) -> CudaChoice:
    chosen = [f for f in fits if f.version in asked]
    missing = [f.version for f in chosen if f.version not in offered]
    problems = [f.problem for f in chosen if f.problem]
    if not problems and missing:
        problems = [f"{source} does not carry CUDA {', '.join(missing)}"]
    if not problems:
        return CudaChoice(tuple(chosen), tuple(f.reason for f in chosen))
    good = next((f.version for f in fits if f.version in offered and f.way in ("native", "minor-version")), "")
    return CudaChoice(
        problem="; ".join(problems),
        needed="toolkits that the source carries and every GPU and the driver allow",
        fix=f'set gpu_cuda = "{good}" or "auto"' if good else "set gpu_cuda = None (no toolkit)",
    )


def offered_by_vendor(oldest: str) -> tuple[str, ...]:
    """Toolkits of NVIDIA's repository for a release, from the oldest that it has ("" unknown: all that are known)."""
    return tuple(r.version for r in RELEASES if not below(r.version, oldest))


def _limits(generations: Sequence[Generation]) -> tuple[Reason, ...]:
    return tuple(
        Reason(
            "cuda",
            f"{g.name} ({', '.join(g.capabilities)}): CUDA {g.cuda_min} to {g.cuda_max or 'the newest'}",
            g.source,
        )
        for g in generations
    )


def _order(version: str) -> tuple[int, ...]:
    have = numbers(version)
    return have.release if have else ()
