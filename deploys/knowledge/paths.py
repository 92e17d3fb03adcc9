"""Paths on the host that this toolkit owns or reads. One list, so that probe, steps and uninstaller agree."""

LOG_DIR = "/var/log/gpu-host"
STATE_DIR = "/var/lib/gpu-host"
# The notes of a package transaction, there until it has come to its end.
NOTES_DIR = f"{STATE_DIR}/transaction"
# The package sources of a bundle (gpu_bundle) with their keys, for as long as a transaction lasts.
BUNDLE_DIR = f"{STATE_DIR}/bundle"
# The boot and the cause of the last reboot of ours, until that cause is gone.
REBOOT_RECORD = f"{STATE_DIR}/rebooted-for"
# There as long as the work of the host has been moved away (gpu_drain).
DRAIN_RECORD = f"{STATE_DIR}/drained"
# Which packages we hold, in which version and since when.
HOLDS_LEDGER = "/etc/gpu-host/holds"
# What the host consisted of when it was proven last, and before that (deploys/plan/proven.py has the format).
PROVEN_RECORD = f"{STATE_DIR}/proven.json"
PROVEN_BEFORE = f"{STATE_DIR}/proven-before.json"
# What is inside the boot images that were read, as long as they stay the same: "IDENTITY nouveau|- blocked|- PATH" a line.
BOOT_IMAGES = f"{STATE_DIR}/boot-images"
# What an uninstall may take back: packages that came with a transaction of ours ("NAME wanted|needed DAY"), parts of the host's own files
# before and after our edit (JSON, a line each), and units that we have enabled. Lines are added and never taken away.
INSTALLED_RECORD = f"{STATE_DIR}/installed"
EDITS_RECORD = f"{STATE_DIR}/edits"
ENABLED_RECORD = f"{STATE_DIR}/enabled"
# Sets that failed their proof and were given up for the proven one: "IDENTITY DAY WORDS" a line; no set is given up twice.
GIVEN_UP = f"{STATE_DIR}/given-up"
# Kernels: the one that we hold as default (and what stood there before), and the one on trial.
PIN_RECORD = f"{STATE_DIR}/pinned-kernel"
TRIAL_RECORD = f"{STATE_DIR}/kernel-trial"
# Forgotten at each boot: what long steps need and leave, and what holds for one boot only.
RUN_DIR = "/run/gpu-host"
# Who works on this host, renewed by each step; and the step that is at work now.
LEASE = f"{RUN_DIR}/lease"
# Seconds that it lives without a sign of life: a controller that died blocks a host no longer than this.
LEASE_SECONDS = 300
STEP_LOCK = f"{RUN_DIR}/lock"
# With what CUDA has worked in containers since this boot: "IDENTITY TIME all|but-reload".
CONTAINERS_PROVEN = f"{RUN_DIR}/containers-proven"
LOAD_TRIED = f"{RUN_DIR}/load-tried"
RELOAD_TRIED = f"{RUN_DIR}/reload-tried"

NOUVEAU_BLOCK = "/etc/modprobe.d/gpu-host-nouveau.conf"
# Device nodes, and links to them, at every boot and after every load of the driver.
DEVICES_SCRIPT = "/etc/gpu-host/devices"
DEVICES_UNIT = "/etc/systemd/system/gpu-host-devices.service"
# Kernel modules that Fabric Manager asks for, at every boot.
FABRIC_MODULES = "/etc/modules-load.d/gpu-host-fabric.conf"
# The rule about default kernels, and where it is asked: by GRUB's generator, and by what installs kernels.
KERNEL_GATE = "/etc/gpu-host/kernel-gate"
KERNEL_GATE_GRUB = "/etc/default/grub.d/gpu-host.cfg"
KERNEL_HOOKS = {
    "/etc/kernel/postinst.d": "/etc/kernel/postinst.d/zzz-gpu-host",
    "/etc/kernel/install.d": "/etc/kernel/install.d/zzz-gpu-host.install",
}
KERNEL_GATE_LOG = f"{LOG_DIR}/kernel-gate.log"
CUDA_PROFILE = "/etc/profile.d/gpu-host-cuda.sh"
CUDA_LOADER = "/etc/ld.so.conf.d/gpu-host-cuda.conf"
# The proxy of dockerd. The values are in a file of their own: what stands in a unit can be read by every user of the host.
DOCKER_PROXY_UNIT = "/etc/systemd/system/docker.service.d/gpu-host-proxy.conf"
DOCKER_PROXY_VALUES = "/etc/gpu-host/docker-proxy.env"
DAEMON_JSON = "/etc/docker/daemon.json"
# The container toolkit's own, which is read and left as it is.
TOOLKIT_CONFIG = "/etc/nvidia-container-runtime/config.toml"

