"""Every check, one row per case: what kind of host, which settings, and what the check says of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from deploys.plan.checks import CHECK_NAMES, CHECKS, WAIVABLE, judge
from deploys.plan.machine import DkmsEntry, Lock, Machine, Package, Process
from deploys.plan.settings import Settings
from tests.plan.hosts import (
    A100,
    GIB,
    GTX_980,
    GTX_1080,
    H100,
    K80,
    L4,
    NVSWITCH,
    RTX_5090,
    T4,
    UNKNOWN_GPU,
    V100,
    changed,
    daemon_json,
    debian_12_bare,
    debian_13_converged,
    from_origin,
    gpus,
    holders,
    installed,
    offered,
    sources,
    space,
    unit,
)

MIB = 1024**2
CUDA_REPOSITORY = "500 https://mirror.example/compute/cuda/repos/debian13/x86_64  Packages"
DEBIAN = "500 http://deb.example.org/debian trixie/non-free amd64 Packages"
EMPTY = Machine()
BARE = debian_12_bare()
DONE = debian_13_converged()


@dataclass(frozen=True)
class Case:
    """`level`: "stop", "warn" or None (satisfied). `words` must all stand in the finding's text."""

    check: str
    name: str
    machine: Machine
    level: str | None = None
    words: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)


def ok(check: str, name: str, machine: Machine, **settings: object) -> Case:
    return Case(check, name, machine, settings=Settings(**settings))  # type: ignore[arg-type]


def stop(check: str, name: str, machine: Machine, *words: str, **settings: object) -> Case:
    return Case(check, name, machine, "stop", words, Settings(**settings))  # type: ignore[arg-type]


def warn(check: str, name: str, machine: Machine, *words: str, **settings: object) -> Case:
    return Case(check, name, machine, "warn", words, Settings(**settings))  # type: ignore[arg-type]


