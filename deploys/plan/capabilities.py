"""DECIDE: what a host gets, capability by capability: version, packages, why."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.distros.known import find_release
from deploys.knowledge.paths import repository_files
from deploys.knowledge.records import AurRecipe, Distro, PackageOffer, by_kernel
from deploys.plan.aur import RISK
from deploys.plan.cuda_source import cuda_origin, cuda_packages, plan_cuda
from deploys.plan.driver import DriverChoice
from deploys.plan.driver_fabric import plan_fabric
from deploys.plan.kernel_gate import gate
from deploys.plan.machine import Machine
from deploys.plan.repositories import CONTAINER_TOOLKIT, CUDA, DOCKER, present_source
from deploys.plan.settings import Settings

# Docker's own packages, by the names that its repository gives them on every distribution.
VENDOR_DOCKER, VENDOR_COMPOSE = "docker-ce", "docker-compose-plugin"


@dataclass(frozen=True)
class Capability:
    """One thing the host gets: version, packages and why. Empty `packages`: not part of this plan, `why` says so.

    `repository` is the vendor's repository that it comes from ("" the distribution's own), `recipes` those of the AUR.
    """

    name: str
    version: str = ""
    packages: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    repository: str = ""
    recipes: tuple[AurRecipe, ...] = ()


def wants(settings: Settings) -> frozenset[str]:
    """Capabilities of a profile: driver always; CUDA, Docker and the container runtime as asked."""
    parts = {"driver"}
    if settings.profile in ("full", "raw") and settings.cuda is not None:
        parts.add("cuda")
    if settings.profile in ("full", "containers"):
        parts |= {"docker", "compose"}
        if settings.container_runtime is not None:
            parts.add("runtime")
    return frozenset(parts)


def headers(machine: Machine, distro: Distro) -> tuple[str, ...]:
    """Header packages for the running and the next kernel, and those that follow the flavours of the running one and of the one that this run may boot."""
    releases = machine.kernels.served
    names = [name for r in releases for name in distro.headers_of(r).split() if not _built_in(machine, r, name)]
    stays = (*releases[:1], gate(machine).new)
    metas = [by_kernel(distro.header_metas, r) for r in stays if r]
    return tuple(dict.fromkeys(filter(None, [*names, *metas])))


def _built_in(machine: Machine, release: str, name: str) -> bool:
    """Are the headers of that kernel there, from a package whose name does not carry the kernel's version?"""
    kernel = machine.kernels.get(release)
    return bool(kernel and kernel.headers) and release in name and machine.packages.version(name) is None


def capabilities(machine: Machine, settings: Settings, distro: Distro, driver: DriverChoice) -> tuple[Capability, ...]:
    """All capabilities in the order in which a person reads them."""
    parts = wants(settings)
    off = f'not part of gpu_profile = "{settings.profile}"'
    rows = [_headers(machine, distro, driver), _driver(driver), *_fabric(machine, driver)]
    rows.append(_cuda(machine, settings, distro, driver) if "cuda" in parts else _cuda_off(settings, off))
    if "docker" in parts:
        rows += _docker(machine, settings, distro)
    else:
        rows += [Capability("docker", "", (), (off,)), Capability("compose", "", (), (off,))]
    if "runtime" in parts:
        rows.append(_runtime(machine, settings, distro))
    else:
        rows.append(Capability("runtime", "", (), ("gpu_container_runtime = None" if "docker" in parts else off,)))
    return tuple(rows)


def _headers(machine: Machine, distro: Distro, driver: DriverChoice) -> Capability:
    if driver.prebuilt:
        return Capability("headers", "", (), ("the kernel modules come compiled",))
    why = ["DKMS compiles the kernel modules on the host, for the running and the next kernel"]
    release = find_release(distro.id, distro.version)
    compilers = [c for r in machine.kernels.served if release and (c := release.compiler(r))][:1]
    packages = (*headers(machine, distro), *distro.build_packages, *(c.package for c in compilers))
    return Capability("headers", "", packages, (*why, *(f"{c.package}: {c.why}" for c in compilers)))


def _driver(driver: DriverChoice) -> Capability:
    repository = CUDA if driver.origin == "nvidia" else ""
    return Capability("driver", driver.version, driver.packages, driver.why, repository, driver.recipes)


def _fabric(machine: Machine, driver: DriverChoice) -> list[Capability]:
    """What the system needs beside the driver; an archive that carries none of it is refused by its check."""
    fabric = plan_fabric(machine, driver.branch, driver.version)
    if not fabric.system or driver.origin != "nvidia" or driver.problem:
        return []
    if not fabric.components:
        return [Capability("fabric", "", (), (fabric.rules[0].text,))]
    why = tuple(f"{c.name}: {c.why}" for c in fabric.components)
    return [Capability("fabric", driver.version, tuple(c.package for c in fabric.components), why, CUDA)]


