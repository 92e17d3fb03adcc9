"""Checks of drivers: the one that fits, and the one that is there."""

from __future__ import annotations

from deploys.plan.machine import Machine, Package, Process
from tests.plan.hosts import (
    A100,
    B200,
    GTX_980,
    GTX_1080,
    H100,
    K80,
    L4,
    NVSWITCH,
    RTX_5090,
    UNKNOWN_GPU,
    V100,
    changed,
    debian_12_bare,
    debian_13_converged,
    from_origin,
    gpus,
    holders,
    installed,
    offered,
)
from tests.plan.rows.case import BARE, CUDA_REPOSITORY, DONE, EMPTY, ok, stop, warn

EMPTY_13 = changed(debian_13_converged(), packages__installed={}, packages__candidates={})


def on_kernel(machine: Machine, release: str) -> Machine:
    """The host with this kernel running, and none other to come."""
    return changed(machine, kernels__running=release, kernels__default=release)


DRIVER = [
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
    stop(
        "driver_fits_gpus",
        "Volta beside Blackwell",
        debian_13_converged(pci=gpus(V100, B200)),
        "Volta",
        "Blackwell",
        "another host",
    ),
    ok("kernel_fits_driver", "6.1 and branch 535", BARE),
    ok("kernel_fits_driver", "the proprietary modules on a new 6.12", on_kernel(EMPTY_13, "6.12.117+deb13-amd64")),
    ok(
        "kernel_fits_driver",
        "the open modules on an older 6.12",
        on_kernel(EMPTY_13, "6.12.96+deb13-amd64"),
        kernel_modules="open",
    ),
    ok("kernel_fits_driver", "a driver that does not fit is another check's", debian_12_bare(pci=gpus(K80))),
    ok("kernel_fits_driver", "newer than known, and built already", on_kernel(DONE, "6.12.107+deb13-amd64")),
    *(
        stop(
            "kernel_fits_driver",
            f"the open modules on {kernel}",
            on_kernel(EMPTY_13, kernel),
            kernel,
            "pci_resize_resource",
            "proprietary",
            kernel_modules="open",
        )
        for kernel in ("6.12.97+deb13-amd64", "6.12.117+deb13-amd64", "6.18.40", "6.19.0", "7.3.4+deb13-amd64")
    ),
    warn(
        "kernel_fits_driver",
        "a backported kernel",
        on_kernel(EMPTY_13, "7.3.4+deb13-amd64"),
        "7.3.4+deb13-amd64",
        "6.12",
        "rehearsal",
    ),
    stop(
        "kernel_fits_driver",
        "branch 580 on an ancient kernel",
        on_kernel(offered(BARE, nvidia_kernel_dkms="580.159.03-1", libcuda1="580.159.03-1"), "4.14.336"),
        "4.15",
    ),
    ok("fabric_manager_available", "no switches", BARE),
    stop("fabric_manager_available", "NVLink 5", debian_12_bare(pci=gpus(B200)), "B200", "NVLSM", "Fabric Manager"),
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
    ok("module_flavour_kept", "the installed flavour", DONE),
    ok("module_flavour_kept", "nothing installed", BARE),
    stop(
        "module_flavour_kept",
        "the other flavour is asked for",
        DONE,
        "nvidia-kernel-dkms is installed",
        "open kernel modules",
        "apt-get purge nvidia-kernel-dkms",
        kernel_modules="open",
    ),
]
