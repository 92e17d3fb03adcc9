"""DECIDE: which driver, in which module flavour, for the GPUs of one host, from the distribution's own archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deploys.knowledge.branches import find_branch
from deploys.knowledge.gpus import Generation, find_generation
from deploys.knowledge.managers import manager
from deploys.knowledge.records import AurRecipe, Distro, DriverOffer, Source
from deploys.plan.driver_branch import branch_reason, carries, impossible_mix, known_generations
from deploys.plan.machine import Machine
from deploys.plan.reason import OWN, Reason
from deploys.plan.settings import Settings
from deploys.plan.versions import below, branch_of, is_version, upstream


@dataclass(frozen=True)
class DriverChoice:
    """The driver that fits, or (`problem` not empty) why none does, with what would (`needed`, `fix`).

    `origin` is the source ("nvidia" | "distro" | "aur", with its `recipes`). `packages` are all of it, `modules` those that carry the kernel module (`prebuilt`:
    compiled already). `versions`, `same_version`, `pins`, `stream` and `holds` are as in `PackagePlan`.
    `why` is for the page that a person approves; `rules` are all rules that led here, with their sources. `warnings`
    are said and refuse nothing.
    """

    branch: str = ""
    version: str = ""
    flavour: str = ""
    origin: str = "distro"
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    prebuilt: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    same_version: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    stream: str = ""
    holds: tuple[str, ...] = ()
    recipes: tuple[AurRecipe, ...] = ()
    why: tuple[str, ...] = ()
    problem: str = ""
    needed: str = ""
    fix: str = ""
    rules: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


def generations(machine: Machine) -> dict[str, Generation | None]:
    """PCI address of each GPU -> its generation (None: unknown id)."""
    return {gpu.address: find_generation(gpu.device) for gpu in machine.gpus}


def gpu_rules(machine: Machine) -> tuple[Reason, ...]:
    """What each kind of GPU on the host is and needs."""
    rules = []
    for device in dict.fromkeys(gpu.id for gpu in machine.gpus):
        generation = find_generation(int(device.split(":")[1], 16))
        if generation is None:
            rules.append(Reason("gpu", f"{device} is in no row of the chip table", OWN))
            continue
        last = f"to {generation.last_branch}" if generation.last_branch else "on"
        text = f"{device} is {generation.name}: branches from {generation.first_branch} {last}; {generation.why}"
        rules.append(Reason("gpu", text, generation.source))
    return tuple(rules)


def choose_flavour(machine: Machine, settings: Settings) -> DriverChoice:
    """Proprietary wherever every GPU allows it, open where one demands it; asked-for values are honoured or refused."""
    known = [g for g in generations(machine).values() if g]
    must = sorted({g.name for g in known if g.open_modules == "must"})
    cannot = sorted({g.name for g in known if g.open_modules == "cannot"})
    if must and cannot:
        problem = f"{', '.join(must)} runs only on the open modules, {', '.join(cannot)} only on the proprietary ones"
        mix = impossible_mix(known_generations(machine))
        return DriverChoice(
            problem=f"{problem}; {mix}" if mix else problem,
            needed="GPUs that one module flavour can drive together",
            fix=f"move the {', '.join(cannot)} GPUs to another host",
            rules=gpu_rules(machine),
        )
    asked = settings.kernel_modules
    if asked == "proprietary" and must:
        return _wrong_flavour(asked, must, "open", machine)
    if asked == "open" and cannot:
        return _wrong_flavour(asked, cannot, "proprietary", machine)
    names = ", ".join(sorted({g.name for g in known})) or "the GPU"
    flavour = asked if asked != "auto" else "open" if must else "proprietary"
    why = (
        f"{asked} kernel modules: asked for by gpu_kernel_modules"
        if asked != "auto"
        else f"open kernel modules: {', '.join(must)} runs on no others"
        if must
        else f"proprietary kernel modules: every GPU here allows them ({names})"
    )
    return DriverChoice(flavour=flavour, why=(why,), rules=(*gpu_rules(machine), Reason("modules", why, OWN)))


def _wrong_flavour(asked: str, names: list[str], other: str, machine: Machine) -> DriverChoice:
    return DriverChoice(
        problem=f'gpu_kernel_modules = "{asked}", but {", ".join(names)} runs only on the {other} modules',
        needed=f"{other} kernel modules for this host",
        fix=f'set gpu_kernel_modules = "{other}" or "auto" in this host\'s data',
        rules=gpu_rules(machine),
    )


def other_flavour(choice: DriverChoice, machine: Machine, because: str, source: Source = OWN) -> DriverChoice:
    """The other module flavour, where every GPU allows it; else the choice as it is."""
    flavour, against = ("open", "cannot") if choice.flavour == "proprietary" else ("proprietary", "must")
    if any(g and g.open_modules == against for g in generations(machine).values()):
        return choice
    why = f"{flavour} kernel modules: {because}"
    return replace(choice, flavour=flavour, why=(why,), rules=(*choice.rules, Reason("modules", why, source)))


def choose_from_archive(machine: Machine, settings: Settings, distro: Distro, offer: DriverOffer) -> DriverChoice:
    """The one driver of the distribution's archive, or the reason why it does not serve this host."""
    choice = choose_flavour(machine, settings)
    if choice.problem:
        return choice
    if choice.flavour not in offer.kernel_modules and settings.kernel_modules == "auto":
        choice = other_flavour(choice, machine, "the archive has no others")
    if choice.flavour not in offer.kernel_modules:
        return _no_flavour(choice, machine, distro, offer)
    names = (offer.kernel_modules[choice.flavour][0], offer.libraries[0])
    modules = _offered_version(machine, names[0], offer.versions[choice.flavour])
    libraries = _offered_version(machine, names[1], offer.user_space_version)
    pin, packages = settings.driver_branch, (*offer.kernel_modules[choice.flavour], *offer.user_space)
    moves = pin is not None and not is_version(modules, pin) and all(_offers(machine, n, pin) for n in names)
    if moves:
        modules, libraries = (upstream(machine.packages.candidates[name]) for name in names)
    known = modules == offer.versions[choice.flavour]
    why = offer.why if known else "the version that this host has or its own package index offers"
    archive = Reason("branch", f"the archive of {distro.label} has {modules}: {why}", offer.source)
    row = find_branch(branch_of(modules))
    chosen = DriverChoice(
        branch=branch_of(modules),
        version=modules,
        flavour=choice.flavour,
        packages=packages,
        modules=offer.kernel_modules[choice.flavour],
        versions=dict.fromkeys((names[0], *offer.libraries), pin) if moves and pin else {},
        same_version=(names[0], *offer.libraries),
        # A rolling release would move a branch that was asked for at the next upgrade.
        holds=packages if pin and not distro.version else (),
        why=(*choice.why, f"branch {branch_of(modules)}: {why} ({distro.label})"),
        rules=(*choice.rules, archive, *((branch_reason(row),) if row else ())),
    )
    refusal = (
        _refuse_gpu(chosen, machine, distro)
        or _refuse_mismatch(chosen, libraries, machine, (distro, offer))
        or _refuse_pin(chosen, settings, distro)
    )
    return replace(refusal, rules=chosen.rules) if refusal else chosen


