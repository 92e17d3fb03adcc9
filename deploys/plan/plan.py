"""DECIDE: the plan of one host, as a record. `make_plan` is pure; `describe` turns it into the page a person approves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from deploys.knowledge.keys import read_key
from deploys.knowledge.paths import (
    CUDA_LOADER,
    CUDA_PROFILE,
    NOUVEAU_BLOCK,
    TOOLKIT_KEY,
    TOOLKIT_SOURCE,
)
from deploys.knowledge.records import Distro, PackageOffer, Repository
from deploys.knowledge.sizes import SIZES
from deploys.plan.apt_sources import enable_components
from deploys.plan.driver import DriverChoice, choose_driver
from deploys.plan.machine import Machine, TextFile
from deploys.plan.settings import Settings

# Docker's own packages, by the names that its repository gives them on every distribution.
VENDOR_DOCKER, VENDOR_COMPOSE = "docker-ce", "docker-compose-plugin"

NOUVEAU_TEXT = """\
# Written by gpu-host: nouveau and nova must not claim the GPUs that the NVIDIA driver serves.
blacklist nouveau
blacklist nova_core
options nouveau modeset=0
install nouveau /bin/false
install nova_core /bin/false
"""


@dataclass(frozen=True)
class FileChange:
    """A whole file of ours (or, for package sources, the host's file with our edit). `mode` is octal text."""

    path: str
    content: str
    why: str
    mode: str = "644"


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
class RebootPlan:
    """Whether a reboot will be needed as far as can be seen now; it is decided again from state after the steps."""

    needed: bool = False
    allowed: bool = True
    why: str = ""


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


def digest(content: str) -> str:
    """sha256 of a file's text, as the probe reports it."""
    return hashlib.sha256(content.encode()).hexdigest()


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


def make_plan(machine: Machine, settings: Settings, distro: Distro) -> Plan:
    """The plan for a host that the checks let pass."""
    parts = wants(settings)
    driver = choose_driver(machine, settings, distro)
    capabilities = _capabilities(driver, distro, settings, parts, machine)
    wanted = tuple(dict.fromkeys(p for c in capabilities for p in c.packages))
    missing = tuple(p for p in wanted if machine.packages.version(p) is None)
    modules = distro.driver.kernel_modules.get(driver.flavour, ())
    reboot = plan_reboot(machine, settings)
    size = sum(SIZES[c.name].download for c in capabilities if c.name in SIZES and set(c.packages) & set(missing))
    return Plan(
        distro=distro,
        driver=driver,
        capabilities=capabilities,
        packages=PackagePlan(wanted, missing, tuple(p for p in modules if p in missing), size),
        files=_files(parts, distro, settings),
        sources=_sources(machine, distro),
        services=_services(parts),
        docker="docker" in parts,
        runtime="runtime" in parts,
        cuda="cuda" in parts,
        reboot=reboot,
        outage=_outage(reboot, missing),
    )


def headers(machine: Machine, distro: Distro) -> tuple[str, ...]:
    """Header packages for the running and the next kernel, and the one that follows that kernel's flavour."""
    releases = dict.fromkeys(r for r in (machine.kernels.running, machine.kernels.default) if r)
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


def _files(parts: frozenset[str], distro: Distro, settings: Settings) -> tuple[FileChange, ...]:
    files = [FileChange(NOUVEAU_BLOCK, NOUVEAU_TEXT, "nouveau must not claim the GPUs")]
    if "cuda" in parts:
        files += [
            FileChange(CUDA_PROFILE, _CUDA_PROFILE_TEXT, "PATH to nvcc for login shells"),
            FileChange(
                CUDA_LOADER, _CUDA_LOADER_TEXT, "loader path for toolkits outside the distribution's own folders"
            ),
        ]
    if "runtime" in parts:
        repository = distro.repositories["nvidia-container-toolkit"]
        files += [
            FileChange(
                TOOLKIT_KEY, repository_key(repository, settings), "signing key, pinned by its full fingerprint"
            ),
            FileChange(TOOLKIT_SOURCE, _source_text(repository, settings), "repository of the container toolkit"),
        ]
    return tuple(files)


def repository_key(repository: Repository, settings: Settings) -> str:
    """Armoured key of a repository: the mirror's own where it re-signs, else the vendor's that is shipped here."""
    mirror = settings.mirrors.get(repository.name)
    return mirror.key if mirror and mirror.key else read_key(repository.key)


_CUDA_PROFILE_TEXT = """\
# Written by gpu-host: CUDA toolkits outside the distribution's own folders.
if [ -d /usr/local/cuda/bin ]; then
    case ":$PATH:" in
        *:/usr/local/cuda/bin:*) ;;
        *) PATH="/usr/local/cuda/bin:$PATH"; export PATH ;;
    esac
fi
"""
_CUDA_LOADER_TEXT = "# Written by gpu-host\n/usr/local/cuda/lib64\n"


def _source_text(repository: Repository, settings: Settings) -> str:
    mirror = settings.mirrors.get(repository.name)
    lines = [
        "# Written by gpu-host",
        "Types: deb",
        f"URIs: {mirror.url if mirror else repository.url}",
        f"Suites: {repository.suite}",
        *([f"Components: {repository.components}"] if repository.components else []),
        f"Signed-By: {TOOLKIT_KEY}",
    ]
    return "\n".join(lines) + "\n"


def _sources(machine: Machine, distro: Distro) -> tuple[FileChange, ...]:
    changed: tuple[TextFile, ...] = enable_components(
        machine.packages.sources, distro.codename, distro.components, distro.archive_keys
    )
    why = f"components {' '.join(distro.components)}; mirror and everything else as they were"
    return tuple(FileChange(f.path, f.content or "", why) for f in changed)


def _services(parts: frozenset[str]) -> tuple[str, ...]:
    services = ["nvidia-persistenced.service"]
    return tuple(services + (["containerd.service", "docker.service"] if "docker" in parts else []))


def plan_reboot(machine: Machine, settings: Settings) -> RebootPlan:
    """Reboot by state: nouveau loaded or bound, or a loaded driver of another version than the one on disk."""
    reasons = reboot_reasons(machine)
    return RebootPlan(bool(reasons), settings.reboot == "when-needed", "; ".join(reasons))


def reboot_reasons(machine: Machine) -> tuple[str, ...]:
    """Why this host, as it is now, needs a reboot before its GPUs can work; empty when it does not."""
    reasons = []
    bound = [g.address for g in machine.gpus if g.driver == "nouveau"]
    if bound:
        reasons.append(f"nouveau holds {', '.join(bound)}")
    elif machine.nouveau.loaded:
        reasons.append("nouveau is loaded")
    running = machine.kernels.get(machine.kernels.running)
    on_disk = running.nvidia_version if running else None
    loaded = machine.driver.loaded
    if loaded and on_disk and loaded != on_disk:
        reasons.append(f"driver {loaded} is loaded, {on_disk} is on disk")
    after = machine.kernels.get(machine.kernels.default)
    if running and after and not running.nvidia_modules and after.nvidia_version:
        reasons.append(
            f"kernel {running.release} has no NVIDIA module, {after.release} (next boot) has {after.nvidia_version}"
        )
    return tuple(reasons)


def _outage(reboot: RebootPlan, missing: tuple[str, ...]) -> str:
    if reboot.needed and reboot.allowed:
        return "the host reboots once: a few minutes, up to twenty on large servers"
    if missing:
        return "none expected: packages are added, running services are not restarted"
    return "none"
