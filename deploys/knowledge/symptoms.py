"""What hosts say when their GPU does not work: the words, the cause behind them and the repair. One row per symptom."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.records import Source


@dataclass(frozen=True)
class Symptom:
    """`words` is a regular expression that a line of a log or of a program's output matches, whatever its case."""

    name: str
    words: str
    cause: str
    repair: str
    source: Source


def _issues(text: str) -> Source:
    return Source(f"github issues: {text}", "2026-11-22")


SYMPTOMS: tuple[Symptom, ...] = (
    Symptom(
        "version_mismatch",
        r"driver/library version mismatch",
        "the driver's libraries were upgraded while the old module stays loaded",
        "run deploys/gpu_host.py again: it loads the new module where nothing uses the old one, else it reboots once",
        _issues("pando85/homelab 4110, NVIDIA/deepops 1186"),
    ),
    Symptom(
        "module_absent",
        r"couldn't communicate with the nvidia driver",
        "the module is not loaded: mostly a new kernel without a module that was built for it",
        "run deploys/gpu_host.py again: it brings the kernel's headers, builds the module and says why where that fails",
        _issues("GoogleCloudPlatform/compute-gpu-installation 10, 18, 25; NVIDIA/ansible-role-nvidia-driver 18, 20"),
    ),
    Symptom(
        "container_lost_gpu",
        r"failed to initialize nvml: unknown error",
        "systemd has rewritten the device rules of a running container, which got its GPU behind the back of runc",
        "create the container anew with the arguments that the host's page (or ./provision access) prints",
        _issues("NVIDIA/nvidia-container-toolkit 48, 251, 1227"),
    ),
    Symptom(
        "docker_knows_no_gpu",
        r'could not select device driver ""|failed to discover gpu vendor from cdi',
        "the container toolkit is not there, dockerd has not read its configuration since, or another Docker (snap) answers",
        "run deploys/gpu_host.py again; remove a snap of Docker first: snap remove docker",
        _issues("NVIDIA/nvidia-docker 1352, 1637, 1642; docker/cli 2425"),
    ),
    Symptom(
        "cdi_off",
        r'could not select device driver "cdi"',
        "dockerd does not read CDI specifications: engines before 28.2 do so only when daemon.json says so, and only from their start on",
        "gpu_docker_cdi = True and run deploys/gpu_host.py again, or use the arguments that ./provision access prints",
        _issues("moby/moby 45192, 50054"),
    ),
    Symptom(
        "runtime_unknown",
        r"unknown or invalid runtime name: nvidia",
        "daemon.json was written anew by something else, or dockerd has not read it since",
        "run deploys/gpu_host.py again: it merges the runtime into daemon.json and has dockerd read it",
        _issues("NVIDIA/nvidia-container-toolkit 150, docker-snap 180, NVIDIA/nvidia-docker 838"),
    ),
    Symptom(
        "host_libraries_absent",
        r"load library failed: libnvidia-ml\.so\.1|libcuda\.so\.1: cannot open shared object file",
        "the host has no libraries of the driver, or the loader's cache does not know them",
        "ldconfig, then run deploys/gpu_host.py again",
        _issues("NVIDIA/libnvidia-container 231, NVIDIA/nvidia-docker 1711, NVIDIA/nvidia-container-toolkit 154"),
    ),
    Symptom(
        "wrong_module_flavour",
        r"does not include the required gpu system processor|requires use of the nvidia open kernel modules",
        "the module is of the flavour that this GPU does not run on: open ones need Turing or newer, Blackwell needs open ones",
        'set gpu_kernel_modules = "auto" and run deploys/gpu_host.py again',
        _issues("NVIDIA/open-gpu-kernel-modules 246, 322, 433; awslabs/amazon-eks-ami 2768"),
    ),
    Symptom(
        "gpu_does_not_start",
        r"rminitadapter failed|no devices were found",
        "the driver is loaded and cannot start the GPU: its firmware, its address space (BAR) or its power",
        "power the host off and on; then check 'Above 4G Decoding' in the firmware, seat and power of the card, and dmesg",
        _issues("NVIDIA/open-gpu-kernel-modules 789, 862"),
    ),
    Symptom(
        "key_rejected",
        r"key was rejected by service|required key not available",
        "Secure Boot is on and the module is signed with a key that the machine does not know",
        "mokutil --import /var/lib/dkms/mok.pub, reboot, and enrol the key at the console; or the distribution's signed modules",
        _issues("linux-surface 906, NVIDIA/gpu-driver-container 44"),
    ),
    Symptom(
        "card_is_taken",
        r"the nvidia probe routine was not called for",
        "another driver (nouveau, vfio-pci) holds the card",
        "run deploys/gpu_host.py again: it blocks nouveau in every boot image and reboots once; a card of vfio-pci is not its to take",
        _issues("NVIDIA/ansible-role-nvidia-driver 44"),
    ),
    Symptom(
        "fabric_down",
        r"error 802: system not yet initialized|cuda_error_system_not_ready|system not yet initialized",
        "a system with NVSwitch whose Fabric Manager does not run, or is not of the driver's very version",
        "run deploys/gpu_host.py again, then: systemctl status nvidia-fabricmanager",
        _issues("pytorch 35710, ollama 12136, gpustack 1254"),
    ),
    Symptom(
        "compiler_too_old",
        r"unrecognized command[- ]line option .-ftrivial-auto-var-init|failed cc version check",
        "the compiler of the host is older than the one that built the kernel",
        "install the compiler that the check compiler_fits_kernel names, then run deploys/gpu_host.py again",
        _issues("pop-os/pop 3117, GoogleCloudPlatform/compute-gpu-installation 15"),
    ),
    Symptom(
        "repository_key_rotated",
        r"no_pubkey [0-9a-f]*(a4b469963bf863cc|9cd0a493d42d0685|736a284b3a8b5622|90dfed2f73cd9b30)|sha1 is not considered secure",
        "NVIDIA has signed its repository with a newer key than the host has, or the host no longer takes SHA-1",
        "remove the old source and key of NVIDIA's repository, then run deploys/gpu_host.py again, which brings the key that it has pinned",
        _issues("NVIDIA/nvidia-docker 1631, NVIDIA/cuda-repo-management 4, 30, 39"),
    ),
    Symptom(
        "source_listed_twice",
        r"conflicting values set for option signed-by",
        "two files name the same repository with different keys",
        "keep one of them: grep -l nvidia /etc/apt/sources.list.d/*",
        _issues("NVIDIA/nvidia-container-toolkit 170, NVIDIA/libnvidia-container 194"),
    ),
    Symptom(
        "driver_in_use",
        r"driver kernel modules, driver is in use|kernel module 'nvidia-\w+' appears to already be loaded|module nvidia\w* is in use",
        "something holds the driver that was to be unloaded: the persistence daemon, DCGM, a display server, containers",
        "fuser -v /dev/nvidia* names the processes; end them in order, or reboot when it suits",
        _issues("NVIDIA/gpu-operator 304, 2166, 2570"),
    ),
    Symptom(
        "cdi_stale",
        r"unresolvable cdi devices? nvidia\.com/gpu",
        "the CDI specification is not there or not of this driver, or the engine is older than its schema",
        "systemctl restart nvidia-cdi-refresh.service (or nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml), then: nvidia-ctk cdi list",
        _issues("NVIDIA/nvidia-container-toolkit 1940, NVIDIA/gpu-operator 1876, kaito 2326"),
    ),
    Symptom(
        "cgroup_unknown_to_toolkit",
        r"cgroup subsystem devices not found",
        "the container toolkit is older than cgroup v2",
        "upgrade the NVIDIA Container Toolkit to 1.8 or newer",
        _issues("NVIDIA/nvidia-docker 1447, 1486, 1660"),
    ),
    Symptom(
        "gpu_fell_off_the_bus",
        r"gpu has fallen off the bus|xid \(pci:[0-9a-f:.]+\): 79\b",
        "the GPU no longer answers on the PCI bus: power, heat or the card itself",
        "drain the host and power it off and on; when it comes back, replace the card",
        _issues("NVIDIA/open-gpu-kernel-modules 507, leptonai/gpud 1209"),
    ),
    Symptom(
        "inforom_corrupted",
        r"inforom is corrupted",
        "the card's own memory is damaged",
        "return the card to its maker",
        _issues("Azure/AgentBaker, exit code 87"),
    ),
    Symptom(
        "image_needs_newer_driver",
        r"unsatisfied condition: cuda>=|cuda driver version is insufficient for cuda runtime version",
        "the image was made for a newer CUDA than this driver carries",
        "use an image for the CUDA version on the host's page, or a newer gpu_driver_branch",
        Source("NVIDIA Container Toolkit documentation, NVIDIA_REQUIRE_CUDA", "2026-11-22"),
    ),
)
