"""Which module flavour and which driver: a row per kind of host."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from deploys.plan.driver import choose_flavour
from deploys.plan.driver_source import choose_driver
from deploys.plan.machine import Machine
from deploys.plan.settings import Settings
from tests.plan.hosts import (
    A100,
    GH200,
    GTX_1080,
    H100,
    L4,
    NVSWITCH,
    RTX_5090,
    T4,
    UNKNOWN_GPU,
    V100,
    changed,
    debian_12_bare,
    debian_13_converged,
    distro_of,
    gpus,
    installed,
    offered,
)

BARE = debian_12_bare()
EMPTY_13 = changed(debian_13_converged(), packages__installed={}, packages__candidates={})
AUTO, OPEN, PROPRIETARY = Settings(), Settings(kernel_modules="open"), Settings(kernel_modules="proprietary")


@pytest.mark.parametrize(
    ("devices", "settings", "flavour", "words"),
    [
        ((T4,), AUTO, "proprietary", ("every GPU here allows them", "Turing")),
        ((GTX_1080, V100, H100), AUTO, "proprietary", ("Hopper, Pascal, Volta",)),
        ((A100, NVSWITCH), AUTO, "proprietary", ("Ampere",)),
        ((UNKNOWN_GPU,), AUTO, "proprietary", ("the GPU",)),
        ((), AUTO, "proprietary", ()),
        ((RTX_5090,), AUTO, "open", ("Blackwell runs on no others",)),
        ((RTX_5090, A100), AUTO, "open", ("Blackwell",)),
        ((GH200,), AUTO, "open", ("Grace Hopper",)),
        ((T4,), OPEN, "open", ("asked for",)),
        ((A100,), PROPRIETARY, "proprietary", ("asked for",)),
        ((GTX_1080,), PROPRIETARY, "proprietary", ("asked for",)),
        ((RTX_5090,), OPEN, "open", ("asked for",)),
    ],
)
def test_flavour_is_chosen_with_a_reason(
    devices: tuple[int, ...], settings: Settings, flavour: str, words: tuple[str, ...]
) -> None:
    choice = choose_flavour(debian_12_bare(pci=gpus(*devices)), settings)
    assert (choice.flavour, choice.problem) == (flavour, "")
    assert all(word in " ".join(choice.why) for word in words)
    assert choice.why


@pytest.mark.parametrize(
    ("devices", "settings", "words"),
    [
        (
            (RTX_5090,),
            PROPRIETARY,
            ('gpu_kernel_modules = "proprietary"', "Blackwell", 'set gpu_kernel_modules = "open"'),
        ),
        ((A100, GH200), PROPRIETARY, ("Grace Hopper", "open modules")),
        ((GTX_1080,), OPEN, ('gpu_kernel_modules = "open"', "Pascal", 'set gpu_kernel_modules = "proprietary"')),
        ((A100, V100), OPEN, ("Volta",)),
        *(
            ((RTX_5090, GTX_1080), s, ("Blackwell", "Pascal", "move the Pascal GPUs"))
            for s in (AUTO, OPEN, PROPRIETARY)
        ),
    ],
)
def test_a_flavour_that_a_gpu_cannot_use_is_refused(
    devices: tuple[int, ...], settings: Settings, words: tuple[str, ...]
) -> None:
    choice = choose_flavour(debian_12_bare(pci=gpus(*devices)), settings)
    text = f"{choice.problem}\n{choice.needed}\n{choice.fix}"
    assert choice.flavour == ""
    assert [word for word in words if word not in text] == []


@dataclass(frozen=True)
class Fit:
    """A host whose driver is chosen: `version` empty means refused; `words` stand in its reason or refusal."""

    name: str
    machine: Machine
    version: str = ""
    words: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    no_words: tuple[str, ...] = ()


FITS = [
    Fit("bare Debian 12: what is known of the archive", BARE, "535.309.01", ("branch 535: the security suite",)),
    Fit("bare Debian 13", EMPTY_13, "550.163.01", ("branch 550: the only branch",)),
    Fit("open on Debian 13", EMPTY_13, "550.163.01", ("asked for",), OPEN),
    Fit("installed", debian_13_converged(), "550.163.01"),
    Fit("its own index is ahead", offered(BARE, nvidia_kernel_dkms="535.320.01-1", libcuda1="535.320.01-1"), "535.320.01", ("own package index",)),
    Fit("an epoch is no version", offered(BARE, nvidia_kernel_dkms="1:535.320.01-1", libcuda1="535.320.01-1+b2"), "535.320.01"),
    Fit("its own index has another branch", offered(BARE, nvidia_kernel_dkms="580.95.05-1", libcuda1="580.95.05-1"), "580.95.05", ("branch 580",)),
    Fit("the same branch asked for", BARE, "535.309.01", (), Settings(driver_branch="535")),
    Fit("the same version asked for", BARE, "535.309.01", (), Settings(driver_branch="535.309.01")),
    Fit("several GPUs", debian_12_bare(pci=gpus(T4, A100, L4)), "535.309.01", ("Ada, Ampere, Turing",)),
    *(
        Fit(f"pin {pin}", BARE, "", (f'"{pin}"', "535.309.01", 'set gpu_driver_branch = "535"'), Settings(driver_branch=pin))
        for pin in ("580", "535.309", "535.309.1", "535.309.010", "535.261.03", "53")
    ),
    Fit(
        "a pin that the host's own index has moved away from",
        offered(BARE, nvidia_kernel_dkms="580.95.05-1", libcuda1="580.95.05-1"),
        "",
        ('"535"', "580.95.05", 'set gpu_driver_branch = "580"'),
        Settings(driver_branch="535"),
    ),
    Fit(
        "open on Debian 12, from what is known",
        BARE,
        "",
        ("535.261.03", "535.309.01", "the older one, 535.261.03", 'set gpu_kernel_modules = "proprietary"'),
        OPEN,
    ),
    Fit(
        "open on Debian 12, from its own index",
        offered(BARE, nvidia_open_kernel_dkms="535.261.03-1", nvidia_kernel_dkms="535.309.01-1", libcuda1="535.309.01-1"),
        "",
        ("535.261.03", 'set gpu_kernel_modules = "proprietary"'),
        OPEN,
    ),
    Fit(
        "the archive has moved the open modules too",
        offered(BARE, nvidia_open_kernel_dkms="535.309.01-1", libcuda1="535.309.01-1"),
        "535.309.01",
        (),
        OPEN,
    ),
    Fit(
        "versions are numbers, not words",
        offered(EMPTY_13, nvidia_kernel_dkms="550.54.15-1", libcuda1="550.163.01-1"),
        "",
        ("the older one, 550.54.15", "wait until"),
    ),
    Fit(
        "half an upgrade, which the index completes",
        offered(installed(BARE, libcuda1="535.247.01-1"), nvidia_kernel_dkms="535.309.01-1", libcuda1="535.309.01-1"),
        "",
        ("535.247.01", "535.309.01", "apt-get update && apt-get install nvidia-kernel-dkms libcuda1"),
        no_words=("set gpu_kernel_modules",),
    ),
    Fit(
        "a GPU that must have the open modules gets no advice to leave them",
        debian_12_bare(pci=gpus(GH200)),
        "",
        ("535.261.03", "wait until"),
        no_words=("set gpu_kernel_modules",),
    ),
    Fit("too new a GPU is named before the archive's troubles", debian_12_bare(pci=gpus(T4, RTX_5090)), "", ("10de:2b85", "needs branch 570")),
    Fit("unknown GPU", debian_12_bare(pci=gpus(T4, UNKNOWN_GPU)), "", ("10de:7fff at 0000:02:00.0", "gpus.py")),
    Fit("a GPU that the branch has dropped", offered(debian_12_bare(pci=gpus(V100)), nvidia_kernel_dkms="590.48.01-1", libcuda1="590.48.01-1"), "", ("last carried by branch 580", "590")),
]  # fmt: skip


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.name)
def test_driver(fit: Fit) -> None:
    distro = distro_of(fit.machine)
    choice = choose_driver(fit.machine, fit.settings, distro)
    text = "\n".join((*choice.why, choice.problem, choice.needed, choice.fix))
    assert [word for word in fit.words if word not in text] == []
    assert [word for word in fit.no_words if word in text] == []
    assert choice.version == fit.version
    assert bool(choice.problem) is (fit.version == "")
    if choice.problem:
        assert choice.packages == ()
        assert choice.needed
        assert choice.fix
    else:
        assert choice.branch == fit.version.split(".")[0]
        assert distro.driver
        assert choice.packages == (*distro.driver.kernel_modules[choice.flavour], *distro.driver.user_space)
        assert choice.same_version[0] == choice.modules[0] == distro.driver.kernel_modules[choice.flavour][0]
