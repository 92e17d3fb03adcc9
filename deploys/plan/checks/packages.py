"""Checks of the package manager, its sources and the room on disk."""

from __future__ import annotations

from collections import defaultdict

from deploys.knowledge.distros import DISTROS, find_distro
from deploys.knowledge.distros.known import find_release
from deploys.knowledge.managers import manager
from deploys.knowledge.paths import repository_files
from deploys.knowledge.records import Distro
from deploys.knowledge.sizes import BOOT_SPARE, MIB, MIN_FREE_INODES, SIZES, TMP_SPARE
from deploys.plan.apt_sources import has_release
from deploys.plan.capabilities import headers, wants
from deploys.plan.cuda_source import plan_cuda
from deploys.plan.driver_branch import today
from deploys.plan.driver_source import choose_driver
from deploys.plan.finding import Finding, stop, warn
from deploys.plan.machine import Machine
from deploys.plan.openpgp import trouble
from deploys.plan.plan import make_plan
from deploys.plan.repositories import DOCKER, base_url
from deploys.plan.settings import Settings
from deploys.plan.versions import branch_of


def package_database_healthy(machine: Machine, _settings: Settings) -> Finding | None:
    """A half-configured package makes every later transaction fail."""
    if machine.packages.healthy:
        return None
    found = "; ".join(machine.packages.problems[:5]) or "the state of the package database could not be read"
    if machine.packages.cut_off and machine.packages.problems:
        return warn(
            "package_database_healthy",
            f"{found}; an earlier run's transaction was cut off",
            "a package database without half-installed packages",
            "nothing: this run rehearses and takes up that transaction first",
        )
    return stop(
        "package_database_healthy",
        found,
        "a package database without half-installed packages",
        f"repair it: {manager(machine.packages.manager).repair}",
    )


def package_manager_free(machine: Machine, _settings: Settings) -> Finding | None:
    """Another package manager at work is named, never killed."""
    # pacman's lock is a file, which a transaction of ours that was cut off has left; who holds it is looked at once more before it goes.
    locks = [lock for lock in machine.packages.locks if lock.pid or not machine.packages.cut_off]
    if not locks:
        return None
    holders = ", ".join(sorted({f"{lock.command or '?'} (pid {lock.pid or '?'}) holds {lock.path}" for lock in locks}))
    return stop(
        "package_manager_free",
        holders,
        "no other package manager at work",
        "wait until it has finished, then run again",
    )


def sources_name_the_release(machine: Machine, settings: Settings) -> Finding | None:
    """The host's own sources tell the mirror; without a line for the release there is none to keep."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not distro.components or settings.bundle:
        return None
    if has_release(machine.packages.sources, distro.codename):
        return None
    return stop(
        "sources_name_the_release",
        f"no package source names {distro.codename} with component main",
        f"a source line for {distro.codename}",
        f"add the archive (or your mirror of it) for {distro.codename} to {manager(distro.manager).sources}",
    )


def bundle_serves_the_release(machine: Machine, settings: Settings) -> Finding | None:
    """A bundle is collected from archives whose names and keys are known."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not settings.bundle:
        return None
    if recipes := choose_driver(machine, settings, distro).recipes:
        return stop(
            "bundle_serves_the_release",
            f"gpu_bundle, and {', '.join(r.base for r in recipes)} of the AUR, which is built on the host from sources that no bundle has",
            "a driver of the distribution's own repositories",
            "remove gpu_bundle, and name a mirror of the recipes inside the site with gpu_mirrors; or choose another gpu_driver_branch",
        )
    if distro.archives:
        return None
    return stop(
        "bundle_serves_the_release",
        f"gpu_bundle on {distro.label}, whose packages no bundle is made of",
        f"one of {', '.join(sorted({d.name for d in DISTROS if d.archives}))}",
        "remove gpu_bundle and name mirrors inside the site with gpu_mirrors",
    )


def headers_available(machine: Machine, settings: Settings) -> Finding | None:
    """DKMS builds nothing for a kernel whose headers are neither installed nor offered."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or choose_driver(machine, settings, distro).prebuilt:
        return None
    if not any(machine.packages.candidates.get(meta) for meta in distro.header_metas.values()):
        # An index that knows no headers at all was never refreshed; the rehearsal does that, and judges then.
        return None
    missing = []
    for release in machine.kernels.served:
        kernel = machine.kernels.get(release)
        offered = machine.packages.candidates.get(distro.headers_of(release))
        if not (kernel and kernel.headers) and offered == "":
            missing.append(release)
    if not missing:
        return None
    words = manager(distro.manager)
    return stop(
        "headers_available",
        f"the package index has no headers for {', '.join(missing)}",
        f"{distro.headers_of(missing[0])}, or DKMS builds nothing",
        f"refresh the index ({words.refresh}); if the package is gone, install the release's newest kernel and reboot into it: "
        f"{words.install.format(packages=_kernel_package(machine, distro))} && reboot",
    )


def dkms_offered(machine: Machine, settings: Settings) -> Finding | None:
    """DKMS comes from EPEL where the distribution has none, and nobody but the operator brings that repository there."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not distro.epel or choose_driver(machine, settings, distro).prebuilt:
        return None
    known = machine.packages.version("dkms") or machine.packages.version("epel-release")
    if known or any("epel" in (source.content or "").lower() for source in machine.packages.sources):
        return None
    words = manager(distro.manager)
    return stop(
        "dkms_offered",
        "no package source of this host is EPEL, and dkms is not installed",
        "dkms, which compiles the kernel modules",
        f"{words.install.format(packages=distro.epel)} (or name your own mirror of EPEL in {words.sources})",
    )


