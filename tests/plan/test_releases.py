"""Every supported release: the plan of a bare host as a page, and that what it asks for is the end of asking."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploys.knowledge.distros import DISTROS, find_distro
from deploys.knowledge.managers import MANAGERS
from deploys.knowledge.records import Distro
from deploys.operations import packages
from deploys.plan.checks import WAIVABLE, judge
from deploys.plan.describe import describe, describe_finding
from deploys.plan.files import digest
from deploys.plan.machine import FileState, Initramfs, KernelModule, Machine, Package
from deploys.plan.plan import Plan, make_plan
from deploys.plan.settings import Mirror, Settings
from facts.packages import NAMES
from facts.probe import parse_machine
from inventories.releases import RELEASES, Release, recording
from tests.plan import gpg_keys
from tests.plan.hosts import B200, H100, NVSWITCH, gpus

SCRIPTS = Path(packages.__file__).parent / "scripts"

# A mirror of each repository, with a key of its own: what an operator brings where no key is shipped.
MIRRORS = {name: Mirror(f"https://mirror.example/{name}", gpg_keys.LIVING) for name in ("cuda", "docker")}


def bare(release: Release) -> Machine:
    return parse_machine(recording(release))


def room(release: Release) -> Distro:
    found = find_distro(release.id, release.version)
    assert found is not None
    return found


def settings(release: Release) -> Settings:
    """Mirrors for the repositories whose key is neither shipped nor known by its fingerprint."""
    repositories = room(release).repositories.items()
    lacking = {name for name, repository in repositories if not repository.key and not repository.fingerprint}
    return Settings(mirrors={name: mirror for name, mirror in MIRRORS.items() if name in lacking})


# What a host of a release may be: its GPUs and switches, and what its firmware demands.
SYSTEMS: dict[str, Callable[[Machine], Machine]] = {
    "T4": lambda machine: machine,
    "HGX H100": lambda machine: replace(machine, pci=gpus(*[H100] * 8, *[NVSWITCH] * 4)),
    "HGX B200": lambda machine: replace(machine, pci=gpus(*[B200] * 8)),
    "Secure Boot": lambda machine: replace(machine, platform=replace(machine.platform, efi=True, secure_boot=True)),
}
ANY_SYSTEM = [pytest.param(r, s, id=f"{r.name}, {s}") for r in RELEASES for s in SYSTEMS]


def test_every_room_has_a_recorded_host() -> None:
    found = [room(release) for release in RELEASES]
    assert [d.label for d in DISTROS if d not in found] == []
    assert all(r.manager == room(r).manager for r in RELEASES)


def test_every_room_has_the_scripts_of_its_package_manager() -> None:
    driven = {n for n in MANAGERS if all((SCRIPTS / f"{part}.sh").is_file() for part in packages.FAMILY[n])}
    assert {d.manager for d in DISTROS} == driven


@pytest.mark.parametrize("release", RELEASES, ids=lambda r: r.name)
def test_pages(release: Release, golden: Callable[[str, str], None]) -> None:
    machine, wanted = bare(release), settings(release)
    findings = judge(machine, wanted)
    if any(f.stops for f in findings):
        page = "\n".join(describe_finding(f, release.name, f.check in WAIVABLE) for f in findings)
    else:
        page = describe(make_plan(machine, wanted, room(release)), machine, release.name, findings)
    golden(f"release-{release.name}", page)


@pytest.mark.parametrize(("release", "system"), ANY_SYSTEM)
def test_the_probe_lists_every_package_that_a_plan_may_ask_for(release: Release, system: str) -> None:
    """A name that it leaves out would be installed again and again."""
    machine = SYSTEMS[system](bare(release))
    for source in ("auto", "distro"):
        plan = make_plan(machine, replace(settings(release), driver_source=source), room(release))
        wanted = (*plan.packages.wanted, *plan.packages.pins)
        assert [name for name in wanted if not re.search(NAMES, name)] == []


def converged(machine: Machine, plan: Plan) -> Machine:
    """The host after a run that did what the plan says."""
    versions = dict.fromkeys((*plan.driver.packages, *plan.packages.same_version), plan.driver.version)
    there = {
        name: Package(name, f"{versions.get(name, '1.0')}-1", architecture="x86_64") for name in plan.packages.wanted
    }
    kernels = tuple(
        replace(
            kernel,
            headers=True,
            nvidia_modules=(KernelModule("nvidia", f"/lib/modules/{kernel.release}/nvidia.ko", plan.driver.version),),
            initramfs=Initramfs("/boot/image", readable=True, nouveau=False, blocked=True),
        )
        for kernel in machine.kernels.installed
    )
    return replace(
        machine,
        packages=replace(machine.packages, installed={**machine.packages.installed, **there}),
        kernels=replace(machine.kernels, installed=kernels),
        files={f.path: FileState(f.path, digest(f.content), f.mode, "root:root") for f in plan.files},
        pci=tuple(replace(d, driver="nvidia") for d in machine.pci or ()),
        nouveau=replace(machine.nouveau, loaded=False),
    )


@pytest.mark.parametrize(("release", "system"), ANY_SYSTEM)
def test_a_host_that_has_what_was_planned_gets_no_second_plan(release: Release, system: str) -> None:
    machine, wanted, distro = SYSTEMS[system](bare(release)), settings(release), room(release)
    judge(machine, wanted)
    plan = make_plan(machine, wanted, distro)
    after = converged(machine, plan)
    again = make_plan(after, wanted, distro)
    assert plan.packages.missing
    assert again.packages.missing == ()
    assert again.driver.packages == plan.driver.packages
    assert {f.path: f.content for f in again.files} == {f.path: f.content for f in plan.files}
    assert not again.reboot.needed
    assert "all present, nothing to do" in describe(again, after, release.name)


@pytest.mark.parametrize("release", [r for r in RELEASES if r.id != "debian"], ids=lambda r: r.name)
def test_only_the_known_reasons_refuse_a_bare_host(release: Release) -> None:
    """A key that nobody here could check, and releases past their end; nothing else stands in a bare T4 host's way."""
    stops = {f.check for f in judge(bare(release), Settings()) if f.stops}
    assert stops <= {"repository_keys_known", "release_not_ended", "cuda_fits"}
    assert not {f.check for f in judge(bare(release), settings(release)) if f.stops} - {"release_not_ended"}


def test_another_release_is_refused_with_the_list_of_what_is_supported() -> None:
    machine = bare(RELEASES[0])
    other = replace(machine, distribution=replace(machine.distribution, id="gentoo", version="2.17", name="Gentoo"))
    finding = next(f for f in judge(other, Settings()) if f.check == "distro_supported")
    assert finding.found == "Gentoo"
    assert all(d.label in finding.needed for d in DISTROS)
