"""What a system needs beside its driver, by its chips and switches."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from deploys.knowledge.fabric import BY_GPU, BY_SWITCH
from deploys.knowledge.managers import MANAGERS
from deploys.plan.driver_fabric import find_board, mig_rule, plan_fabric
from tests.plan.hosts import A100, B200, GH200, GTX_1080, H100, NVSWITCH, RTX_5090, T4, V100, debian_12_bare, gpus

GB200, B300, GB300, GB10, THOR, RTX_PRO_6000 = 0x2941, 0x3182, 0x31C2, 0x2E12, 0x2B00, 0x2BB1
SWITCH_1, SWITCH_2, SWITCH_NEW = 0x1AC2, 0x1AF1, 0x2BFF


@pytest.mark.parametrize(
    ("devices", "switches", "system", "packages", "units"),
    [
        ((T4,), (), "", (), ()),
        ((H100,), (), "", (), ()),
        ((RTX_5090,), (), "", (), ()),
        (
            (V100,), (SWITCH_1,), "HGX-2", ("nvidia-fabricmanager-580=580.1", "libnvidia-nscq-580=580.1"),
            ("nvidia-fabricmanager.service",),
        ),
        (
            (A100,), (SWITCH_2,), "HGX A100", ("nvidia-fabricmanager-580=580.1", "libnvidia-nscq-580=580.1"),
            ("nvidia-fabricmanager.service",),
        ),
        (
            (H100,), (NVSWITCH,), "HGX H100", ("nvidia-fabricmanager-580=580.1", "libnvidia-nscq-580=580.1"),
            ("nvidia-fabricmanager.service",),
        ),
        (
            (H100,), (SWITCH_NEW,), "unknown kind", ("nvidia-fabricmanager-580=580.1", "libnvidia-nscq-580=580.1"),
            ("nvidia-fabricmanager.service",),
        ),
        *(
            (
                (device,), (), "NVLink 5",
                ("nvidia-fabricmanager-580=580.1", "libnvsdm-580=580.1", "nvlsm=", "infiniband-diags="), ("nvidia-fabricmanager.service",),
            )
            for device in (B200, B300)
        ),
        *(((d,), (), "NVL rack", ("nvidia-imex-580=580.1",), ("nvidia-imex.service",)) for d in (GB200, GB300)),
        ((GH200,), (), "Grace Hopper", (), ()),
        ((GB10,), (), "GB10", (), ()),
        ((THOR,), (), "Jetson", (), ()),
    ],
)  # fmt: skip
def test_components_have_the_drivers_full_version(
    devices: tuple[int, ...], switches: tuple[int, ...], system: str, packages: tuple[str, ...], units: tuple[str, ...]
) -> None:
    bus = tuple(replace(d, class_code=0x068000) if d.device in switches else d for d in gpus(*devices, *switches))
    plan = plan_fabric(debian_12_bare(pci=bus), "580", "580.1")
    assert (system in plan.system, bool(plan.system)) == (True, bool(system))
    assert tuple(f"{c.package}={c.version}" for c in plan.components) == packages
    assert plan.units == units
    assert len(plan.rules) == len(packages) + bool(system)
    assert ("ib_umad" in plan.kernel_modules) is ("nvlsm=" in packages)


@pytest.mark.parametrize(
    ("manager", "branch", "names"),
    [
        ("apt", "580", ("nvidia-fabricmanager-580", "libnvsdm-580", "nvlsm", "infiniband-diags")),
        ("dnf4", "570", ("nvidia-fabric-manager", "libnvsdm-570", "nvlsm", "infiniband-diags")),
        ("dnf4", "580", ("nvidia-fabricmanager", "libnvsdm", "nvlsm", "infiniband-diags")),
        ("zypper", "580", ("nvidia-fabricmanager", "libnvsdm", "nvlsm", "infiniband-diags")),
    ],
)
def test_package_names_go_with_their_form(manager: str, branch: str, names: tuple[str, ...]) -> None:
    host = debian_12_bare(pci=gpus(B200), packages__manager=manager)
    plan = plan_fabric(host, branch, f"{branch}.1")
    assert tuple(c.package for c in plan.components) == names
    # One transaction may replace those of another branch.
    assert [
        c.package for c in plan.components if c.version and not re.search(MANAGERS[manager].may_remove, c.package)
    ] == []


def test_gpus_whose_switches_are_elsewhere_need_no_fabric_manager() -> None:
    def systems(switched: bool | None) -> tuple[str, int]:
        plan = plan_fabric(
            debian_12_bare(pci=[replace(d, switched=switched) for d in gpus(B200, B200)]), "580", "580.1"
        )
        return plan.system, len(plan.components)

    assert systems(True) == systems(None) == ("HGX or DGX B200, B300 (NVLink 5)", 4)
    assert systems(False) == ("B200 or B300 without its switches", 0)
    rack = plan_fabric(debian_12_bare(pci=[replace(d, switched=False) for d in gpus(GB200)]), "580", "580.1")
    assert rack.units == ("nvidia-imex.service",)


def test_package_names_lose_the_branch_at_590() -> None:
    host = debian_12_bare(pci=gpus(H100, NVSWITCH))
    assert [c.package for c in plan_fabric(host, "590", "590.48.01").components] == [
        "nvidia-fabricmanager",
        "libnvidia-nscq",
    ]


@pytest.mark.parametrize(
    ("device", "capable"),
    [
        (A100, True),
        (H100, True),
        (B200, True),
        (GH200, True),
        (RTX_PRO_6000, True),
        (T4, False),
        (GTX_1080, False),
        (RTX_5090, False),
        (0x2082, False),
    ],
)
def test_which_gpus_can_be_partitioned(device: int, capable: bool) -> None:
    assert (mig_rule(debian_12_bare(pci=gpus(device))) is not None) is capable


def test_boards_are_told_by_their_kernel() -> None:
    assert find_board("5.15.148-tegra") is not None
    assert [find_board(k) for k in (None, "", "6.8.0-60-generic", "6.8.0-tegra-like")] == [None] * 4


def test_every_system_has_a_reason_and_a_source() -> None:
    assert all(s.name and s.why and s.source.title for s in (*BY_GPU, *BY_SWITCH))
