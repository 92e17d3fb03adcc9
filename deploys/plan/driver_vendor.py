"""DECIDE: which driver from a source that has several branches: NVIDIA's own repository."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deploys.knowledge.branches import BRANCHES, Branch, find_branch
from deploys.knowledge.distros.known import SignedModules
from deploys.knowledge.floors import find_floor
from deploys.knowledge.gpus import find_generation, is_newer_than_known
from deploys.knowledge.records import DriverLayout
from deploys.plan.driver import DriverChoice, choose_flavour, other_flavour
from deploys.plan.driver_branch import (
    branch_reason,
    impossible_mix,
    known_generations,
    newest_production,
    preference_reason,
    preferred,
    why_not,
)
from deploys.plan.machine import Machine
from deploys.plan.reason import OWN, Reason
from deploys.plan.settings import Settings
from deploys.plan.versions import below, branch_of


@dataclass(frozen=True)
class Offer:
    """What a source with several branches has for a host; empty `layouts`: every branch that is known.

    `label` names it. `installed` is the branch of it that the host has ("" none): it stays where it still fits.
    """

    label: str = "NVIDIA's repository"
    layouts: tuple[DriverLayout, ...] = ()
    installed: str = ""

    def layout(self, branch: int) -> DriverLayout | None:
        """How the source names the packages of a branch; None where it has none of it."""
        return next((x for x in self.layouts if x.has(branch)), None)

    def has(self, branch: Branch, flavour: str) -> bool:
        """Does the source have modules of that flavour for the branch?"""
        layout = self.layout(branch.number)
        return branch.has(flavour) and (not self.layouts or (layout is not None and flavour in layout.kernel_modules))


EVERYTHING = Offer()


def choose_from_vendor(
    machine: Machine, settings: Settings, signed: SignedModules | None = None, offer: Offer = EVERYTHING
) -> DriverChoice:
    """The newest LTS branch that carries every GPU, else a production one; a pinned branch or version as it is.

    A branch that is installed stays, unless another one is asked for. `signed`: modules that must be used where they fit, because the kernel accepts no others. GPUs that are newer than
    the chip table get the newest production branch, with a warning. Refused with a `problem` where nothing fits.
    """
    choice = _choose(machine, settings, signed, offer) if signed else None
    return choice if choice and not choice.problem else _choose(machine, settings, None, offer)


def _choose(machine: Machine, settings: Settings, signed: SignedModules | None, offer: Offer) -> DriverChoice:
    flavour = choose_flavour(machine, settings)
    if flavour.problem:
        return flavour
    newer = [g.id for g in machine.gpus if is_newer_than_known(g.device)]
    unknown = [g.id for g in machine.gpus if find_generation(g.device) is None and g.id not in newer]
    if unknown:
        return _refuse(
            flavour,
            f"GPU {', '.join(dict.fromkeys(unknown))} is unknown here and its id is none of a newer GPU",
            "GPUs whose generation is known",
            "check the id with lspci -nn; add its chip to deploys/knowledge/gpus.py",
        )
    if newer:
        flavour = _open_for_newer(machine, settings, flavour, newer)
    if flavour.problem:
        return flavour
    if signed and settings.kernel_modules == "auto":
        flavour = _signed_flavour(machine, flavour, signed)
    if settings.driver_branch is not None:
        return _pinned(machine, settings, flavour, offer)
    branches = (newest_production(),) if newer else preferred()
    fitting = tuple(b for b in branches if not (signed and signed.branches) or b.number in signed.branches)
    return _installed(machine, settings, flavour, offer) or _preferred(machine, settings, flavour, (fitting, offer))


def _installed(machine: Machine, settings: Settings, flavour: DriverChoice, offer: Offer) -> DriverChoice | None:
    """The branch that the host has, where it serves its GPUs and kernels: nobody's driver is moved without being asked."""
    branch = find_branch(offer.installed) if offer.installed else None
    if branch is None:
        return None
    choice = _in_branch(branch, settings, flavour, (machine, offer))
    floor = find_floor("driver", offer.installed)
    if why_not(branch, known_generations(machine), machine.kernels.served, choice.flavour) or not offer.has(
        branch, choice.flavour
    ):
        return None
    if floor and below(branch.newest, floor.refuse):
        return None
    stays = Reason("branch", f"branch {branch.number} is installed and serves every GPU: it stays", OWN)
    return replace(choice, version=branch.newest, rules=(*choice.rules, stays, branch_reason(branch)))


def _signed_flavour(machine: Machine, flavour: DriverChoice, signed: SignedModules) -> DriverChoice:
    """Open modules where only these are signed and every GPU allows them."""
    allowed = all(g.open_modules != "cannot" for g in known_generations(machine))
    if flavour.flavour in signed.flavours or "open" not in signed.flavours or not allowed:
        return flavour
    why = f"open kernel modules: only these are signed ({signed.why}), and every GPU here allows them"
    return replace(flavour, flavour="open", why=(why,), rules=(*flavour.rules, Reason("modules", why, signed.source)))


def _refuse(flavour: DriverChoice, problem: str, needed: str, fix: str) -> DriverChoice:
    return DriverChoice(problem=problem, needed=needed, fix=fix, rules=flavour.rules, warnings=flavour.warnings)