def compiler_fits_kernel(machine: Machine, settings: Settings) -> Finding | None:
    """A module that is built by an older compiler than its kernel may not build, or not load; the trial build decides."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or choose_driver(machine, settings, distro).prebuilt:
        return None
    release = find_release(distro.id, distro.version)
    for name in machine.kernels.served:
        kernel = machine.kernels.get(name)
        maker, _, version = (kernel.compiler or "" if kernel and not kernel.nvidia_version else "").partition(" ")
        own = machine.kernels.gcc
        if maker == "clang":
            found, package = f"kernel {name} was built with clang {version}", "clang lld llvm"
        elif maker == "gcc" and own and branch_of(own).isdecimal() and int(branch_of(own)) < int(branch_of(version)):
            known = release.compiler(name) if release else None
            found = f"kernel {name} was built with GCC {version}, this host's gcc is {own}"
            package = known.package if known else f"gcc-{branch_of(version)}"
        else:
            continue
        return warn(
            "compiler_fits_kernel",
            found,
            "the compiler that built the kernel, or a newer one of its kind",
            f"{manager(distro.manager).install.format(packages=package)}; the trial build tells whether it is needed",
        )
    return None


def _kernel_package(machine: Machine, distro: Distro) -> str:
    """The package that follows the newest kernel of this host's flavour; the plainest one for kernels of other makers."""
    metas = set(distro.header_metas.values())
    meta = next((p for p in headers(machine, distro) if p in metas), min(metas, key=len))
    return meta.replace("headers", "image").replace("kernel-devel", "kernel-core")


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


def cuda_fits(machine: Machine, settings: Settings) -> Finding | None:
    """The source must carry the toolkit, and it must run on every GPU with the driver that is chosen."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not machine.gpus or "cuda" not in wants(settings):
        return None
    driver = choose_driver(machine, settings, distro)
    if driver.problem:
        return None
    choice = plan_cuda(machine, settings, distro, driver)
    return stop("cuda_fits", choice.problem, choice.needed, choice.fix) if choice.problem else None


def sources_offered(machine: Machine, settings: Settings) -> Finding | None:
    """A source of Docker, or a way to the container runtime, that the release does not have is refused, never ignored."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or "docker" not in wants(settings):
        return None
    asked = []
    if settings.docker_source == "docker" and distro.repository(DOCKER) is None:
        asked.append(('gpu_docker_source = "docker"', "distro"))
    if settings.docker_source == "distro" and distro.docker is None:
        asked.append(('gpu_docker_source = "distro"', "docker"))
    if settings.container_runtime == "aur" and not manager(distro.manager).aur:
        asked.append(('gpu_container_runtime = "aur"', "nvidia"))
    if not asked:
        return None
    fix = " and ".join(f'{key.split(" ")[0]} = "{value}"' for key, value in asked)
    return stop(
        "sources_offered",
        f"{', '.join(key for key, _ in asked)}; {distro.label} has no such source",
        "a source that this release has",
        f"set {fix}",
    )


def aur_pinned(machine: Machine, settings: Settings) -> Finding | None:
    """A recipe of the AUR is built only as a person has read it: at a commit, with a digest of its PKGBUILD."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not machine.gpus or not manager(distro.manager).aur:
        return None
    job = next((j for j in make_plan(machine, settings, distro).packages.aur if not j.commit), None)
    if job is None:
        return None
    return stop(
        "aur_pinned",
        f"{', '.join(job.packages)}: only the recipe {job.base} of the AUR has it, and gpu_aur does not name that recipe",
        "the commit of the recipe and the SHA-256 of its PKGBUILD, read by a person",
        f"git clone {job.url}/{job.base}.git, read every file of it, then set gpu_aur = "
        f'{{"{job.base}": {{"commit": "$(git rev-parse HEAD)", "pkgbuild_sha256": "$(sha256sum PKGBUILD)"}}}}',
    )


def repository_keys_known(machine: Machine, settings: Settings) -> Finding | None:
    """A repository whose key nobody here has checked, or whose key is at its end, is used only with a key that the operator brings."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    if distro is None or not machine.gpus:
        return None
    plan = make_plan(machine, settings, distro)
    used = [r for c in plan.capabilities if c.packages and (r := distro.repository(c.repository))]
    files = {f.path: f for f in plan.files}
    for repository in used:
        file = files.get(repository_files(distro.manager, repository.name)[0])
        if file is None or (file.fetch and not file.content):
            continue
        name, wrong = repository.name, trouble(file.content, today(machine)) if file.content else ""
        if wrong or not file.content:
            return stop(
                "repository_keys_known",
                f"the signing key of {base_url(repository, settings)}: {wrong or 'not known here'}",
                "a key with a checked fingerprint, neither revoked nor at its end",
                "fetch the key, compare its fingerprint with the vendor's documentation, and set "
                f'gpu_mirrors = {{"{name}": {{"url": "{base_url(repository, settings)}", "key": "files/{name}.asc", "fingerprint": "40 HEX DIGITS"}}}}',
            )
    return None
