"""DECIDE: which CUDA toolkits a host gets, from which source, as which packages."""

from __future__ import annotations

import re

from packaging.version import Version

from deploys.knowledge.records import Distro
from deploys.plan.cuda import CudaChoice, choose_cuda, fit_cuda, offered_by_vendor
from deploys.plan.driver import DriverChoice
from deploys.plan.driver_source import source_label
from deploys.plan.machine import Machine
from deploys.plan.once import once
from deploys.plan.settings import Settings


def cuda_origin(distro: Distro, driver: DriverChoice) -> str:
    """The toolkit comes from where the driver comes from; from the other source where that one has none."""
    if driver.origin == "nvidia" and distro.vendor_cuda:
        return "nvidia"
    return "distro" if distro.cuda else "nvidia"


@once
def plan_cuda(machine: Machine, settings: Settings, distro: Distro, driver: DriverChoice) -> CudaChoice:
    """The toolkits that are asked for, else the one that is installed, else the newest that fits."""
    where = cuda_origin(distro, driver)
    label = source_label(where, distro)
    if where == "distro":
        archive = (distro.cuda.version,) if distro.cuda else ()
        return choose_cuda(machine, driver.version, settings.cuda_versions, archive, label)
    offered = offered_by_vendor(distro.oldest_cuda) if distro.vendor_cuda else ()
    present = () if settings.cuda_versions else _present(machine, distro, driver)
    return choose_cuda(machine, driver.version, settings.cuda_versions or present, offered, label)


def _present(machine: Machine, distro: Distro, driver: DriverChoice) -> tuple[str, ...]:
    """The newest installed toolkit of NVIDIA's that fits: a newer one in the repository moves nobody."""
    pattern = re.escape(distro.vendor_cuda).replace(r"\{major\}", r"(\d+)").replace(r"\{minor\}", r"(\d+)")
    found = [
        ".".join(match.groups())
        for name in machine.packages.installed
        if (match := re.fullmatch(pattern, name)) and machine.packages.version(name)
    ]
    fitting = [v for v in found if fit_cuda(v, machine, driver.version).way in ("native", "minor-version")]
    return tuple(sorted(fitting, key=Version, reverse=True)[:1])


def cuda_packages(distro: Distro, driver: DriverChoice, choice: CudaChoice) -> tuple[str, ...]:
    """The packages of the chosen toolkits, and of forward compatibility where a toolkit needs it."""
    if choice.problem or not choice.fits:
        return ()
    if cuda_origin(distro, driver) == "distro":
        return distro.cuda.packages if distro.cuda else ()
    names = []
    for fit in choice.fits:
        major, _, minor = fit.version.partition(".")
        names.append(distro.vendor_cuda.format(major=major, minor=minor))
        names += [fit.package] if fit.package else []
    return tuple(dict.fromkeys(names))