# Vendors' repositories, and where each package manager looks for keys and sources.
REPOSITORIES = ("cuda", "docker", "nvidia-container-toolkit")
_FOLDERS = {
    "apt": ("/etc/apt/keyrings", "/etc/apt/sources.list.d", "sources"),
    "dnf4": ("/etc/pki/rpm-gpg", "/etc/yum.repos.d", "repo"),
    "dnf5": ("/etc/pki/rpm-gpg", "/etc/yum.repos.d", "repo"),
    "zypper": ("/etc/pki/rpm-gpg", "/etc/zypp/repos.d", "repo"),
}


def repository_files(manager: str, name: str) -> tuple[str, str]:
    """(key file, source file) of a vendor's repository on hosts with that package manager."""
    keys, sources, ending = _FOLDERS[manager]
    return f"{keys}/gpu-host-{name}.asc", f"{sources}/gpu-host-{name}.{ending}"


REPOSITORY_FILES = tuple(dict.fromkeys(f for m in _FOLDERS for name in REPOSITORIES for f in repository_files(m, name)))

# Files of ours that come with what a host runs, beside those whose state the probe reads.
SERVICES_FOLDER = "/etc/gpu-host/services"
MONITORING_FOLDER = "/etc/gpu-host/monitoring"
SERVICE_UNITS = "/etc/systemd/system/gpu-service-*.service"
# A machine that provisions itself (inventories/pull): its units, and its settings, which are its owner's.
PULL_UNITS = ("/etc/systemd/system/gpu-host-pull.timer", "/etc/systemd/system/gpu-host-pull.service")
PULL_CONFIG = "/etc/gpu-host/pull.json"
# Keeps the proven kernel installed; its text follows from the host's state.
KEEP_KERNEL = "/etc/apt/apt.conf.d/gpu-host-kernel"

# Whole files that are ours alone; the probe digests each of them.
OWNED_FILES = (
    NOUVEAU_BLOCK,
    DEVICES_SCRIPT,
    DEVICES_UNIT,
    FABRIC_MODULES,
    KERNEL_GATE,
    KERNEL_GATE_GRUB,
    *KERNEL_HOOKS.values(),
    KEEP_KERNEL,
    CUDA_PROFILE,
    CUDA_LOADER,
    DOCKER_PROXY_UNIT,
    DOCKER_PROXY_VALUES,
    *REPOSITORY_FILES,
)

# Steps that run as units of their own, gpu-host-STEP; they outlive the run that started them.
LONG_STEPS = ("rehearsal", "transaction", "initramfs", "holds", "removal", "rollback")


def unit_name(step: str) -> str:
    """Name of the transient unit of a step."""
    return f"gpu-host-{step}.service"


# Units whose state decides something.
UNITS = (
    "docker.service",
    "containerd.service",
    "gpu-host-devices.service",
    "nvidia-persistenced.service",
    "nvidia-cdi-refresh.service",
    "nvidia-fabricmanager.service",
    "nvidia-gridd.service",
    *map(unit_name, LONG_STEPS),
)

# Labels of the containers that this toolkit makes: the service, and the digest of its configuration.
SERVICE_LABEL, CONFIG_LABEL = "gpu-host.service", "gpu-host.config"
