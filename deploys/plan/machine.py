"""KNOW: the frozen record of one host, as the probe read it.

`None` in any field means *unknown* (the probe could not tell); it never means "no". Tuples are sorted unless a
field says otherwise. Versions are strings as the host writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploys.plan.kernels import BootLoader, Initramfs, Kernel, KernelModule, Kernels, is_core_module, release_order
from deploys.plan.lease import Lease
from deploys.plan.proven import ProvenSet, read_proven
from deploys.plan.record import Record
from deploys.plan.serving import (
    ContainerAnswer,
    ContainerProof,
    GpuProcess,
    MonitoringProof,
    Proof,
    ServiceAnswer,
    ServiceContainer,
    ServiceProof,
)
from deploys.plan.software import (
    ContainerToolkit,
    CudaToolkit,
    DkmsEntry,
    Docker,
    Driver,
    FileState,
    Filesystem,
    Footprint,
    Hold,
    Lock,
    Package,
    Packages,
    TextFile,
    UnitState,
)
from deploys.plan.work import Job, Process, Scheduler

__all__ = [
    "NVIDIA_VENDOR",
    "Boot",
    "BootLoader",
    "ContainerAnswer",
    "ContainerProof",
    "ContainerToolkit",
    "CudaToolkit",
    "Distribution",
    "DkmsEntry",
    "Docker",
    "Driver",
    "FileState",
    "Filesystem",
    "Footprint",
    "GpuProcess",
    "Hold",
    "Initramfs",
    "Job",
    "Kernel",
    "KernelModule",
    "Kernels",
    "Lease",
    "Lock",
    "Machine",
    "MonitoringProof",
    "Nouveau",
    "Package",
    "Packages",
    "PciDevice",
    "Platform",
    "Process",
    "Proof",
    "ProvenSet",
    "Record",
    "Scheduler",
    "ServiceAnswer",
    "ServiceContainer",
    "ServiceProof",
    "TextFile",
    "UnitState",
    "is_core_module",
    "read_proven",
    "release_order",
]

NVIDIA_VENDOR = 0x10DE


@dataclass(frozen=True)
class Distribution(Record):
    """`/etc/os-release` (source: os-release(5))."""

    id: str | None = None
    version: str | None = None
    codename: str | None = None
    like: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Platform(Record):
    """What kind of machine this is. `container` is "" outside containers; `immutable` is "" on ordinary systems.

    `dkms_key_enrolled`: the key that DKMS signs modules with is one that the firmware (shim) trusts.
    """

    system: str | None = None
    architecture: str | None = None
    virtualisation: str | None = None
    container: str | None = None
    wsl: bool | None = None
    immutable: str | None = None
    efi: bool | None = None
    secure_boot: bool | None = None
    lockdown: str | None = None
    dkms_key_enrolled: bool | None = None
    cgroup: int | None = None
    init: str | None = None
    overlayfs: bool | None = None
    uid: int | None = None


@dataclass(frozen=True)
class Boot(Record):
    """Identity of this boot, the boot in which this toolkit last asked for another and why ("" when that is gone); `clock` in seconds.

    `lease`: the run of this toolkit that works on the host, or did so last in this boot; `given_up`: sets that were rolled back.
    """

    boot_id: str | None = None
    uptime: float | None = None
    reboot_flags: tuple[str, ...] = ()
    rebooted_in: str = ""
    rebooted_for: str = ""
    drained: bool = False
    lease: Lease | None = None
    given_up: tuple[str, ...] = ()
    clock: float | None = None
    clock_synchronised: bool | None = None


@dataclass(frozen=True)
class PciDevice(Record):
    """One NVIDIA function from sysfs. `class_code` has 24 bits, e.g. 0x030200. `driver` is "" when none is bound.

    `vgpu`: a hypervisor shares it among its guests. `switched`: the switches of its NVLink 5 are on this bus too (GPUs of other kinds: None).
    """

    address: str
    vendor: int
    device: int
    class_code: int
    subsystem_vendor: int = 0
    subsystem_device: int = 0
    driver: str | None = None
    vgpu: bool = False
    switched: bool | None = None

    @property
    def id(self) -> str:
        return f"{self.vendor:04x}:{self.device:04x}"

    @property
    def is_gpu(self) -> bool:
        return self.vendor == NVIDIA_VENDOR and self.class_code >> 16 == 0x03

    @property
    def is_nvswitch(self) -> bool:
        """NVSwitch up to generation 3: class 0680 (source: NVIDIA open-gpu-kernel-modules, linux_nvswitch.c)."""
        return self.vendor == NVIDIA_VENDOR and self.class_code >> 8 == 0x0680


@dataclass(frozen=True)
class Nouveau(Record):
    """`blockers`: modprobe.d files on disk that block nouveau. `cmdline`: blocked on the kernel command line."""

    loaded: bool | None = None
    blockers: tuple[str, ...] = ()
    cmdline: bool | None = None


@dataclass(frozen=True)
class Machine(Record):
    """Everything the toolkit knows of one host. `unknown` names the subjects that could not be read, and why.

    `proven` is the host's own record of its last proof, `proven_before` that of the set before; None where there is none, or none that can be read.
    """

    distribution: Distribution = Distribution()
    kernels: Kernels = field(default_factory=Kernels)
    platform: Platform = Platform()
    boot: Boot = Boot()
    pci: tuple[PciDevice, ...] | None = None
    nouveau: Nouveau = Nouveau()
    filesystems: tuple[Filesystem, ...] = ()
    packages: Packages = field(default_factory=Packages)
    driver: Driver = field(default_factory=Driver)
    cuda: tuple[CudaToolkit, ...] | None = None
    docker: Docker = field(default_factory=Docker)
    toolkit: ContainerToolkit = field(default_factory=ContainerToolkit)
    files: Mapping[str, FileState] = field(default_factory=dict)
    units: Mapping[str, UnitState] = field(default_factory=dict)
    proven: ProvenSet | None = None
    proven_before: ProvenSet | None = None
    schedulers: tuple[Scheduler, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def gpus(self) -> tuple[PciDevice, ...]:
        return tuple(d for d in self.pci or () if d.is_gpu)

    @property
    def nvswitches(self) -> tuple[PciDevice, ...]:
        return tuple(d for d in self.pci or () if d.is_nvswitch)

    def filesystem(self, path: str) -> Filesystem | None:
        return next((f for f in self.filesystems if f.path == path), None)