PLATFORM = [
    ok("linux_x86_64", "x86_64", BARE),
    ok("linux_x86_64", "amd64 is another word for it", debian_12_bare(platform__architecture="amd64")),
    stop("linux_x86_64", "arm", debian_12_bare(platform__architecture="aarch64"), "Linux on aarch64", "x86_64"),
    stop("linux_x86_64", "32 bits", debian_12_bare(platform__architecture="i686"), "i686"),
    stop("linux_x86_64", "FreeBSD", debian_12_bare(platform__system="FreeBSD"), "FreeBSD"),
    stop("linux_x86_64", "unknown", EMPTY, "unknown system on unknown architecture"),
    *(
        ok("kernel_at_least_3_10", release, debian_12_bare(kernels__running=release))
        for release in ("3.10.0-1160.el7", "3.10", "4", "6.1.0-50-amd64", "6.12.107+deb13-amd64", "10.0-rc1")
    ),
    *(
        stop("kernel_at_least_3_10", release, debian_12_bare(kernels__running=release), release, "3.10 or newer")
        for release in ("3.9", "3", "2.6.32-754.el6.x86_64", "3.9.99-3.10")
    ),
    stop("kernel_at_least_3_10", "unknown", debian_12_bare(kernels__running=None), "kernel unknown"),
    stop("kernel_at_least_3_10", "not a version", debian_12_bare(kernels__running="linux"), "kernel linux"),
    ok("runs_as_root", "root", BARE),
    ok("runs_as_root", "unknown: other checks stop then", EMPTY),
    stop("runs_as_root", "a user", debian_12_bare(platform__uid=1000), "uid 1000", "_sudo = True"),
    ok("not_a_container", "bare metal", BARE),
    ok("not_a_container", "a virtual machine", debian_12_bare(platform__virtualisation="kvm")),
    stop(
        "not_a_container", "docker", debian_12_bare(platform__container="docker"), "(docker)", "host of the container"
    ),
    ok("not_wsl", "bare metal", BARE),
    stop(
        "not_wsl",
        "WSL 2",
        debian_12_bare(platform__wsl=True, kernels__running="5.15.153.1-microsoft-standard-WSL2"),
        "5.15.153.1-microsoft-standard-WSL2",
        "Windows",
    ),
    stop("not_wsl", "WSL with a kernel of unknown name", debian_12_bare(platform__wsl=True, kernels__running=None)),
    ok("not_immutable_os", "Debian", BARE),
    stop("not_immutable_os", "ostree", debian_12_bare(platform__immutable="ostree"), "(ostree)", "image"),
    ok("distro_supported", "Debian 12", BARE),
    ok("distro_supported", "Debian 13", DONE),
    stop(
        "distro_supported",
        "Debian 11",
        debian_12_bare(distribution__version="11", distribution__name="Debian GNU/Linux 11 (bullseye)"),
        "Debian GNU/Linux 11 (bullseye)",
        "Debian 12 (bookworm), Debian 13 (trixie)",
    ),
    stop(
        "distro_supported", "no PRETTY_NAME", debian_12_bare(distribution__id="void", distribution__name=None), "void"
    ),
    stop("distro_supported", "unknown", EMPTY, "unknown distribution"),
    stop(
        "distro_supported",
        "a blank name",
        debian_12_bare(distribution__id="", distribution__name="\n"),
        "unknown distribution",
    ),
    stop("distro_supported", "testing has no VERSION_ID", debian_12_bare(distribution__version=None), "Debian"),
    ok("systemd_is_init", "systemd", BARE),
    stop("systemd_is_init", "sysvinit", debian_12_bare(platform__init="init"), "process 1 is init"),
    stop("systemd_is_init", "unknown", EMPTY, "process 1 is unknown"),
    ok("secure_boot_allows_modules", "off", BARE),
    ok(
        "secure_boot_allows_modules",
        "BIOS: no Secure Boot",
        debian_12_bare(platform__efi=False, platform__lockdown=None),
    ),
    stop(
        "secure_boot_allows_modules", "on", debian_12_bare(platform__secure_boot=True), "Secure Boot is on", "console"
    ),
    stop(
        "secure_boot_allows_modules",
        "lockdown alone",
        debian_12_bare(platform__secure_boot=False, platform__lockdown="integrity"),
        "kernel lockdown is integrity",
    ),
    ok("clock_sane", "now", BARE),
    ok("clock_sane", "fifty years on", debian_12_bare(boot__clock=3_000_000_000.0)),
    stop("clock_sane", "1970", debian_12_bare(boot__clock=17.0), "1970-01-01", "timedatectl set-ntp true"),
    stop("clock_sane", "a flat battery", debian_12_bare(boot__clock=1_577_836_800.0), "2020-01-01"),
    stop("clock_sane", "far future", debian_12_bare(boot__clock=5e9), "2128"),
    stop("clock_sane", "beyond all calendars", debian_12_bare(boot__clock=1e18), "seconds since 1970"),
    warn("clock_sane", "unknown", debian_12_bare(boot__clock=None), "could not be read"),
]

