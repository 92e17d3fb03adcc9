"""Checks of packages, sources and disk."""

from __future__ import annotations

from dataclasses import replace

from deploys.plan.machine import Lock, Machine
from deploys.plan.settings import Mirror
from facts.probe import parse_machine
from inventories.releases import RELEASES, recording
from tests.plan import gpg_keys
from tests.plan.hosts import (
    GIB,
    K80,
    RTX_5090,
    T4,
    V100,
    changed,
    debian_12_bare,
    debian_13_converged,
    gpus,
    installed,
    offered,
    sources,
    space,
)
from tests.plan.rows.case import BARE, DONE, EMPTY, MIB, ok, stop, warn


def bare_release(name: str) -> Machine:
    return parse_machine(recording(next(r for r in RELEASES if r.name == name)))


ARCH_BARE = bare_release("arch")
RHEL_ALONE = changed(bare_release("rhel-9.6"), packages__sources=())
HALF = ("nvidia-kernel-dkms is half-configured", "libcuda1 is unpacked")
LOCKS = (Lock("/var/lib/dpkg/lock-frontend", 812, "apt-get"), Lock("/var/lib/dpkg/lock", 812, "apt-get"))
BOOKWORM = "deb http://deb.example.org/debian bookworm main\n"

# Kepler where the host's own index has the branch that carries it.
K80_ON_470 = offered(
    changed(debian_13_converged(), packages__installed={}, pci=gpus(K80)),
    nvidia_kernel_dkms="470.256.02-1",
    libcuda1="470.256.02-1",
)


def built_by(compiler: str, gcc: str) -> Machine:
    """A bare host whose kernel was built by `compiler`, with a gcc of that version."""
    kernels = tuple(replace(k, compiler=compiler) for k in BARE.kernels.installed)
    return changed(BARE, kernels__installed=kernels, kernels__gcc=gcc)


# What a refreshed index knows at least.
INDEX = {"linux-headers-amd64": "6.1.192-2"}

