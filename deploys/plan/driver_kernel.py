"""DECIDE: whether a branch's kernel modules build on the host's kernels."""

from __future__ import annotations

from deploys.knowledge.branches import KNOWN_BAD, BadBuild, find_branch
from deploys.plan.machine import Machine
from deploys.plan.reason import Verdict
from deploys.plan.versions import below, branch_of, numbers


def judge_kernel(kernel: str, version: str, flavour: str) -> Verdict | None:
    """Does driver `version` in `flavour` build on `kernel` (a release such as "6.12.117+deb13-amd64")?

    A stop where it is known not to, a warn where the kernel is newer than any that it was seen to build on.
    """
    branch = find_branch(branch_of(version))
    if branch is None:
        return None
    if below(kernel, branch.min_kernel):
        return Verdict(
            "stop",
            f"kernel {kernel}; branch {branch.number} builds on {branch.min_kernel} or newer",
            "a kernel that the driver branch builds on",
            "upgrade the distribution and boot its kernel, or use an older branch that carries every GPU",
            branch.source,
        )
    bad = next((b for b in KNOWN_BAD if b.branch == branch.number and _breaks(b, kernel, version, flavour)), None)
    if bad:
        oldest = bad.kernels[0][0]
        return Verdict(
            "stop",
            f"the {flavour} kernel modules of {version} do not compile on {kernel}: {bad.symptom}",
            "kernel modules that build on the running and the next kernel",
            bad.fix.format(kernel=oldest),
            bad.source,
        )
    if branch.built_on is None or not _newer_series(kernel, branch.built_on):
        return None
    return Verdict(
        "warn",
        f"kernel {kernel} is newer than any that branch {branch.number} was seen to build on ({branch.built_on}: "
        f"{branch.built_why})",
        "a trial build that succeeds",
        "nothing: the rehearsal compiles the modules first and leaves the host as it is when that fails",
        branch.source,
    )


def judge_kernels(machine: Machine, version: str, flavour: str, *, built: bool = False) -> tuple[Verdict, ...]:
    """A verdict for each kernel that must have the driver and does not build it, or may not.

    `built`: the driver's packages are there; kernels that have its modules on disk are proven then.
    """
    verdicts = []
    for release in machine.kernels.served:
        kernel = machine.kernels.get(release)
        if built and kernel and kernel.nvidia_version == version:
            continue
        verdict = judge_kernel(release, version, flavour)
        if verdict:
            verdicts.append(verdict)
    return tuple(sorted(verdicts, key=lambda v: v.level))


def _breaks(bad: BadBuild, kernel: str, version: str, flavour: str) -> bool:
    if bad.flavour not in ("", flavour) or (bad.fixed_in and not below(version, bad.fixed_in)):
        return False
    return any(
        below(kernel, first) is False and (end is None or below(kernel, end) is True) for first, end in bad.kernels
    )


def _newer_series(kernel: str, built_on: str) -> bool:
    have, known = numbers(kernel), numbers(built_on)
    if have is None or known is None:
        return False
    return (have.major, have.minor) > (known.major, known.minor)