GPU = [
    ok("nvidia_gpu_present", "T4", BARE),
    stop("nvidia_gpu_present", "none", debian_12_bare(pci=()), "no NVIDIA display or 3D controller"),
    stop("nvidia_gpu_present", "its sound card only", debian_12_bare(pci=(replace(gpus(T4)[0], class_code=0x040300),))),
    stop("nvidia_gpu_present", "switches only", debian_12_bare(pci=gpus(NVSWITCH)), "no NVIDIA display"),
    stop("nvidia_gpu_present", "unknown", debian_12_bare(pci=None), "could not be read"),
    ok("gpu_count_as_expected", "not counted", debian_12_bare(pci=gpus(T4, T4))),
    ok("gpu_count_as_expected", "as expected", debian_12_bare(pci=gpus(T4, T4, NVSWITCH)), expected_gpus=2),
    stop(
        "gpu_count_as_expected",
        "one lost",
        debian_12_bare(pci=gpus(T4)),
        "1 GPU on",
        "2 (gpu_",
        "missing",
        expected_gpus=2,
    ),
    stop(
        "gpu_count_as_expected", "one more", debian_12_bare(pci=gpus(T4, T4)), "gpu_expected_gpus = 2", expected_gpus=1
    ),
    stop("gpu_count_as_expected", "unknown", debian_12_bare(pci=None), "could not be read", expected_gpus=1),
    ok("not_vgpu_guest", "no licence daemon", BARE),
    ok("not_vgpu_guest", "units unknown", debian_12_bare(units={})),
    stop("not_vgpu_guest", "licence daemon", unit(BARE, "nvidia-gridd.service"), "nvidia-gridd", "hypervisor"),
    stop("not_vgpu_guest", "installed, not running", unit(BARE, "nvidia-gridd.service", "inactive"), "nvidia-gridd"),
    ok("gpu_not_bound_to_vfio", "nouveau", BARE),
    ok("gpu_not_bound_to_vfio", "nothing bound", debian_12_bare(pci=gpus(T4, driver=""))),
    ok("gpu_not_bound_to_vfio", "driver unknown", debian_12_bare(pci=(replace(gpus(T4)[0], driver=None),))),
    stop(
        "gpu_not_bound_to_vfio",
        "one of two",
        debian_12_bare(pci=(*gpus(T4), *gpus(T4, A100, driver="vfio-pci")[1:])),
        "vfio-pci holds 0000:02:00.0",
    ),
    stop(
        "gpu_not_bound_to_vfio",
        "a vendor's vfio driver",
        debian_12_bare(pci=gpus(H100, driver="vfio-pci-nvgrace")),
        "vfio",
    ),
    *(
        ok("driver_fits_gpus", f"{name} on Debian 12", debian_12_bare(pci=gpus(device)))
        for name, device in [
            ("GTX 980", GTX_980),
            ("GTX 1080", GTX_1080),
            ("V100", V100),
            ("A100", A100),
            ("L4", L4),
            ("H100", H100),
        ]
    ),
    ok("driver_fits_gpus", "open modules on Debian 13", debian_13_converged(pci=gpus(A100)), kernel_modules="open"),
    ok("driver_fits_gpus", "no GPU is another check's", debian_12_bare(pci=())),
    ok("driver_fits_gpus", "the branch by name", BARE, driver_branch="535"),
    ok("driver_fits_gpus", "the version by name", BARE, driver_branch="535.309.01"),
    stop("driver_fits_gpus", "K80", debian_12_bare(pci=gpus(K80)), "10de:102d (Kepler)", "470", "535"),
    stop(
        "driver_fits_gpus",
        "Blackwell on Debian 13",
        debian_13_converged(pci=gpus(RTX_5090)),
        "Blackwell",
        "needs branch 570",
        "carries 550",
    ),
    stop(
        "driver_fits_gpus",
        "Blackwell on Debian 12",
        debian_12_bare(pci=gpus(RTX_5090)),
        "Blackwell",
        "needs branch 570",
        "carries 535",
    ),
    stop(
        "driver_fits_gpus",
        "Blackwell beside Pascal",
        debian_12_bare(pci=gpus(RTX_5090, GTX_1080)),
        "Blackwell",
        "Pascal",
        "another host",
    ),
    stop(
        "driver_fits_gpus",
        "unknown GPU",
        debian_12_bare(pci=gpus(UNKNOWN_GPU)),
        "10de:7fff",
        "unknown",
        "knowledge/gpus.py",
    ),
    stop(
        "driver_fits_gpus",
        "open modules on Debian 12",
        BARE,
        "535.261.03",
        "535.309.01",
        '"proprietary"',
        kernel_modules="open",
    ),
    stop(
        "driver_fits_gpus",
        "open modules for Pascal",
        debian_13_converged(pci=gpus(GTX_1080)),
        "Pascal",
        '"proprietary"',
        kernel_modules="open",
    ),
    stop(
        "driver_fits_gpus",
        "proprietary modules for Blackwell",
        debian_13_converged(pci=gpus(RTX_5090)),
        "Blackwell",
        'set gpu_kernel_modules = "open"',
        kernel_modules="proprietary",
    ),
    stop("driver_fits_gpus", "another branch", BARE, "580", "535.309.01", "remove it", driver_branch="580"),
    stop("driver_fits_gpus", "half a version", BARE, "535.309", driver_branch="535.309"),
    ok("fabric_manager_available", "no switches", BARE),
    stop(
        "fabric_manager_available",
        "HGX",
        debian_12_bare(pci=gpus(H100, H100, NVSWITCH, NVSWITCH)),
        "2 NVSwitches",
        "Debian 12",
    ),
    warn("driver_branch_alive", "535 has ended", BARE, "535", "ended", "580"),
    warn("driver_branch_alive", "550 has ended", DONE, "550", "2025-04-17", "580"),
    ok("driver_branch_alive", "no GPU", debian_12_bare(pci=())),
    ok("driver_branch_alive", "an unfit driver is another check's", debian_12_bare(pci=gpus(K80))),
    stop(
        "driver_branch_alive",
        "below the security floor",
        offered(BARE, nvidia_kernel_dkms="535.247.01-1~deb12u1", libcuda1="535.247.01-1~deb12u1"),
        "535.247.01",
        "535.288.01",
        "apt-get update",
    ),
    warn(
        "driver_branch_alive",
        "below the newest fixes",
        offered(BARE, nvidia_kernel_dkms="535.300.01-1", libcuda1="535.300.01-1"),
        "535.300.01",
        "535.309.01 or newer",
    ),
    ok(
        "driver_branch_alive",
        "a living branch of the host's own index",
        offered(BARE, nvidia_kernel_dkms="580.159.03-1", libcuda1="580.159.03-1"),
    ),
    ok("no_foreign_driver", "bare", BARE),
    ok("no_foreign_driver", "the archive's driver", DONE),
    ok(
        "no_foreign_driver",
        "not fully installed",
        changed(BARE, packages__installed={"nvidia-open": Package("nvidia-open", "580", "rc ")}),
    ),
    ok(
        "no_foreign_driver",
        "NVIDIA's CUDA repository offers the container toolkit too",
        from_origin(DONE, CUDA_REPOSITORY, "nvidia-container-toolkit", "libnvidia-container1"),
    ),
    ok("no_foreign_driver", "a package that no index has any more", from_origin(DONE, "", "nvidia-smi")),
    stop(
        "no_foreign_driver",
        ".run",
        debian_12_bare(driver__runfile="570.124.06"),
        ".run installation (570.124.06)",
        "nvidia-uninstall",
    ),
    stop(
        "no_foreign_driver",
        ".run of unknown version",
        debian_12_bare(driver__runfile="unknown"),
        "(unknown)",
        "nvidia-uninstall",
    ),
    stop(
        "no_foreign_driver",
        "unowned libraries",
        debian_12_bare(driver__unowned=tuple(f"/usr/lib/libcuda.so.{n}" for n in range(5))),
        "/usr/lib/libcuda.so.0",
        "and 2 more",
        "no package owns",
    ),
    stop(
        "no_foreign_driver",
        "NVIDIA's package names",
        installed(BARE, cuda_drivers="580.159.03-1"),
        "cuda-drivers",
        "apt-get purge cuda-drivers",
    ),
    stop(
        "no_foreign_driver",
        "Debian's names from NVIDIA's repository",
        from_origin(
            DONE,
            CUDA_REPOSITORY,
            "nvidia-kernel-dkms",
            "libcuda1",
            "nvidia-smi",
            "libnvidia-ml1",
            "nvidia-persistenced",
        ),
        "libcuda1, libnvidia-ml1, nvidia-kernel-dkms, nvidia-persistenced, nvidia-smi",
        "apt-get purge libcuda1 libnvidia-ml1 nvidia-kernel-dkms nvidia-persistenced nvidia-smi",
    ),
    stop("no_foreign_driver", "the repository alone", installed(DONE, cuda_keyring="1.1-1"), "cuda-keyring"),
    ok("gpu_idle_before_driver_change", "idle", BARE),
    ok(
        "gpu_idle_before_driver_change",
        "in use, nothing changes",
        debian_13_converged(driver__holders=holders("python3 serve.py")),
    ),
    ok("gpu_idle_before_driver_change", "unsupported distribution", changed(EMPTY, driver__holders=holders("python3"))),
    *(
        ok("gpu_idle_before_driver_change", f"{command!r} lets go", debian_12_bare(driver__holders=holders(command)))
        for command in (
            "/usr/bin/nvidia-persistenced --user nvpd",
            "nvidia-persistenced",
            "nvidia-persiste",
            "/usr/bin/nvidia-persistenced --user nvpd --socket /run/other",
        )
    ),
    stop(
        "gpu_idle_before_driver_change",
        "driver missing, GPU in use",
        debian_12_bare(driver__holders=holders("python3 serve.py", "nvidia-persistenced")),
        "python3 serve.py (pid 100, alice)",
        "because the driver changes",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "a name that only looks like the daemon's",
        debian_12_bare(driver__holders=holders("python3 /tmp/nvidia-persistenced")),
        "python3 /tmp/nvidia-persistenced",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "another driver is loaded than the one on disk",
        debian_13_converged(driver__loaded="550.90.07", driver__holders=holders("ollama serve")),
        "ollama serve",
        "reboot",
    ),
    ok(
        "gpu_idle_before_driver_change",
        "the same, but no reboot is allowed",
        debian_13_converged(driver__loaded="550.90.07", driver__holders=holders("ollama serve")),
        reboot="never",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "nothing known of the process",
        debian_12_bare(driver__holders=(Process(7, None, None),)),
        "? (pid 7, ?)",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "many",
        debian_12_bare(driver__holders=holders(*(f"job-{n}" for n in range(9)))),
        "job-4",
        "and 4 more",
    ),
]

