"""DECIDE: the plan of one host, as a record. `make_plan` is pure; `describe` turns it into the page a person approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deploys.knowledge.records import Distro
from deploys.knowledge.sizes import SIZES
from deploys.plan.aur import AurJob, jobs
from deploys.plan.bundle import Bundle, plan_bundle
from deploys.plan.capabilities import Capability, capabilities, wants
from deploys.plan.daemon_json import Wanted
from deploys.plan.devices import device_files
from deploys.plan.driver import DriverChoice
from deploys.plan.driver_fabric import FabricPlan, plan_fabric
from deploys.plan.driver_source import choose_driver
from deploys.plan.files import FileChange, edited_sources, fabric_files, our_files
from deploys.plan.kernel_gate_files import gate_files
from deploys.plan.machine import Machine
from deploys.plan.once import once
from deploys.plan.reboot import RebootPlan, plan_reboot
from deploys.plan.repositories import CONTAINER_TOOLKIT, our_repositories
from deploys.plan.settings import Settings
from deploys.plan.settings_proxy import Proxy
from deploys.plan.software import Packages
from deploys.plan.versions import is_version, upstream


@dataclass(frozen=True)
class PackagePlan:
    """All packages of the plan. `missing` are to be installed now, in one transaction; `modules` build kernel modules.

    `versions` maps a name to the branch ("580") or full version that is asked for. `same_version`: names whose upstream versions must
    be equal, the kernel module's first. `pins` are installed before the others can be asked for, `stream` is the dnf module
    stream ("nvidia-driver:580-open"), `enable` names repositories that are enabled for the transaction. `holds` are kept
    at their versions afterwards. `aur` are the recipes to build. The packages `together` have one version
    among themselves, whichever that is.
    """

    wanted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    same_version: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    stream: str = ""
    enable: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    aur: tuple[AurJob, ...] = ()
    together: tuple[str, ...] = ()
    download_bytes: int = 0

    def lacking(self, packages: Packages) -> tuple[str, ...]:
        """Wanted packages that are not installed, not in the version that is asked for, or not in that of their like."""
        lacking = {p for p in self.wanted if not is_version(packages.version(p), self.versions.get(p, ""))}
        there = {upstream(version) for p in self.together if (version := packages.version(p))}
        if len(there) > 1 or (there and lacking & set(self.together)):
            lacking |= set(self.together)
        return tuple(p for p in self.wanted if p in lacking)


@dataclass(frozen=True)
class Plan:
    """Everything that will be done to one host. Equal machines and settings give equal plans.

    `bundle` has the only package sources that are asked (None: the host's own and ours).
    """

    distro: Distro
    driver: DriverChoice
    capabilities: tuple[Capability, ...]
    packages: PackagePlan
    files: tuple[FileChange, ...]
    sources: tuple[FileChange, ...]
    services: tuple[str, ...]
    proxy: Proxy | None
    docker: bool
    runtime: bool
    daemon: Wanted
    cuda: bool
    reboot: RebootPlan
    outage: str
    drain: str = ""
    bundle: Bundle | None = None

    def moves_driver(self, packages: Packages) -> bool:
        """Will packages of the driver be installed? Whatever a transaction that was cut off has left to do may be of the driver."""
        lacking = set(self.driver.packages) & set(self.packages.lacking(packages))
        return bool(lacking) or (packages.cut_off and bool(self.driver.packages))


@once
def make_plan(machine: Machine, settings: Settings, distro: Distro, *, local: bool = False) -> Plan:
    """The plan for a host that the checks let pass."""
    parts = wants(settings)
    driver = choose_driver(machine, settings, distro)
    rows = capabilities(machine, settings, distro, driver)
    packages = _packages(machine, settings, distro, driver, rows)
    repositories = tuple(dict.fromkeys(c.repository for c in rows if c.repository and c.packages))
    reboot = plan_reboot(machine, settings, local=local)
    return Plan(
        distro=distro,
        driver=driver,
        capabilities=rows,
        packages=packages,
        files=(
            *our_files(parts, settings.proxy),
            *device_files(),
            *fabric_files(_fabric(machine, driver).kernel_modules),
            *gate_files(machine),
            *(() if settings.bundle else our_repositories(machine, distro, settings, repositories)),
        ),
        sources=() if settings.bundle else edited_sources(machine, distro),
        bundle=plan_bundle(machine, settings, distro, repositories),
        services=_services(parts, driver, machine),
        proxy=settings.proxy,
        docker="docker" in parts,
        runtime="runtime" in parts,
        daemon=Wanted("runtime" in parts, settings.docker_live_restore, settings.docker_cdi),
        cuda="cuda" in parts,
        reboot=reboot,
        outage=_outage(reboot, packages.missing),
        drain=settings.drain or "",
    )


def unbuilt(machine: Machine) -> bool:
    """Has a transaction of ours been cut off before a kernel had its module? rpm notes a package as installed before it builds."""
    kernels = [machine.kernels.get(release) for release in machine.kernels.served]
    return machine.packages.cut_off and not all(k and k.nvidia_version for k in kernels)


def _packages(
    machine: Machine, settings: Settings, distro: Distro, driver: DriverChoice, rows: tuple[Capability, ...]
) -> PackagePlan:
    """All packages of all capabilities as one transaction."""
    fabric = next((c.packages for c in rows if c.name == "fabric"), ())
    exact = tuple(c.package for c in plan_fabric(machine, driver.branch, driver.version).components if c.version)
    exact = tuple(p for p in exact if p in fabric)
    # Beside a driver that is there, its fabric has that driver's version and not the newest one.
    there = all(is_version(machine.packages.version(p), driver.versions.get(p, "")) for p in driver.packages)
    version = driver.version if there else next(iter(driver.versions.values()), "")
    plan = PackagePlan(
        wanted=tuple(dict.fromkeys(p for c in rows for p in c.packages)),
        versions={**driver.versions, **(dict.fromkeys(exact, version) if version else {})},
        same_version=(*driver.same_version, *exact),
        holds=(*driver.holds, *exact) if driver.holds else (),
        enable=() if settings.bundle else distro.enable,
        together=next((c.packages for c in rows if c.name == "runtime" and c.repository == CONTAINER_TOOLKIT), ()),
    )
    missing = plan.lacking(machine.packages)
    if unbuilt(machine):
        missing = (*missing, *(p for p in driver.modules if p not in missing))
    driver_moves = bool(set(driver.packages) & set(missing))
    prepare = tuple(p for p in distro.prepare if machine.packages.version(p) is None) if missing else ()
    return replace(
        plan,
        missing=missing,
        modules=() if driver.prebuilt else tuple(p for p in driver.modules if p in missing),
        pins=(*prepare, *(driver.pins if driver_moves else ())),
        stream=driver.stream if driver_moves else "",
        aur=jobs(tuple(r for c in rows for r in c.recipes), missing, settings, distro),
        download_bytes=sum(SIZES[c.name].download for c in rows if c.name in SIZES and set(c.packages) & set(missing)),
    )


def _fabric(machine: Machine, driver: DriverChoice) -> FabricPlan:
    """What the host gets for its fabric; an archive has nothing of it."""
    return plan_fabric(machine, driver.branch, driver.version) if driver.origin == "nvidia" else FabricPlan()


def _services(parts: frozenset[str], driver: DriverChoice, machine: Machine) -> tuple[str, ...]:
    services = ["gpu-host-devices.service", "nvidia-persistenced.service", *_fabric(machine, driver).units]
    return tuple(services + (["containerd.service", "docker.service"] if "docker" in parts else []))


def _outage(reboot: RebootPlan, missing: tuple[str, ...]) -> str:
    if reboot.needed and reboot.reload and not reboot.tried:
        return "seconds for the driver, which nobody uses; a reboot only where it cannot be unloaded"
    reboot = replace(reboot, needed=reboot.needed and not reboot.tried and not reboot.refused)
    if reboot.needed and reboot.local:
        return "yours to choose: reboot this machine when it suits, then run again"
    if reboot.needed and reboot.allowed:
        return "the host reboots once: a few minutes, up to twenty on large servers"
    if missing:
        return "none expected: packages are added, running services are not restarted"
    return "none"
