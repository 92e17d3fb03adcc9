"""DECIDE: the plan of one host, as a record. `make_plan` is pure; `describe` turns it into the page a person approves."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.records import Distro, PackageOffer
from deploys.knowledge.sizes import SIZES
from deploys.plan.driver import DriverChoice, choose_driver
from deploys.plan.files import FileChange, edited_sources, our_files, toolkit_source
from deploys.plan.machine import Machine
from deploys.plan.reboot import RebootPlan, plan_reboot
from deploys.plan.settings import Settings

# Docker's own packages, by the names that its repository gives them on every distribution.
VENDOR_DOCKER, VENDOR_COMPOSE = "docker-ce", "docker-compose-plugin"


@dataclass(frozen=True)
class Capability:
    """One thing the host gets: version, packages and why. Empty `packages`: not part of this plan, `why` says so."""

    name: str
    version: str = ""
    packages: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackagePlan:
    """All packages of the plan. `missing` are to be installed now, in one transaction; `modules` build kernel modules."""

    wanted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    download_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """Everything that will be done to one host. Equal machines and settings give equal plans."""

    distro: Distro
    driver: DriverChoice
    capabilities: tuple[Capability, ...]
    packages: PackagePlan
    files: tuple[FileChange, ...]
    sources: tuple[FileChange, ...]
    services: tuple[str, ...]
    docker: bool
    runtime: bool
    cuda: bool
    reboot: RebootPlan
    outage: str


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


def make_plan(machine: Machine, settings: Settings, distro: Distro, *, local: bool = False) -> Plan:
    """The plan for a host that the checks let pass."""
    parts = wants(settings)
    driver = choose_driver(machine, settings, distro)
    capabilities = _capabilities(driver, distro, settings, parts, machine)
    wanted = tuple(dict.fromkeys(p for c in capabilities for p in c.packages))
    missing = tuple(p for p in wanted if machine.packages.version(p) is None)
    modules = distro.driver.kernel_modules.get(driver.flavour, ())
    reboot = plan_reboot(machine, settings, local=local)
    size = sum(SIZES[c.name].download for c in capabilities if c.name in SIZES and set(c.packages) & set(missing))
    return Plan(
        distro=distro,
        driver=driver,
        capabilities=capabilities,
        packages=PackagePlan(wanted, missing, tuple(p for p in modules if p in missing), size),
        files=our_files(machine, parts, distro, settings),
        sources=edited_sources(machine, distro),
        services=_services(parts),
        docker="docker" in parts,
        runtime="runtime" in parts,
        cuda="cuda" in parts,
        reboot=reboot,
        outage=_outage(reboot, missing),
    )


def headers(machine: Machine, distro: Distro) -> tuple[str, ...]:
    """Header packages for the running and the next kernel, and the one that follows that kernel's flavour."""
    releases = machine.kernels.served
    exact = [distro.headers.format(release=r) for r in releases]
    suffixes = sorted(distro.header_metas, key=len, reverse=True)
    metas = [distro.header_metas[s] for r in releases for s in suffixes if r.endswith(s)][:1]
    return tuple(dict.fromkeys([*exact, *metas]))


def _capabilities(
    driver: DriverChoice, distro: Distro, settings: Settings, parts: frozenset[str], machine: Machine
) -> tuple[Capability, ...]:
    build = (*headers(machine, distro), *distro.build_packages)
    rows = [
        Capability(
            "headers", "", build, ("DKMS compiles the kernel modules on the host, for the running and the next kernel",)
        ),
        Capability("driver", driver.version, driver.packages, driver.why),
    ]
    off = f'not part of gpu_profile = "{settings.profile}"'
    rows.append(_offer("cuda", distro.cuda, parts, off if settings.cuda is not None else "gpu_cuda = None"))
    rows.append(_kept_docker(machine, parts) or _offer("docker", distro.docker, parts, off))
    plugin = machine.packages.version(VENDOR_COMPOSE)
    if "compose" in parts and plugin:
        why = (f"{VENDOR_COMPOSE} is there and stays",)
        rows.append(Capability("compose", machine.docker.compose or plugin, (), why))
    elif distro.compose is None:
        rows.append(Capability("compose", "", (), (distro.no_compose if "compose" in parts else off,)))
    else:
        rows.append(_offer("compose", distro.compose, parts, off))
    repository = distro.repositories["nvidia-container-toolkit"]
    if "runtime" in parts:
        where = settings.mirrors.get(repository.name)
        source = f"from the mirror {where.url}" if where else repository.why
        present = toolkit_source(machine, distro, settings)
        source = f"from the source that is there already: {present}" if present else source
        rows.append(Capability("runtime", "", repository.packages, (source,)))
    else:
        rows.append(Capability("runtime", "", (), ("gpu_container_runtime = None" if "docker" in parts else off,)))
    return tuple(rows)


def _kept_docker(machine: Machine, parts: frozenset[str]) -> Capability | None:
    """Docker's own packages, where they are installed already: they serve, and the distribution's would replace them."""
    version = machine.packages.version(VENDOR_DOCKER)
    if "docker" not in parts or version is None:
        return None
    return Capability("docker", machine.docker.engine or version, (), (f"{VENDOR_DOCKER} is there and stays",))


def _offer(name: str, offer: PackageOffer, parts: frozenset[str], off: str) -> Capability:
    if name in parts:
        return Capability(name, offer.version, offer.packages, (offer.why,))
    return Capability(name, "", (), (off,))


def _services(parts: frozenset[str]) -> tuple[str, ...]:
    services = ["nvidia-persistenced.service"]
    return tuple(services + (["containerd.service", "docker.service"] if "docker" in parts else []))


def _outage(reboot: RebootPlan, missing: tuple[str, ...]) -> str:
    if reboot.needed and reboot.local:
        return "yours to choose: reboot this machine when it suits, then run again"
    if reboot.needed and reboot.allowed:
        return "the host reboots once: a few minutes, up to twenty on large servers"
    if missing:
        return "none expected: packages are added, running services are not restarted"
    return "none"