HALF = ("nvidia-kernel-dkms is half-configured", "libcuda1 is unpacked")
LOCKS = (Lock("/var/lib/dpkg/lock-frontend", 812, "apt-get"), Lock("/var/lib/dpkg/lock", 812, "apt-get"))
BOOKWORM = "deb http://deb.example.org/debian bookworm main\n"

PACKAGES = [
    ok("package_database_healthy", "healthy", BARE),
    stop(
        "package_database_healthy",
        "half-configured",
        debian_12_bare(packages__healthy=False, packages__problems=HALF),
        "nvidia-kernel-dkms is half-configured; libcuda1 is unpacked",
        "dpkg --configure -a",
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
    stop(
        "headers_available",
        "an old kernel",
        changed(BARE, packages__candidates={"linux-headers-6.1.0-50-amd64": ""}),
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
            packages__candidates={"linux-headers-6.1.0-50-cloud-amd64": ""},
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
            packages__candidates={"linux-headers-6.9.1-custom": ""},
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
            packages__candidates={"linux-headers-6.1.0-50-amd64": "", "linux-headers-6.1.0-49-amd64": ""},
        ),
        "6.1.0-50-amd64, 6.1.0-49-amd64",
    ),
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
    ok("cuda_newer_than_11_3", "11.8", BARE),
    ok("cuda_newer_than_11_3", "the archive's by number", DONE, cuda=("12.4",)),
    ok("cuda_newer_than_11_3", "none wanted", BARE, cuda=None),
    ok("cuda_newer_than_11_3", "not part of the profile", BARE, profile="containers"),
    ok("cuda_newer_than_11_3", "unsupported distribution", EMPTY),
    stop(
        "cuda_newer_than_11_3", "12.4 on Debian 12", BARE, "12.4", "carries 11.8", 'gpu_cuda = "11.8"', cuda=("12.4",)
    ),
    stop("cuda_newer_than_11_3", "two at once", DONE, "asks for 12.9, 13.0;", cuda=("12.4", "12.9", "13.0")),
    ok("sources_offered", "the distribution's", BARE),
    stop("sources_offered", "NVIDIA's driver", BARE, 'gpu_driver_source = "nvidia"', driver_source="nvidia"),
    stop(
        "sources_offered",
        "everything",
        BARE,
        'gpu_driver_source = "nvidia", gpu_docker_source = "docker", gpu_container_runtime = "aur"',
        driver_source="nvidia",
        docker_source="docker",
        container_runtime="aur",
    ),
]