def _offers(machine: Machine, package: str, pin: str) -> bool:
    """Does the host's own index offer the package in the branch or version that is asked for?"""
    return is_version(machine.packages.candidates.get(package) or None, pin)


def _offered_version(machine: Machine, package: str, known: str) -> str:
    """What the host has installed, else what its own index offers, else what is known of the archive."""
    found = machine.packages.version(package) or machine.packages.candidates.get(package)
    return upstream(found) if found else known


def _no_flavour(choice: DriverChoice, machine: Machine, distro: Distro, offer: DriverOffer) -> DriverChoice:
    """The archive has no modules of the flavour: the GPUs are too old (or too new) for what it carries."""
    cannot = [g for g in generations(machine).values() if g and g.open_modules == "cannot"]
    has = ", ".join(offer.kernel_modules)
    why = f"{', '.join(sorted({g.name for g in cannot}))} runs on no others" if cannot else "asked for"
    return DriverChoice(
        flavour=choice.flavour,
        problem=f"{distro.label} has {has} kernel modules only; {choice.flavour} ones are needed: {why}",
        needed=f"a source with {choice.flavour} kernel modules",
        fix="use GPUs that the open modules drive, or a legacy driver where the distribution has one",
        rules=choice.rules,
    )


def _refuse_mismatch(
    choice: DriverChoice, libraries: str, machine: Machine, archive: tuple[Distro, DriverOffer]
) -> DriverChoice | None:
    distro = archive[0]
    if choice.version == libraries:
        return None
    older = choice.version if below(choice.version, libraries) else libraries
    return DriverChoice(
        flavour=choice.flavour,
        problem=(
            f"the {choice.flavour} kernel modules have version {choice.version} and the libraries {libraries} "
            f"(as installed, else as {distro.label} offers them); a driver works only when both are the same version"
        ),
        needed=f"kernel modules and libraries of one version (the older one, {older}, lacks fixes)",
        fix=_mismatch_fix(choice, libraries, machine, archive),
    )


