"""Checks of the package manager, its sources and the room on disk."""

from __future__ import annotations

from collections import defaultdict

from deploys.knowledge.distros import find_distro
from deploys.knowledge.floors import find_floor
from deploys.knowledge.managers import manager
from deploys.knowledge.records import Distro
from deploys.knowledge.sizes import BOOT_SPARE, MIB, MIN_FREE_INODES, SIZES, TMP_SPARE
from deploys.plan.apt_sources import has_release
from deploys.plan.cuda import choose_cuda
from deploys.plan.driver import choose_driver
from deploys.plan.finding import Finding, stop
from deploys.plan.machine import Machine
from deploys.plan.plan import headers, make_plan
from deploys.plan.settings import Settings
from deploys.plan.versions import below


def package_database_healthy(machine: Machine, _settings: Settings) -> Finding | None:
    """A half-configured package makes every later transaction fail."""
    if machine.packages.healthy:
        return None
    found = "; ".join(machine.packages.problems[:5]) or "the state of the package database could not be read"
    return stop(
        "package_database_healthy",
        found,
        "a package database without half-installed packages",
        f"repair it: {manager(machine.packages.manager).repair}",
    )


def package_manager_free(machine: Machine, _settings: Settings) -> Finding | None:
    """Another package manager at work is named, never killed."""
    if not machine.packages.locks:
        return None
    holders = ", ".join(
        sorted({f"{lock.command or '?'} (pid {lock.pid or '?'}) holds {lock.path}" for lock in machine.packages.locks})
    )
    return stop(
        "package_manager_free",
        holders,
        "no other package manager at work",
        "wait until it has finished, then run again",
    )


def sources_name_the_release(machine: Machine, _settings: Settings) -> Finding | None:
    """The host's own sources tell the mirror; without a line for the release there is none to keep."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or has_release(machine.packages.sources, distro.codename):
        return None
    return stop(
        "sources_name_the_release",
        f"no package source names {distro.codename} with component main",
        f"a source line for {distro.codename}",
        f"add the archive (or your mirror of it) for {distro.codename} to {manager(distro.manager).sources}",
    )


def headers_available(machine: Machine, _settings: Settings) -> Finding | None:
    """DKMS builds nothing for a kernel whose headers are neither installed nor offered."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not any(machine.packages.candidates.get(meta) for meta in distro.header_metas.values()):
        # An index that knows no headers at all was never refreshed; the rehearsal does that, and judges then.
        return None
    missing = []
    for release in machine.kernels.served:
        kernel = machine.kernels.get(release)
        offered = machine.packages.candidates.get(distro.headers.format(release=release))
        if not (kernel and kernel.headers) and offered == "":
            missing.append(release)
    if not missing:
        return None
    words = manager(distro.manager)
    return stop(
        "headers_available",
        f"the package index has no headers for {', '.join(missing)}",
        f"{distro.headers.format(release=missing[0])}, or DKMS builds nothing",
        f"refresh the index ({words.refresh}); if the package is gone, install the release's newest kernel and reboot into it: "
        f"{words.install.format(packages=_kernel_package(machine, distro))} && reboot",
    )


def _kernel_package(machine: Machine, distro: Distro) -> str:
    """The package that follows the newest kernel of this host's flavour; the plainest one for kernels of other makers."""
    metas = set(distro.header_metas.values())
    meta = next((p for p in headers(machine, distro) if p in metas), min(metas, key=len))
    return meta.replace("headers", "image")


def disk_space(machine: Machine, settings: Settings) -> Finding | None:
    """Room for what is missing, added up per file system, and for one more initramfs."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None:
        return None
    plan = make_plan(machine, settings, distro)
    missing = set(plan.packages.missing)
    lacking = [SIZES[c.name] for c in plan.capabilities if set(c.packages) & missing]
    need: dict[str, int] = defaultdict(int)
    need["/usr"] = sum(s.usr for s in lacking)
    need["/var"] = sum(s.download + s.var for s in lacking)
    need["/boot"] = BOOT_SPARE if lacking else 0
    need["/tmp"] = TMP_SPARE if lacking else 0  # noqa: S108 - a path on the host
    return _judge_space(machine, need)


def _judge_space(machine: Machine, need: dict[str, int]) -> Finding | None:
    per_mount: dict[str, int] = defaultdict(int)
    free: dict[str, int] = {}
    inodes: dict[str, int] = {}
    for path, size in need.items():
        filesystem = machine.filesystem(path)
        if filesystem is None or filesystem.free_bytes is None or not size:
            continue
        mount = filesystem.mount or path
        per_mount[mount] += size
        free[mount] = filesystem.free_bytes
        if filesystem.free_inodes is not None:
            inodes[mount] = filesystem.free_inodes
    short = [f"{m} has {free[m] // MIB} MiB free" for m in sorted(per_mount) if free[m] < per_mount[m]]
    short += [f"{m} has {n} free inodes" for m, n in sorted(inodes.items()) if n < MIN_FREE_INODES and m != "/boot"]
    if not short:
        return None
    words = manager(machine.packages.manager)
    wanted = ", ".join(f"{m}: {per_mount[m] // MIB} MiB" for m in sorted(per_mount))
    return stop(
        "disk_space",
        "; ".join(short),
        f"{wanted}; {MIN_FREE_INODES} inodes",
        f"free space ({words.clean}; old kernels: {words.old_kernels}) or enlarge the file system",
    )


def cuda_newer_than_11_3(machine: Machine, settings: Settings) -> Finding | None:
    """CUDA 11.3 and older is refused; a version that the archive does not carry is refused by name."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or settings.cuda is None or settings.profile == "containers":
        return None
    asked = () if settings.cuda == "auto" else settings.cuda_versions
    other = [v for v in asked if v != distro.cuda.version]
    if other:
        return stop(
            "cuda_newer_than_11_3",
            f"gpu_cuda asks for {', '.join(other)}; {distro.label} carries {distro.cuda.version}",
            "a CUDA version that the source carries",
            f'set gpu_cuda = "{distro.cuda.version}" or "auto"',
        )
    floor = find_floor("cuda")
    if below(distro.cuda.version, floor.refuse if floor else None) is False:
        return None
    return stop(
        "cuda_newer_than_11_3",
        f"{distro.label} carries CUDA {distro.cuda.version}",
        "CUDA newer than 11.3",
        "use a newer release of the distribution, or set gpu_cuda = None",
    )


def cuda_fits(machine: Machine, settings: Settings) -> Finding | None:
    """The toolkit must run on every GPU with the driver that is chosen."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not machine.gpus or settings.cuda is None or settings.profile == "containers":
        return None
    driver = choose_driver(machine, settings, distro)
    if driver.problem:
        return None
    choice = choose_cuda(machine, driver.version, (), (distro.cuda.version,), f"the archive of {distro.label}")
    return stop("cuda_fits", choice.problem, choice.needed, choice.fix) if choice.problem else None


def sources_offered(_machine: Machine, settings: Settings) -> Finding | None:
    """Sources and the AUR path that a release has no steps for yet are refused, never ignored."""
    asked = []
    if settings.driver_source != "distro":
        asked.append(f'gpu_driver_source = "{settings.driver_source}"')
    if settings.docker_source != "distro":
        asked.append(f'gpu_docker_source = "{settings.docker_source}"')
    if settings.container_runtime == "aur":
        asked.append('gpu_container_runtime = "aur"')
    if not asked:
        return None
    return stop(
        "sources_offered",
        ", ".join(asked),
        "a source that this release has steps for",
        'set gpu_driver_source = "distro", gpu_docker_source = "distro", gpu_container_runtime = "nvidia"',
    )