CONTAINERS = [
    ok("no_podman_or_snap_docker", "none", BARE),
    ok("no_podman_or_snap_docker", "Docker", DONE),
    ok(
        "no_podman_or_snap_docker",
        "podman without Docker wanted",
        debian_12_bare(docker__impostor="podman"),
        profile="raw",
    ),
    stop(
        "no_podman_or_snap_docker",
        "podman",
        debian_12_bare(docker__impostor="podman"),
        "is podman",
        "apt-get purge podman-docker",
    ),
    stop("no_podman_or_snap_docker", "snap", debian_12_bare(docker__impostor="snap"), "is snap", "snap remove docker"),
    stop("no_podman_or_snap_docker", "another", debian_12_bare(docker__impostor="nerdctl"), "nerdctl"),
    ok("docker_at_least_19_03", "none yet", BARE),
    ok("docker_at_least_19_03", "26.1", DONE),
    ok("docker_at_least_19_03", "exactly", debian_12_bare(docker__engine="19.03.0")),
    ok("docker_at_least_19_03", "old, not wanted", debian_12_bare(docker__engine="18.09.1"), profile="raw"),
    stop("docker_at_least_19_03", "18.09", debian_12_bare(docker__engine="18.09.1"), "18.09.1", "19.03 or newer"),
    stop("docker_at_least_19_03", "old client, engine stopped", debian_12_bare(docker__client="18.06.3-ce"), "18.06.3"),
    warn("docker_security_floor", "the archive's engine", BARE, "20.10.24", "29.5.1"),
    warn("docker_security_floor", "the engine there", DONE, "26.1.5"),
    ok("docker_security_floor", "a new engine", debian_13_converged(docker__engine="29.6.0")),
    ok("docker_security_floor", "not wanted", BARE, profile="raw"),
    ok("daemon_json_readable", "none", BARE),
    ok("daemon_json_readable", "ours", DONE),
    ok(
        "daemon_json_readable",
        "damaged, and not ours to edit",
        debian_12_bare(**daemon_json("{")),
        container_runtime=None,
    ),
    stop(
        "daemon_json_readable", "Docker unknown", debian_12_bare(docker__daemon_json_exists=None), "could not be read"
    ),
    stop("daemon_json_readable", "unreadable", debian_12_bare(**daemon_json(None)), "could not be read as text"),
    stop("daemon_json_readable", "no content at all", debian_12_bare(docker__daemon_json_exists=True), "as text"),
    *(
        ok("daemon_json_readable", name, debian_12_bare(**daemon_json(text)))
        for name, text in [
            ("empty", ""),
            ("blank", " \n\n"),
            ("an empty object", "{}"),
            ("other keys", '{"log-driver": "journald", "runtimes": {"crun": {"path": "/usr/bin/crun"}}}'),
        ]
    ),
    *(
        stop("daemon_json_readable", name, debian_12_bare(**daemon_json(text)), word)
        for name, text, word in [
            ("a list", "[]", "holds a list, not an object"),
            ("null", "null", "holds null, not an object"),
            ("a number", "1", "holds a number, not an object"),
            ("a string", '"debug"', "holds a string, not an object"),
            ("a byte order mark", '\ufeff{"debug": true}', "BOM"),
            ("a comment", '{\n  // debugging\n  "debug": true\n}', "line 2"),
            ("a trailing comma", '{"debug": true,}', "not valid JSON"),
            ("single quotes", "{'debug': true}", "not valid JSON"),
            ("a key twice", '{"runtimes": {}, "runtimes": {"a": {"path": "b"}}}', "'runtimes'"),
            ("a key twice, deep inside", '{"log-opts": {"a": "1", "a": "2"}}', "'a'"),
            ("two documents", '{"debug": true}\n{"debug": false}', "not valid JSON"),
            ("cut off", '{"debug": tr', "not valid JSON"),
            ("runtimes as a list", '{"runtimes": ["nvidia"]}', '"runtimes" is not an object'),
            ("runtimes as null", '{"runtimes": null}', '"runtimes" is not an object'),
            ("not a number", '{"a": NaN}', "NaN"),
            ("a number without end", '{"a": 1e999}', "1e999"),
            ("nested without end", '{"a":' * 100_000, "nested too deeply"),
            ("nested deeper than can be written", '{"a":' * 990 + "1" + "}" * 990, "nested too deeply"),
        ]
    ),
]