PACKAGES = [
    ok("package_database_healthy", "healthy", BARE),
    stop(
        "package_database_healthy",
        "half-configured",
        debian_12_bare(packages__healthy=False, packages__problems=HALF),
        "nvidia-kernel-dkms is half-configured; libcuda1 is unpacked",
        "dpkg --configure -a",
    ),
    warn(
        "package_database_healthy",
        "a transaction of ours was cut off",
        debian_12_bare(packages__healthy=False, packages__problems=HALF, packages__cut_off=True),
        "libcuda1 is unpacked; an earlier run's transaction was cut off",
        "this run rehearses and takes up that transaction first",
    ),
    stop(
        "package_database_healthy",
        "cut off and unreadable",
        debian_12_bare(packages__healthy=None, packages__cut_off=True),
        "could not be read",
    ),
    stop("package_database_healthy", "unknown", debian_12_bare(packages__healthy=None), "could not be read"),
    ok("package_manager_free", "free", BARE),
    stop(
        "package_manager_free",
        "apt at work",
        debian_12_bare(packages__locks=LOCKS),
        "apt-get (pid 812) holds /var/lib/dpkg/lock, apt-get (pid 812) holds /var/lib/dpkg/lock-frontend",
        "wait",
    ),
    stop(
        "package_manager_free", "somebody", debian_12_bare(packages__locks=(Lock("/var/lib/dpkg/lock"),)), "? (pid ?)"
    ),
    ok(
        "package_manager_free",
        "left by a transaction of ours that was cut off",
        debian_12_bare(packages__locks=(Lock("/var/lib/pacman/db.lck"),), packages__cut_off=True),
    ),
    stop(
        "package_manager_free",
        "cut off, and another one at work",
        debian_12_bare(packages__locks=LOCKS, packages__cut_off=True),
        "apt-get (pid 812)",
    ),
    ok("sources_name_the_release", "deb822", BARE),
    ok("sources_name_the_release", "one line", debian_12_bare(packages__sources=sources(BOOKWORM))),
    ok("sources_name_the_release", "unsupported distribution", EMPTY),
    *(
        stop(
            "sources_name_the_release",
            name,
            debian_12_bare(packages__sources=sources(text, path)),
            "bookworm",
            "/etc/apt/sources.list",
        )
        for name, text, path in [
            ("another release", "deb http://deb.example.org/debian bullseye main\n", "/etc/apt/sources.list"),
            ("commented out", f"# {BOOKWORM}", "/etc/apt/sources.list"),
            ("sources only", "deb-src http://deb.example.org/debian bookworm main\n", "/etc/apt/sources.list"),
            ("no main", "deb http://deb.example.org/debian bookworm contrib\n", "/etc/apt/sources.list"),
            ("backports only", "deb http://deb.example.org/debian bookworm-backports main\n", "/etc/apt/sources.list"),
            ("security only", "deb http://deb.example.org/security bookworm-security main\n", "/etc/apt/sources.list"),
            (
                "disabled",
                "Types: deb\nURIs: http://x.example\nSuites: bookworm\nComponents: main\nEnabled: no\n",
                "/etc/apt/d.sources",
            ),
            ("empty", "", "/etc/apt/sources.list"),
        ]
    ),
    stop("sources_name_the_release", "no file", debian_12_bare(packages__sources=()), "bookworm"),
    ok("sources_name_the_release", "none asked", debian_12_bare(packages__sources=()), bundle="file:///srv/bundle"),
    ok("bundle_serves_the_release", "of Arch", ARCH_BARE, bundle="file:///srv/bundle"),
    ok("bundle_serves_the_release", "of Debian", BARE, bundle="file:///srv/bundle"),
    stop(
        "bundle_serves_the_release",
        "of a release that none is made of",
        changed(ARCH_BARE, distribution__id="manjaro"),
        "gpu_bundle on Manjaro",
        "AlmaLinux, Arch Linux, Debian, Fedora, Rocky Linux, Ubuntu, openSUSE Leap",
        bundle="file:///srv/bundle",
    ),
    ok("headers_available", "not asked", BARE),
    ok("headers_available", "installed", DONE),
    ok(
        "headers_available",
        "offered",
        changed(BARE, packages__candidates={"linux-headers-6.1.0-50-amd64": "6.1.192-2"}),
    ),
    ok(
        "headers_available",
        "installed, gone from the index",
        changed(DONE, packages__candidates={"linux-headers-6.12.107+deb13-amd64": ""}),
    ),
    ok(
        "headers_available",
        "an index that was never refreshed",
        changed(BARE, packages__candidates={"linux-headers-6.1.0-50-amd64": "", "linux-headers-amd64": ""}),
    ),
    stop(
        "headers_available",
        "an old kernel",
        changed(BARE, packages__candidates={**INDEX, "linux-headers-6.1.0-50-amd64": ""}),
        "no headers for 6.1.0-50-amd64",
        "apt-get update",
        "apt-get install linux-image-amd64 && reboot",
    ),
    stop(
        "headers_available",
        "a cloud kernel",
        changed(
            BARE,
            kernels__running="6.1.0-50-cloud-amd64",
            kernels__default=None,
            packages__candidates={**INDEX, "linux-headers-6.1.0-50-cloud-amd64": ""},
        ),
        "apt-get install linux-image-cloud-amd64",
    ),
    stop(
        "headers_available",
        "a kernel that somebody built",
        changed(
            BARE,
            kernels__running="6.9.1-custom",
            kernels__default="6.9.1-custom",
            packages__candidates={**INDEX, "linux-headers-6.9.1-custom": ""},
        ),
        "6.9.1-custom",
        "apt-get install linux-image-amd64",
    ),
    stop(
        "headers_available",
        "both kernels",
        changed(
            BARE,
            kernels__default="6.1.0-49-amd64",
            packages__candidates={**INDEX, "linux-headers-6.1.0-50-amd64": "", "linux-headers-6.1.0-49-amd64": ""},
        ),
        "6.1.0-50-amd64, 6.1.0-49-amd64",
    ),
    ok("compiler_fits_kernel", "not known", BARE),
    ok("compiler_fits_kernel", "unsupported distribution", EMPTY),
    ok("compiler_fits_kernel", "the same", built_by("gcc 12.2.0", "12.2.0")),
    ok("compiler_fits_kernel", "a newer one", built_by("gcc 12.2.0", "14.2.0")),
    ok("compiler_fits_kernel", "none yet: the release's own comes", built_by("gcc 12.2.0", "")),
    warn(
        "compiler_fits_kernel",
        "an older one",
        built_by("gcc 14.2.1", "11.5.0"),
        "GCC 14.2.1",
        "gcc is 11.5.0",
        "gcc-14",
    ),
    warn("compiler_fits_kernel", "clang", built_by("clang 18.1.8", "12.2.0"), "clang 18.1.8", "lld"),
    ok("disk_space", "enough", BARE),
    ok("disk_space", "unknown is not full", debian_12_bare(filesystems=())),
    ok("disk_space", "full, and nothing to install", debian_13_converged(filesystems=space(1 * MIB))),
    ok("disk_space", "a file system without inodes", debian_12_bare(filesystems=space(inodes=None))),
    ok("disk_space", "a small /boot of its own is enough", debian_12_bare(filesystems=space(boot=200 * MIB))),
    stop(
        "disk_space",
        "full /boot of its own",
        debian_12_bare(filesystems=space(boot=100 * MIB)),
        "/boot has 100 MiB free",
        "autoremove",
    ),
    stop(
        "disk_space",
        "a shared root counts everything",
        debian_12_bare(filesystems=space(9 * GIB)),
        "/ has 9216 MiB free",
        "apt-get clean",
    ),
    ok("disk_space", "the same room without CUDA", debian_12_bare(filesystems=space(9 * GIB)), profile="containers"),
    stop(
        "disk_space",
        "two mounts",
        debian_12_bare(filesystems=space(boot=MIB, tmp=MIB)),
        "/boot has 1 MiB free; /tmp has 1 MiB free",
    ),
    stop(
        "disk_space", "inodes", debian_12_bare(filesystems=space(inodes=300)), "/ has 300 free inodes", "20000 inodes"
    ),
    ok("cuda_fits", "the archive's by number", DONE, cuda=("12.4",)),
    ok("cuda_fits", "none wanted at all", BARE, cuda=None),
    ok("cuda_fits", "not part of the profile", BARE, profile="containers"),
    ok("cuda_fits", "unsupported distribution", EMPTY),
    stop("cuda_fits", "12.4 on Debian 12", BARE, "does not carry CUDA 12.4", 'gpu_cuda = "11.8"', cuda=("12.4",)),
    stop("cuda_fits", "two of three", DONE, "13.0", cuda=("12.4", "12.9", "13.0")),
    ok("cuda_fits", "11.8 on branch 535", BARE),
    ok("cuda_fits", "12.4 on branch 550", DONE),
    ok("cuda_fits", "none wanted", K80_ON_470, cuda=None),
    ok("cuda_fits", "a driver that does not fit is another check's", debian_12_bare(pci=gpus(RTX_5090))),
    stop("cuda_fits", "Kepler has no CUDA 12", K80_ON_470, "12.4", "Kepler", "11.8", "gpu_cuda = None"),
    stop("cuda_fits", "12.4 on branch 470", changed(K80_ON_470, pci=gpus(T4)), "525.60.13", "470.256.02"),
    ok("sources_offered", "the distribution's", BARE),
    ok("sources_offered", "not part of the profile", BARE, profile="raw"),
    stop(
        "sources_offered",
        "the AUR on Debian",
        BARE,
        'gpu_container_runtime = "aur"',
        "Debian 12",
        container_runtime="aur",
    ),
    ok("dkms_offered", "Debian has it", BARE),
    ok("dkms_offered", "a rebuild with EPEL in its own repositories", bare_release("rocky-9.6")),
    ok("dkms_offered", "RHEL with a source of EPEL", bare_release("rhel-9.6")),
    stop("dkms_offered", "RHEL without EPEL", RHEL_ALONE, "epel-release-latest-9.noarch.rpm"),
    ok("dkms_offered", "RHEL with EPEL's package", installed(RHEL_ALONE, epel_release="9-7.el9")),
    ok("dkms_offered", "RHEL with dkms", installed(RHEL_ALONE, dkms="3.1.0-1.el9")),
    ok("aur_pinned", "not Arch", BARE),
    ok("aur_pinned", "a GPU of today", ARCH_BARE),
    stop(
        "aur_pinned",
        "a Volta on Arch",
        changed(ARCH_BARE, pci=gpus(V100)),
        "only the recipe nvidia-580xx-utils of the AUR has it",
        "gpu_aur = {",
    ),
    ok("repository_keys_known", "a shipped key", BARE),
    stop(
        "repository_keys_known",
        "a key that nobody here has checked",
        bare_release("fedora-43"),
        "repos/fedora43/x86_64: not known here",
        'gpu_mirrors = {"cuda"',
    ),
    ok("repository_keys_known", "no GPU", debian_12_bare(pci=())),
    stop(
        "repository_keys_known",
        "a key of the operator that has ended since",
        BARE,
        f"its key {gpg_keys.EXPIRED_FINGERPRINT} ended on 2024-12-31",
        mirrors={"nvidia-container-toolkit": Mirror("https://mirror.example/x", gpg_keys.EXPIRED)},
    ),
    ok(
        "repository_keys_known",
        "a key whose end was put off",
        BARE,
        mirrors={"nvidia-container-toolkit": Mirror("https://mirror.example/x", gpg_keys.EXTENDED)},
    ),
]
