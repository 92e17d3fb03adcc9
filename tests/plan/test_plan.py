"""Plans of recorded hosts as pages, and what holds of every plan, however damaged the host's record is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from deploys.knowledge.paths import repository_files
from deploys.plan.checks import WAIVABLE, judge
from deploys.plan.describe import describe, describe_finding
from deploys.plan.files import digest
from deploys.plan.machine import Kernel, KernelModule, Machine, TextFile
from deploys.plan.plan import Plan, make_plan
from deploys.plan.reboot import reboot_reasons
from deploys.plan.settings import Mirror, Settings
from tests.plan.hosts import (
    A100,
    GTX_1080,
    H100,
    L4,
    NVSWITCH,
    RTX_5090,
    T4,
    changed,
    debian_12_bare,
    debian_13_converged,
    distro_of,
    gpus,
    installed,
    sources,
)

BARE, DONE = debian_12_bare(), debian_13_converged()
TOOLKIT_KEY, TOOLKIT_SOURCE = repository_files("apt", "nvidia-container-toolkit")
AFTER_A_KERNEL_UPDATE = "6.12.120+deb13-amd64"


def page(machine: Machine, wanted: Settings) -> str:
    """What a person sees of a host: its plan, or every finding that stands in its way."""
    findings = judge(machine, wanted)
    if any(f.stops for f in findings):
        return "\n".join(describe_finding(f, "host", f.check in WAIVABLE) for f in findings)
    return describe(make_plan(machine, wanted, distro_of(machine)), machine, "host", findings)


def plan_of(machine: Machine, **wanted: Any) -> Plan:
    return make_plan(machine, Settings(**wanted), distro_of(machine))


PAGES: dict[str, tuple[Machine, Settings]] = {
    "bare-t4": (BARE, Settings()),
    "bare-gtx1080-containers": (debian_12_bare(pci=gpus(GTX_1080)), Settings(profile="containers")),
    "bare-two-l4-raw-no-reboot": (debian_12_bare(pci=gpus(L4, L4)), Settings(profile="raw", reboot="never")),
    "bare-without-cuda-and-runtime": (BARE, Settings(cuda=None, container_runtime=None)),
    "bare-mirror": (BARE, Settings(mirrors={"nvidia-container-toolkit": Mirror("https://mirror.example/nct")})),
    "bare-hgx-accepted": (
        debian_12_bare(pci=gpus(*[H100] * 8, *[NVSWITCH] * 4)),
        Settings(expected_gpus=8, accept=("fabric_manager_available",)),
    ),
    "converged-a100": (DONE, Settings(expected_gpus=1)),
    "refused-switch-to-open": (DONE, Settings(kernel_modules="open")),
    "bare-with-docker-ce": (
        changed(installed(BARE, docker_ce="5:29.5.1-1", docker_compose_plugin="2.40.3-1"), docker__engine="29.5.1"),
        Settings(),
    ),
    "converged-after-a-kernel-update": (
        changed(
            DONE,
            kernels__default=AFTER_A_KERNEL_UPDATE,
            kernels__installed=(*DONE.kernels.installed, Kernel(AFTER_A_KERNEL_UPDATE, image=True, headers=False)),
        ),
        Settings(),
    ),
    "converged-driver-reload": (changed(DONE, driver__loaded="550.90.07"), Settings()),
    "refused-open-modules-of-debian-12": (BARE, Settings(kernel_modules="open")),
    "refused-everything-at-once": (
        debian_12_bare(
            platform__secure_boot=True,
            platform__container="lxc",
            pci=gpus(RTX_5090, driver="vfio-pci"),
            packages__healthy=False,
            packages__problems=("libcuda1 is half-configured",),
            docker__impostor="podman",
            driver__runfile="570.124.06",
        ),
        Settings(expected_gpus=2, cuda=("12.4",), docker_source="docker"),
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages(name: str, golden: Callable[[str, str], None]) -> None:
    golden(name, page(*PAGES[name]))


def test_a_converged_host_has_nothing_to_do() -> None:
    plan = plan_of(DONE)
    assert (plan.packages.missing, plan.packages.modules, plan.packages.download_bytes, plan.sources) == ((), (), 0, ())
    assert [f.path for f in plan.files if DONE.files[f.path].sha256 != digest(f.content)] == []
    assert (plan.reboot.needed, plan.outage) == (False, "none")


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        ({}, {"headers", "driver", "cuda", "docker", "compose", "runtime"}),
        ({"profile": "containers"}, {"headers", "driver", "docker", "compose", "runtime"}),
        ({"profile": "raw"}, {"headers", "driver", "cuda"}),
        ({"cuda": None}, {"headers", "driver", "docker", "compose", "runtime"}),
        ({"container_runtime": None}, {"headers", "driver", "cuda", "docker", "compose"}),
    ],
)
def test_a_profile_decides_the_parts(wanted: dict[str, Any], parts: set[str]) -> None:
    plan = plan_of(DONE, **wanted)
    assert {c.name for c in plan.capabilities if c.packages} == parts
    assert all(c.why and all(c.why) for c in plan.capabilities)
    assert (plan.docker, plan.runtime, plan.cuda) == ("docker" in parts, "runtime" in parts, "cuda" in parts)
    assert (TOOLKIT_KEY in {f.path for f in plan.files}) is ("runtime" in parts)
    assert ("docker.service" in plan.services) is ("docker" in parts)


def test_packages_are_wanted_once_and_missing_ones_are_wanted() -> None:
    for machine in (BARE, DONE, installed(BARE, dkms="3.0.10-8", gcc="4:12.2.0-3")):
        plan = plan_of(machine)
        assert len(plan.packages.wanted) == len(set(plan.packages.wanted))
        assert set(plan.packages.missing) | set(machine.packages.installed) >= set(plan.packages.wanted)
        assert not set(plan.packages.missing) & set(machine.packages.installed)
        assert set(plan.packages.modules) <= set(plan.packages.missing)


def test_a_half_installed_package_is_missing() -> None:
    half = replace(DONE.packages.installed["nvidia-smi"], status="rc ")
    machine = changed(DONE, packages__installed={**DONE.packages.installed, "nvidia-smi": half})
    assert plan_of(machine).packages.missing == ("nvidia-smi",)


@pytest.mark.parametrize(
    ("running", "default", "headers"),
    [
        ("6.1.0-50-amd64", "6.1.0-50-amd64", ["linux-headers-6.1.0-50-amd64", "linux-headers-amd64"]),
        ("6.1.0-50-amd64", "6.1.0-51-amd64", ["linux-headers-6.1.0-50-amd64", "linux-headers-6.1.0-51-amd64", "linux-headers-amd64"]),
        ("6.1.0-50-cloud-amd64", None, ["linux-headers-6.1.0-50-cloud-amd64", "linux-headers-cloud-amd64"]),
        ("6.1.0-50-rt-amd64", None, ["linux-headers-6.1.0-50-rt-amd64", "linux-headers-rt-amd64"]),
        ("6.9.1-custom", None, ["linux-headers-6.9.1-custom"]),
        (None, None, []),
    ],
)  # fmt: skip
def test_headers_of_the_running_and_the_next_kernel(
    running: str | None, default: str | None, headers: list[str]
) -> None:
    plan = plan_of(debian_12_bare(kernels__running=running, kernels__default=default, kernels__installed=()))
    assert [p for p in plan.packages.wanted if p.startswith("linux-headers")] == headers


def test_unknown_next_kernel_is_taken_to_be_the_newest() -> None:
    images = tuple(Kernel(f"6.1.0-{n}-amd64", image=True) for n in (9, 50, 18))
    machine = debian_12_bare(kernels__running="6.1.0-18-amd64", kernels__default=None, kernels__installed=images)
    assert machine.kernels.served == ("6.1.0-18-amd64", "6.1.0-50-amd64")
    assert "linux-headers-6.1.0-50-amd64" in plan_of(machine).packages.wanted


def test_a_source_of_the_toolkit_that_is_there_is_used() -> None:
    """A second file for the same URI with another key would make apt refuse all sources."""
    line = "deb [signed-by=/usr/share/keyrings/x.gpg] https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /"
    path = "/etc/apt/sources.list.d/nvidia-container-toolkit.list"
    there = changed(BARE, packages__sources=(*BARE.packages.sources, TextFile(path, f"{line}\n")))
    commented = changed(BARE, packages__sources=(*BARE.packages.sources, TextFile(path, f"# {line}\n")))
    assert TOOLKIT_SOURCE not in {f.path for f in plan_of(there).files}
    assert path in describe(plan_of(there), there, "host")
    assert TOOLKIT_SOURCE in {f.path for f in plan_of(commented).files}


def test_local_machine_is_not_promised_a_reboot() -> None:
    plan = make_plan(BARE, Settings(), distro_of(BARE), local=True)
    page = describe(plan, BARE, "host")
    assert "this machine is not rebooted by its own run" in page
    assert "the host reboots once" not in page


def test_the_source_file_names_the_mirror_and_its_key() -> None:
    plan = plan_of(BARE, mirrors={"nvidia-container-toolkit": Mirror("file:///srv/nct", "KEY TEXT", "AB" * 20)})
    files = {f.path: f.content for f in plan.files}
    assert files[TOOLKIT_KEY] == "KEY TEXT"
    assert "URIs: file:///srv/nct\n" in files[TOOLKIT_SOURCE]
    assert f"Signed-By: {TOOLKIT_KEY}\n" in files[TOOLKIT_SOURCE]


def test_sources_are_edited_in_place() -> None:
    plan = plan_of(debian_12_bare(packages__sources=sources("deb http://mirror.example/debian bookworm main\n")))
    assert [(f.path, f.content) for f in plan.sources] == [
        ("/etc/apt/sources.list", "deb http://mirror.example/debian bookworm main contrib non-free non-free-firmware\n")
    ]


def on_disk(version: str | None) -> tuple[Kernel, ...]:
    modules = (
        KernelModule("nvidia-current", "/m/nvidia-current.ko", version),
        KernelModule("nvidia-current-uvm", "/m/u"),
    )
    return (replace(DONE.kernels.installed[0], nvidia_modules=modules),)


@pytest.mark.parametrize(
    ("machine", "reasons"),
    [
        (DONE, []),
        (BARE, ["nouveau holds 0000:00:1e.0"]),
        (debian_12_bare(pci=gpus(T4, A100)), ["nouveau holds 0000:01:00.0, 0000:02:00.0"]),
        (debian_12_bare(pci=gpus(T4, driver="")), ["nouveau is loaded"]),
        (debian_12_bare(pci=gpus(T4, driver=""), nouveau__loaded=False), []),
        (debian_12_bare(pci=gpus(T4, driver=""), nouveau__loaded=None), []),
        (debian_12_bare(pci=None), ["nouveau is loaded"]),
        (changed(DONE, driver__loaded="550.90.07"), ["driver 550.90.07 is loaded, 550.163.01 is on disk"]),
        (changed(DONE, driver__loaded=""), []),
        (changed(DONE, driver__loaded=None), []),
        (changed(DONE, kernels__installed=on_disk(None)), []),
        (changed(DONE, kernels__installed=on_disk("550.163.01")), []),
        (changed(DONE, kernels__installed=on_disk("580.95.05")), ["driver 550.163.01 is loaded, 580.95.05 is on disk"]),
        (changed(DONE, kernels__installed=()), []),
        (
            changed(DONE, pci=gpus(A100), driver__loaded="550.90.07"),
            ["nouveau holds 0000:01:00.0", "driver 550.90.07 is loaded, 550.163.01 is on disk"],
        ),
        (Machine(), []),
    ],
)
def test_reboot_reasons(machine: Machine, reasons: list[str]) -> None:
    assert list(reboot_reasons(machine)) == reasons


@pytest.mark.parametrize(
    ("machine", "reboot", "needed", "outage"),
    [
        (BARE, "when-needed", True, "reboots once"),
        (BARE, "never", True, "none expected"),
        (debian_12_bare(pci=gpus(T4, driver=""), nouveau__loaded=False), "when-needed", False, "none expected"),
        (DONE, "never", False, "none"),
    ],
)
def test_outage(machine: Machine, reboot: str, needed: bool, outage: str) -> None:
    plan = plan_of(machine, reboot=reboot)
    assert plan.reboot.needed is needed
    assert plan.reboot.allowed is (reboot == "when-needed")
    assert outage in plan.outage