CASES = [*PLATFORM, *GPU, *PACKAGES, *CONTAINERS]
FUNCTIONS = {check.name: check.function for check in CHECKS}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.check}: {c.name}")
def test_check(case: Case) -> None:
    finding = FUNCTIONS[case.check](case.machine, case.settings)
    assert (finding.level if finding else None) == case.level
    if finding is None:
        return
    assert finding.check == case.check
    text = f"{finding.found}\n{finding.needed}\n{finding.fix}"
    assert [word for word in case.words if word not in text] == []
    assert all(part.strip() and "None" not in part.replace("gpu_cuda = None", "") for part in text.split("\n"))


def test_every_check_has_a_passing_and_a_failing_row() -> None:
    passing = {c.check for c in CASES if c.level is None}
    failing = {c.check for c in CASES if c.level is not None}
    assert passing == failing == CHECK_NAMES


def test_row_names_are_unique() -> None:
    rows = [(c.check, c.name) for c in CASES]
    assert len(rows) == len(set(rows))


def test_a_bare_and_a_converged_host_are_not_refused() -> None:
    assert [f for m in (BARE, DONE) for f in judge(m, Settings()) if f.stops] == []


def test_all_findings_are_reported_in_the_order_of_the_checks() -> None:
    machine = debian_12_bare(
        platform__uid=1000, platform__secure_boot=True, pci=(), packages__healthy=False, docker__impostor="podman"
    )
    found = [f.check for f in judge(machine, Settings()) if f.stops]
    assert found == [
        "runs_as_root",
        "secure_boot_allows_modules",
        "nvidia_gpu_present",
        "package_database_healthy",
        "no_podman_or_snap_docker",
    ]


