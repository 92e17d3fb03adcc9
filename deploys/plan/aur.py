"""DECIDE: which recipes of the Arch User Repository a host needs, and the driver of a branch that only they have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deploys.knowledge.records import AurRecipe, Distro
from deploys.plan.driver import DriverChoice, choose_flavour, generations, other_flavour
from deploys.plan.driver_branch import carries, known_generations
from deploys.plan.machine import Machine
from deploys.plan.reason import Reason
from deploys.plan.settings import Settings

MIRROR = "aur"
RISK = (
    "anyone may publish in the AUR: it is built from the one commit that gpu_aur pins, unprivileged and without network"
)


@dataclass(frozen=True)
class AurJob:
    """A recipe to build: `base` below `url` at `commit`, its PKGBUILD having `sha256`; `packages` of it are installed."""

    base: str
    url: str
    commit: str
    sha256: str
    packages: tuple[str, ...]


def aur_url(settings: Settings, distro: Distro) -> str:
    """Where recipes are: the operator's mirror, else the AUR."""
    mirror = settings.mirrors.get(MIRROR)
    return (mirror.url if mirror else distro.aur_url).rstrip("/")


def jobs(
    recipes: tuple[AurRecipe, ...], missing: tuple[str, ...], settings: Settings, distro: Distro
) -> tuple[AurJob, ...]:
    """A job for each recipe of which a package is missing; without a pin its commit is ""."""
    wanted = [r for r in recipes if set(r.packages) & set(missing)]
    pins = settings.aur
    return tuple(
        AurJob(
            r.base,
            aur_url(settings, distro),
            pins[r.base].commit if r.base in pins else "",
            pins[r.base].pkgbuild_sha256 if r.base in pins else "",
            r.packages,
        )
        for r in wanted
    )


def choose_from_aur(machine: Machine, settings: Settings, distro: Distro) -> DriverChoice | None:
    """The newest legacy driver that carries every GPU, or None: no branch does, or another one is asked for."""
    asked = settings.driver_branch
    choice = choose_flavour(machine, settings)
    if not choice.problem and choice.flavour == "open" and settings.kernel_modules == "auto":
        choice = other_flavour(choice, machine, "legacy recipes have no others")
    if choice.problem or choice.flavour != "proprietary" or None in generations(machine).values():
        return None
    for recipe in sorted(distro.aur_drivers, key=lambda r: -int(r.branch)):
        if asked not in (None, recipe.branch, recipe.version):
            continue
        if all(carries(generation, int(recipe.branch)) for generation in known_generations(machine)):
            return _with_recipe(choice, recipe, distro)
    return None


def _with_recipe(choice: DriverChoice, recipe: AurRecipe, distro: Distro) -> DriverChoice:
    modules, *libraries = recipe.packages
    why = f"branch {recipe.branch}, recipe {recipe.base} of the AUR: {recipe.why}"
    return replace(
        choice,
        origin="aur",
        branch=recipe.branch,
        version=recipe.version,
        packages=recipe.packages,
        modules=(modules,),
        same_version=(modules, *libraries),
        recipes=(recipe,),
        why=(*choice.why, f"{why} ({distro.label})", RISK),
        rules=(*choice.rules, Reason("branch", why, recipe.source)),
    )


def has_legacy_driver(machine: Machine, distro: Distro) -> bool:
    """Is a driver of such a recipe on the host, so that it stays?"""
    names = {name for recipe in distro.aur_drivers for name in recipe.packages}
    return any(machine.packages.version(name) is not None for name in names)
