"""DECIDE: from which source a host's driver comes, and by which packages: the archive's one driver, or a branch of several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from deploys.knowledge.distros.known import SignedModules, find_release
from deploys.knowledge.records import Distro, DriverLayout
from deploys.plan.aur import choose_from_aur, has_legacy_driver
from deploys.plan.driver import DriverChoice, choose_from_archive
from deploys.plan.driver_secure_boot import demands_signature
from deploys.plan.driver_vendor import Offer, choose_from_vendor
from deploys.plan.machine import Machine
from deploys.plan.once import once
from deploys.plan.settings import Settings
from deploys.plan.versions import branch_of, upstream


def origin(machine: Machine, settings: Settings, distro: Distro) -> str:
    """The source of the driver: "nvidia" (its repository) or "distro" (the distribution's own packages).

    Where nobody asks for one and the kernel takes signed modules only, it is the one that has those.
    """
    if settings.driver_source != "auto":
        return settings.driver_source
    signed = [x.origin for x in distro.layouts if x.signed]
    return signed[0] if signed and _signed_only(machine, distro) else distro.default_driver


@once
def _signed_only(machine: Machine, distro: Distro) -> bool:
    """Must the modules be signed ones of the distribution, or are they such already? What is installed stays."""
    if demands_signature(machine.platform):
        return True
    names = [n for x in distro.layouts if x.signed for flavour in x.kernel_modules.values() for n in flavour]
    forms = [n.format(branch=r"\d+", kernel="", release=".+") for n in names if "{release}" in n]
    there = [n for n in machine.packages.installed if machine.packages.version(n)]
    return any(re.fullmatch(form, name) for form in forms for name in there)


def _layouts(machine: Machine, distro: Distro, where: str) -> tuple[DriverLayout, ...]:
    """How the source names its packages: the signed modules where only these are accepted and it has them, else all others."""
    own = tuple(x for x in distro.layouts if x.origin == where)
    signed = _signed_only(machine, distro)
    return tuple(x for x in own if x.signed is signed) or own


def signed_modules(machine: Machine, distro: Distro, choice: DriverChoice) -> SignedModules | None:
    """What is known of the signed modules that the choice consists of; None where they are built on the host."""
    release = find_release(distro.id, distro.version)
    layouts = [x for x in _layouts(machine, distro, choice.origin) if x.signed]
    return release.signed if release and layouts and choice.prebuilt else None


def source_label(where: str, distro: Distro) -> str:
    """A source in words."""
    return f"NVIDIA's repository for {distro.label}" if where == "nvidia" else f"the archive of {distro.label}"


@once
def choose_driver(machine: Machine, settings: Settings, distro: Distro) -> DriverChoice:
    """The driver of the source that is asked for, or the reason why it does not serve this host."""
    where = origin(machine, settings, distro)
    layouts = _layouts(machine, distro, where)
    if where == "distro" and distro.driver is not None and not layouts:
        choice = choose_from_archive(machine, settings, distro, distro.driver)
        legacy = (
            choose_from_aur(machine, settings, distro) if choice.problem or has_legacy_driver(machine, distro) else None
        )
        return legacy or choice
    if not layouts:
        other = "distro" if where == "nvidia" else "nvidia"
        return DriverChoice(
            origin=where,
            problem=f"{source_label(where, distro)} has no driver",
            needed="a source that carries the driver",
            fix=f'set gpu_driver_source = "{other}" or "auto"',
        )
    installed = installed_version(machine, layouts)
    offer = Offer(source_label(where, distro), layouts, branch_of(installed) if installed else "")
    choice = choose_from_vendor(machine, settings, None, offer)
    layout = offer.layout(int(choice.branch)) if choice.branch else None
    if choice.problem or layout is None:
        return replace(choice, origin=where)
    if installed and branch_of(installed) == choice.branch and "." not in (settings.driver_branch or ""):
        choice = replace(choice, version=installed)
    flavour = distro.kernel_flavour(machine.kernels.running or "")
    return with_packages(choice, settings, layout, flavour, machine.kernels.served)


def installed_version(machine: Machine, layouts: tuple[DriverLayout, ...]) -> str:
    """The version of the driver that one of these layouts has installed on the host ("" none)."""
    for layout in layouts:
        last = layout.last or 9999
        for name in machine.packages.installed:
            version = upstream(machine.packages.version(name) or "")
            branch = branch_of(version)
            named = {x.format(branch=branch, kernel="") for x in layout.libraries}
            if name in named and branch.isdecimal() and layout.first <= int(branch) <= last:
                return version
    return ""


def with_packages(
    choice: DriverChoice, settings: Settings, layout: DriverLayout, kernel: str, releases: Sequence[str]
) -> DriverChoice:
    """The choice with the packages of its source. A full version that is asked for is asked of every package of the set."""
    words = {"branch": choice.branch, "kernel": kernel}
    names = layout.kernel_modules[choice.flavour]
    modules = tuple(dict.fromkeys(x.format(**words, release=r) for x in names for r in releases or ("",)))
    # A package that is made for one kernel has that kernel's version.
    comparable = () if "{release}" in names[0] else modules[:1]
    user_space = tuple(x.format(**words) for x in layout.user_space)
    asked = settings.driver_branch or ""
    version = asked if "." in asked else choice.branch if layout.versioned else ""
    packages = (*modules, *user_space)
    return replace(
        choice,
        origin=layout.origin,
        packages=packages,
        modules=modules,
        prebuilt=layout.prebuilt,
        versions=dict.fromkeys(packages, version) if version else {},
        same_version=(*comparable, *(x.format(**words) for x in layout.libraries)),
        pins=(layout.pin.format(branch=version or choice.branch),) if layout.pin else (),
        stream=layout.streams.get(choice.flavour, "").format(**words),
        holds=packages,
        why=(*choice.why, f"branch {choice.branch}: {layout.why}"),
    )