def test_nothing_known_is_refused() -> None:
    findings = judge(EMPTY, Settings())
    assert {"linux_x86_64", "kernel_at_least_3_10", "distro_supported", "nvidia_gpu_present"} <= {
        f.check for f in findings if f.stops
    }


@pytest.mark.parametrize("name", sorted(CHECK_NAMES))
def test_accepting_works_by_name_and_only_where_it_is_harmless(name: str) -> None:
    case = next(c for c in CASES if c.check == name and c.level is not None)
    others = tuple(sorted(CHECK_NAMES - {name}))
    plain = {f.check: f for f in judge(case.machine, case.settings)}[name]
    accepted = {f.check: f for f in judge(case.machine, replace(case.settings, accept=(name,)))}[name]
    not_named = {f.check: f for f in judge(case.machine, replace(case.settings, accept=others))}[name]
    assert accepted.accepted is (name in WAIVABLE)
    assert accepted.stops is (accepted.level == "stop" and name not in WAIVABLE)
    assert not_named == plain
    assert replace(accepted, accepted=False) == plain


def test_checks_that_guard_the_host_say_why_they_cannot_be_accepted() -> None:
    assert {c.name for c in CHECKS if c.never} == CHECK_NAMES - WAIVABLE
    assert "gpu_idle_before_driver_change" in WAIVABLE
    assert "no_foreign_driver" not in WAIVABLE


def test_a_driver_that_dkms_has_built_is_no_foreign_driver() -> None:
    machine = changed(DONE, driver__dkms=(DkmsEntry("nvidia-current", "550.163.01", "", "added"),))
    assert FUNCTIONS["no_foreign_driver"](from_origin(machine, DEBIAN, "libcuda1"), Settings()) is None