def _open_for_newer(machine: Machine, settings: Settings, flavour: DriverChoice, newer: list[str]) -> DriverChoice:
    """Open modules for GPUs that are newer than the table: since Blackwell there have been no others."""
    ids = ", ".join(dict.fromkeys(newer))
    old = [g.name for g in known_generations(machine) if g.open_modules == "cannot"]
    if old:
        problem = f"GPU {ids} is newer than this knowledge and needs the open modules, {', '.join(old)} cannot use them"
        return _refuse(flavour, problem, "GPUs that one flavour can drive", f"move the {', '.join(old)} GPUs away")
    if settings.kernel_modules == "proprietary":
        problem = f'gpu_kernel_modules = "proprietary", but GPU {ids} is newer than this knowledge, and new GPUs run on open modules'
        return _refuse(flavour, problem, "open kernel modules", 'set gpu_kernel_modules = "open" or "auto"')
    why = f"open kernel modules and the newest production branch: GPU {ids} is newer than this knowledge"
    warning = (
        f"GPU {ids} is newer than this knowledge: that branch {newest_production().number} carries it is an assumption"
    )
    return replace(
        flavour, flavour="open", why=(why,), rules=(*flavour.rules, Reason("modules", why, OWN)), warnings=(warning,)
    )


def _pinned(machine: Machine, settings: Settings, flavour: DriverChoice, offer: Offer) -> DriverChoice:
    """The branch or the full version that was asked for, or why not; a version is never rounded to another one."""
    pin = settings.driver_branch or ""
    branch = find_branch(branch_of(pin))
    if branch is None:
        known = ", ".join(str(b.number) for b in BRANCHES)
        return _refuse(
            flavour,
            f'gpu_driver_branch = "{pin}": nothing is known of branch {branch_of(pin)}',
            f"one of {known}",
            f'set gpu_driver_branch = "{preferred()[0].number}" or remove it',
        )
    if flavour.warnings and branch.number < newest_production().number:
        problem = f'gpu_driver_branch = "{pin}" is older than the newest production branch, and {flavour.warnings[0]}'
        return _refuse(flavour, problem, "the newest production branch or a newer one", "remove gpu_driver_branch")
    choice = _in_branch(branch, settings, flavour, (machine, offer))
    reason = why_not(branch, known_generations(machine), machine.kernels.served, choice.flavour)
    if not reason and not offer.has(branch, choice.flavour):
        reason = f"{offer.label} has no {choice.flavour} modules of it"
    if reason:
        fix = "remove gpu_driver_branch, so that a branch which carries every GPU is chosen"
        return _refuse(choice, f'gpu_driver_branch = "{pin}": {reason}', "a branch that serves this host", fix)
    version = pin if "." in pin else branch.newest
    floor = find_floor("driver", str(branch.number))
    if floor and below(version, floor.refuse):
        fix = f'set gpu_driver_branch = "{branch.number}" for the newest of the branch'
        return _refuse(choice, f"driver {version}", f"{floor.refuse} or newer: {floor.why}", fix)
    asked = Reason("branch", f'"{pin}" is asked for by gpu_driver_branch', OWN)
    return replace(choice, version=version, rules=(*choice.rules, asked, branch_reason(branch)))


def _preferred(
    machine: Machine, settings: Settings, flavour: DriverChoice, among: tuple[tuple[Branch, ...], Offer]
) -> DriverChoice:
    branches, offer = among
    rejected: list[tuple[Branch, str]] = []
    generations, kernels = known_generations(machine), machine.kernels.served
    asked = None if settings.kernel_modules == "auto" else flavour.flavour
    for branch in branches:
        problem = why_not(branch, generations, kernels, asked if flavour.flavour != "open" else "open")
        choice = _in_branch(branch, settings, flavour, (machine, offer))
        if problem is None and not offer.has(branch, choice.flavour):
            problem = f"{offer.label} has no {choice.flavour} modules of it"
        if problem is None:
            rules = (*choice.rules, preference_reason(rejected, branch), branch_reason(branch))
            return replace(choice, version=branch.newest, rules=rules)
        rejected.append((branch, problem))
    mix = impossible_mix(generations)
    if mix:
        return _refuse(flavour, mix, "GPUs that one branch carries", "move the GPUs of one generation to another host")
    others = [b for b in BRANCHES if b not in branches and why_not(b, generations, kernels, asked) is None]
    reasons = "; ".join(dict.fromkeys(why for _, why in rejected))
    fix = "use GPUs and a kernel that an LTS or production branch serves"
    if others:
        last = others[-1]
        fix = f'set gpu_driver_branch = "{last.number}" to use a {last.kind} branch ({last.cuda} is its CUDA)'
    needed = "an LTS or production branch that carries every GPU"
    return _refuse(flavour, f"no LTS or production branch serves this host ({reasons})", needed, fix)


def _in_branch(branch: Branch, settings: Settings, flavour: DriverChoice, where: tuple[Machine, Offer]) -> DriverChoice:
    """The choice with the branch; the other flavour where the branch or the source has no others and nobody asked."""
    machine, offer = where
    choice = replace(flavour, branch=str(branch.number))
    if settings.kernel_modules != "auto" or offer.has(branch, flavour.flavour):
        return choice
    if not branch.has(flavour.flavour):
        return other_flavour(choice, machine, f"branch {branch.number} has no others", branch.source)
    return other_flavour(choice, machine, f"{offer.label} has no others of branch {branch.number}")