def _mismatch_fix(choice: DriverChoice, libraries: str, machine: Machine, archive: tuple[Distro, DriverOffer]) -> str:
    """An upgrade where the index has one version of both, the other flavour where that fits, else patience."""
    distro, offer = archive
    offers = [machine.packages.candidates.get(p) for p in (choice.modules[0], offer.libraries[0])]
    if len({upstream(o) for o in offers if o}) == 1 and all(offers):
        words = manager(distro.manager)
        return f"{words.refresh} && {words.install.format(packages=' '.join(choice.packages))}"
    wait = "wait until the archive has moved the whole set to one version"
    other, against = ("proprietary", "must") if choice.flavour == "open" else ("open", "cannot")
    if other not in offer.kernel_modules:
        return wait
    fits = _offered_version(machine, offer.kernel_modules[other][0], offer.versions[other]) == libraries
    if not fits or any(g and g.open_modules == against for g in generations(machine).values()):
        return wait
    return f'set gpu_kernel_modules = "{other}" in this host\'s data, or {wait}'


def _refuse_pin(choice: DriverChoice, settings: Settings, distro: Distro) -> DriverChoice | None:
    pin = settings.driver_branch
    if pin is None or pin in (choice.version, choice.branch):
        return None
    return DriverChoice(
        flavour=choice.flavour,
        problem=f'gpu_driver_branch = "{pin}"; the archive of {distro.label} has {choice.version}',
        needed="a branch or full version that the driver source carries",
        fix=f'set gpu_driver_branch = "{choice.branch}" or remove it',
    )


def _refuse_gpu(choice: DriverChoice, machine: Machine, distro: Distro) -> DriverChoice | None:
    branch = int(branch_of(choice.version)) if branch_of(choice.version).isdecimal() else 0
    mix = impossible_mix(known_generations(machine))
    for gpu in machine.gpus:
        generation = find_generation(gpu.device)
        fix = "use a distribution release whose archive carries such a branch"
        if generation is None:
            fix = (
                "add the range of this id to deploys/knowledge/gpus.py, or use a version of this toolkit that knows it"
            )
            problem = f"GPU {gpu.id} at {gpu.address} is unknown here, so nothing says that branch {branch} carries it"
        elif carries(generation, branch):
            continue
        elif mix:
            problem, fix = mix, "move the GPUs of one generation to another host"
        elif branch < generation.first_branch:
            problem = f"GPU {gpu.id} ({generation.name}) needs branch {generation.first_branch} or newer; {distro.label} carries {branch}"
        else:
            problem = f"GPU {gpu.id} ({generation.name}) is {generation.why}; {distro.label} carries {branch}"
        return DriverChoice(
            flavour=choice.flavour,
            problem=problem,
            needed="a driver branch that carries every GPU of the host",
            fix=fix,
        )
    return None