def _cuda_off(settings: Settings, off: str) -> Capability:
    return Capability("cuda", "", (), (off if settings.cuda is not None else "gpu_cuda = None",))


def _cuda(machine: Machine, settings: Settings, distro: Distro, driver: DriverChoice) -> Capability:
    choice = plan_cuda(machine, settings, distro, driver)
    repository = CUDA if cuda_origin(distro, driver) == "nvidia" else ""
    why = tuple(r.text for r in choice.rules if r.subject == "cuda")[-1:] if repository else ()
    if not repository and distro.cuda:
        why = (distro.cuda.why,)
    packages = cuda_packages(distro, driver, choice)
    return Capability("cuda", ", ".join(choice.versions), packages, why or (choice.problem,), repository)


def docker_origin(machine: Machine, settings: Settings, distro: Distro) -> str:
    """Where Docker comes from: "docker" or "distro". An engine that is there already stays with its source."""
    if machine.packages.version(VENDOR_DOCKER):
        return "docker"
    if distro.docker and machine.packages.version(distro.docker.packages[0]):
        return "distro"
    return distro.default_docker if settings.docker_source == "auto" else settings.docker_source


def _docker(machine: Machine, settings: Settings, distro: Distro) -> list[Capability]:
    """Engine and Compose, as one set from one source."""
    where, repository = docker_origin(machine, settings, distro), distro.repository(DOCKER)
    if where != "docker":
        none = "no package of the distribution"
        return [_offer("docker", distro.docker, none), _offer("compose", distro.compose, distro.no_compose or none)]
    version = machine.packages.version(VENDOR_DOCKER)
    if version and (repository is None or not _has_source(machine, settings, distro)):
        plugin = machine.packages.version(VENDOR_COMPOSE)
        return [
            Capability("docker", machine.docker.engine or version, (), (f"{VENDOR_DOCKER} is there and stays",)),
            Capability("compose", machine.docker.compose or plugin or "", (), (f"{VENDOR_COMPOSE} is there and stays",))
            if plugin
            else Capability(
                "compose", "", (), (f"no repository of {VENDOR_DOCKER} on the host offers {VENDOR_COMPOSE}",)
            ),
        ]
    if repository is None:
        return [Capability(n, "", (), ("Docker has no repository for this release",)) for n in ("docker", "compose")]
    engine = tuple(p for p in repository.packages if p != VENDOR_COMPOSE)
    plugin_packages = tuple(p for p in repository.packages if p == VENDOR_COMPOSE)
    why = (f"{VENDOR_DOCKER} is there and stays" if version else _where(machine, settings, distro, DOCKER),)
    return [
        Capability("docker", machine.docker.engine or "", engine, why, DOCKER),
        Capability(
            "compose", machine.docker.compose or "", plugin_packages, ("the plugin of the same repository",), DOCKER
        ),
    ]


def _has_source(machine: Machine, settings: Settings, distro: Distro) -> bool:
    """Does the host have Docker's repository, by its own source or by ours?"""
    ours = machine.files.get(repository_files(distro.manager, DOCKER)[1])
    return bool(present_source(machine, distro, settings, DOCKER) or (ours and ours.sha256))


def _offer(name: str, offer: PackageOffer | None, none: str) -> Capability:
    if offer is None:
        return Capability(name, "", (), (none,))
    return Capability(name, offer.version, offer.packages, (offer.why,))


def _runtime(machine: Machine, settings: Settings, distro: Distro) -> Capability:
    repository = distro.repository(CONTAINER_TOOLKIT)
    if settings.container_runtime == "aur" and distro.aur_runtime:
        recipe = distro.aur_runtime
        return Capability("runtime", "", recipe.packages, (recipe.why, RISK), "", (recipe,))
    if repository is None:
        return _offer("runtime", distro.runtime, "no package of the distribution")
    why = (_where(machine, settings, distro, CONTAINER_TOOLKIT),)
    return Capability("runtime", "", repository.packages, why, CONTAINER_TOOLKIT)


def _where(machine: Machine, settings: Settings, distro: Distro, name: str) -> str:
    present = present_source(machine, distro, settings, name)
    if present:
        return f"from the source that is there already: {present}"
    mirror = settings.mirrors.get(name)
    return f"from the mirror {mirror.url}" if mirror else distro.repositories[name].why
