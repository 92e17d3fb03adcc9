"""Systems whose GPUs need more than a driver: NVSwitch machines, Grace, Jetson, and GPUs that can be partitioned.

Ids are PCI device ids of vendor 10de. What is told by the product name alone is not in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploys.knowledge.records import Source

_IDS = Source("pci.ids 0.0~2026.10.24", "2026-11-22")
_EKS = Source("github awslabs/amazon-eks-ami, GPU runtime units", "2026-11-22")
_UMAD = Source(
    "github spectrocloud/CanvOS pull request 700 and siderolabs/docs pull request 581 (Fabric Manager's own words); "
    "github NVIDIA/deepops roles/nvidia-dgx; github NVIDIA/gpu-driver-container start scripts",
    "2026-11-27",
)
_HINT = Source("third-party lists; the ids are in no public PCI id list", "2026-11-22")
_JETSON = Source("NVIDIA Jetson Linux developer guide: the GPU driver is part of the board's own kernel", "2026-11-22")


# The branch from which on the names of packages no longer carry a branch, by the form of packages.
RENAMED_AT = {"deb": 590, "rpm": 580}
NAMES = Source("github NVIDIA/gpu-driver-container rhel8/install.sh, ubuntu22.04/Dockerfile", "2026-11-27")


@dataclass(frozen=True)
class Component:
    """Software that drives a fabric. `package` is its name from `RENAMED_AT` on, `old` those before it, by the form of packages.

    `exact`: its full version must be that of the driver.
    """

    name: str
    package: str
    old: Mapping[str, str]
    exact: bool
    unit: str
    why: str


def _by_branch(package: str) -> dict[str, str]:
    return dict.fromkeys(RENAMED_AT, f"{package}-{{branch}}")


FABRIC_MANAGER = Component(
    "Fabric Manager",
    "nvidia-fabricmanager",
    {"deb": "nvidia-fabricmanager-{branch}", "rpm": "nvidia-fabric-manager"},
    True,
    "nvidia-fabricmanager.service",
    "CUDA does not start behind NVSwitches until Fabric Manager of the driver's full version has set them up",
)
NSCQ = Component(
    "NSCQ",
    "libnvidia-nscq",
    _by_branch("libnvidia-nscq"),
    True,
    "",
    "monitoring reads the switches through it",
)
NVSDM = Component(
    "NVSDM", "libnvsdm", _by_branch("libnvsdm"), True, "", "monitoring reads NVLink 5 switches through it"
)
NVLSM = Component("NVLSM", "nvlsm", {}, False, "", "the subnet manager of NVLink 5; Fabric Manager starts it")
DIAGS = Component(
    "InfiniBand tools", "infiniband-diags", {}, False, "", "Fabric Manager's start script finds the switches by ibstat"
)
IMEX = Component(
    "IMEX",
    "nvidia-imex",
    _by_branch("nvidia-imex"),
    True,
    "nvidia-imex.service",
    "memory is shared between the trays of a rack through it",
)


@dataclass(frozen=True)
class System:
    """One kind of system.

    It is recognised by a chip (`chips`: how its code begins) that is part of a `system` ("" none), or by a switch of
    `switches`. `architecture` "" where it does not matter. `kernel_modules` are needed beside NVIDIA's.
    """

    name: str
    chips: tuple[str, ...]
    system: str
    switches: tuple[int, ...]
    components: tuple[Component, ...]
    kernel_modules: tuple[str, ...]
    architecture: str
    why: str
    source: Source


_ARM = "aarch64"
_RACK = (
    "a Grace superchip: its processor is 64-bit ARM; its switches are in trays of their own, which run Fabric Manager"
)
_NVLINK5 = "its switches appear as InfiniBand functions, not as NVIDIA devices"

# Systems that are told by their GPU; the first that fits is the host's.
BY_GPU: tuple[System, ...] = (
    System("Jetson", ("GB10B",), "Jetson", (), (), (), _ARM, "the GPU is part of a Jetson module", _JETSON),
    System("Grace Hopper (GH200)", ("GH",), "Grace", (), (), (), _ARM, "its processor is 64-bit ARM", _IDS),
    System("GB200 or GB300 (NVL rack)", ("GB",), "Grace", (), (IMEX,), (), _ARM, _RACK, _EKS),
    System("GB10 (Spark)", ("GB20B",), "GB10", (), (), (), _ARM, "a chip with a 64-bit ARM processor", _IDS),
    System(
        "HGX or DGX B200, B300 (NVLink 5)",
        ("GB100", "GB102", "GB110", "GB112"),
        "",
        (),
        (FABRIC_MANAGER, NVSDM, NVLSM, DIAGS),
        ("mlx5_core", "ib_umad"),
        "x86_64",
        _NVLINK5,
        _UMAD,
    ),
)

# The same GPUs in a virtual machine that was given no switches.
UNSWITCHED = System(
    "B200 or B300 without its switches",
    (),
    "",
    (),
    (),
    (),
    "x86_64",
    "no InfiniBand function here says SW_MNG: whoever has the switches runs Fabric Manager",
    Source(
        "github NVIDIA/gpu-driver-container pull request 246; Fabric Manager user guide, virtualization", "2026-11-27"
    ),
)

_SWITCH_SOFTWARE = (FABRIC_MANAGER, NSCQ)

# Systems that are told by their switches (vendor 10de, class 0680).
BY_SWITCH: tuple[System, ...] = (
    System("HGX-2 (V100)", (), "", (0x1AC0, 0x1AC1, 0x1AC2), _SWITCH_SOFTWARE, (), "", "NVSwitch 1", _HINT),
    System("HGX A100", (), "", (0x1AF1,), _SWITCH_SOFTWARE, (), "", "NVSwitch 2", _IDS),
    System("HGX H100 or H200", (), "", (0x22A3,), _SWITCH_SOFTWARE, (), "", "NVSwitch 3", _IDS),
)
UNKNOWN_SWITCH = System(
    "NVSwitch machine of unknown kind", (), "", (), _SWITCH_SOFTWARE, (), "", "its switch id is in no row", _IDS
)
# Chips whose boards may have NVSwitches of these kinds.
SWITCHED_CHIPS = frozenset({"GV100", "GA100", "GH100"})
SWITCH_IDS = frozenset(i for s in BY_SWITCH for i in s.switches)


@dataclass(frozen=True)
class Board:
    """A computer that does not use NVIDIA's PCI driver, told by its kernel: the release ends with `suffix`."""

    name: str
    suffix: str
    why: str
    fix: str
    source: Source


BOARDS: tuple[Board, ...] = (
    Board(
        "Jetson (Tegra)",
        "-tegra",
        "the GPU is part of the chip and its driver part of the board's own Linux; the PCI driver does not serve it",
        "install JetPack from NVIDIA's Jetson repository on that board; leave it out of this inventory",
        _JETSON,
    ),
)

# Chips that can be cut into instances (MIG): data-centre products of them, and other products by id.
MIG_CHIPS = frozenset({"GA100", "GH100", "GB100", "GB102", "GB110", "GB112"})
MIG_IDS = frozenset({0x2BB1, 0x2BB3, 0x2BB4, 0x2BB5})
MIG_SOURCE = Source("NVIDIA MIG user guide, supported GPUs; ids of RTX PRO Blackwell from pci.ids", "2026-11-22")
