"""One host of every family, and signed repositories with all that its plan asks for, in the shapes of the vendors' own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploys.knowledge.distros import find_distro
from deploys.plan.plan import Plan, make_plan
from deploys.plan.settings import Settings
from facts.probe import parse_machine
from inventories.releases import RELEASES, recording
from tests.bed import debs, repository, rpms, standins
from tests.bed.families import FAMILIES
from tests.bed.host import Host
from tests.bed.pack import Package
from tests.bed.rpms import DISTRO, OWNER, RpmRepositories
from tests.hosts.pacman_lab import PacmanLab

# The recorded host of the same release, and the branches: what is pinned, what is newer on offer, and what is switched to.
HOSTS = {
    "ubuntu": "ubuntu-24.04",
    "rocky": "rocky-9.6",
    "fedora": "fedora-43",
    "leap": "opensuse-leap-15.6",
    "arch": "arch",
}
FIRST = {"arch": "615"}
NEXT = {"arch": "620"}
VERSIONS = {"580": ("580.159.03", "580.178.04"), "595": ("595.58.03",), "615": ("615.71.09",), "620": ("620.10.01",)}
OTHERS = "1.19.5-1"
# What comes later: newer ones of everything in the first branch.
LATER, LATER_OTHERS = "580.190.01", "1.19.6-1"


@dataclass
class Family:
    """One host with what is asked of it: `data` of the inventory, the plan at the first branch and at the next one."""

    host: Host
    data: dict[str, Any]
    first: Plan
    next: Plan

    @property
    def branch(self) -> str:
        return FIRST.get(self.host.name, "580")

    @property
    def next_branch(self) -> str:
        return NEXT.get(self.host.name, "595")


def plan_of(name: str, branch: str) -> Plan:
    """The plan of a bare host of that family, by its recording with the kernel that the test host has."""
    release = next(r for r in RELEASES if r.name == HOSTS[name])
    machine = parse_machine(recording(replace(release, kernel=FAMILIES[name].release)))
    distro = find_distro(release.id, release.version)
    assert distro is not None
    return make_plan(machine, Settings(driver_branch=None if name == "arch" else branch), distro)


def split(plans: Iterable[Plan], kernel: str) -> dict[str, list[Package]]:
    """Every package that is no driver, by the repository that it comes from ("" the distribution's own)."""
    rows: dict[str, dict[str, Package]] = {}
    for plan in plans:
        for capability in plan.capabilities:
            for name in capability.packages:
                if name not in plan.driver.packages:
                    found = rows.setdefault(capability.repository, {})
                    found[name] = standins.other(name, "13.4.1-1" if name == "cuda" else OTHERS, kernel)
    return {repository_name: list(found.values()) for repository_name, found in rows.items()}


def mirrors(urls: Mapping[str, str], key: Path) -> dict[str, Any]:
    return {"gpu_mirrors": {name: {"url": url, "key": str(key)} for name, url in urls.items()}}


def drivers(plan: Plan, branch: str, kernel: str, prefix: str) -> list[Package]:
    return [p for version in VERSIONS[branch] for p in standins.driver(plan.driver.packages, version, kernel, prefix)]


def stock_rpm(name: str, host: Host, repos: RpmRepositories, key: Path) -> Family:
    """dnf's and zypper's hosts: NVIDIA's repository with streams where it has them, Docker's, the toolkit's, the distribution's."""
    kernel = FAMILIES[name].release
    first, after = plan_of(name, "580"), plan_of(name, "595")
    prefix = "" if name == "leap" else "3:"
    rows = split((first, after), kernel)
    streams, everything = "", []
    for branch, plan in (("580", first), ("595", after)):
        packages = drivers(plan, branch, kernel, prefix)
        everything += packages
        if plan.driver.stream:
            streams += rpms.stream("nvidia-driver", plan.driver.stream.split(":")[1], packages)
    urls = {}
    rows["cuda"] += everything
    rows[""] += [Package(p, OTHERS) for p in first.packages.pins]
    for repository_name, packages in rows.items():
        full = f"{name}-{repository_name or 'base'}"
        repos.add(full, packages, OWNER if repository_name else DISTRO)
        repos.sign(full, OWNER if repository_name else DISTRO, streams if repository_name == "cuda" else "")
        if repository_name:
            urls[repository_name] = repos.url(full)
    folder = "/etc/zypp/repos.d" if name == "leap" else "/etc/yum.repos.d"
    host.nsenter(f"rm -f {folder}/*.repo; mkdir -p /etc/pki/rpm-gpg")
    host.put("/etc/pki/rpm-gpg/distro", repos.key(DISTRO))
    host.nsenter(
        "rpm --import /etc/pki/rpm-gpg/distro; sed -i 's/^enabled *=.*/enabled = 0/' /etc/dnf/*plugins/local.conf 2>/dev/null || :"
    )
    url, ids = repos.url(f"{name}-base"), ("base", *first.distro.enable)
    for number, identity in enumerate(ids):
        text = f"[{identity}]\nname={identity}\nbaseurl={url}\nenabled={int(number == 0)}\ngpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/distro\n"
        host.put(f"{folder}/{identity}.repo", text)
    return Family(host, mirrors(urls, key), first, after)


def stock_deb(host: Host, repos: RpmRepositories, key: Path) -> Family:
    """Ubuntu's host: NVIDIA's flat repository, Docker's with a suite, the toolkit's flat one, the distribution's."""
    kernel = FAMILIES["ubuntu"].release
    first, after = plan_of("ubuntu", "580"), plan_of("ubuntu", "595")
    rows = split((first, after), kernel)
    gone = first.driver.packages
    moved = [replace(p, conflicts=gone, replaces=gone) for p in drivers(after, "595", kernel, "")]
    pins = [Package(p, OTHERS) for p in after.packages.pins]
    www = repos.folder / "www"
    debs.publish(
        www / "ubuntu-cuda", [*rows["cuda"], *drivers(first, "580", kernel, ""), *moved, *pins], (repos.home, OWNER)
    )
    debs.publish(www / "ubuntu-docker", rows["docker"], ((repos.home, OWNER)), "noble/stable")
    toolkit = "nvidia-container-toolkit"
    debs.publish(www / f"ubuntu-{toolkit}", rows[toolkit], (repos.home, OWNER))
    debs.publish(www / "ubuntu-base", rows[""], (repos.home, DISTRO), "noble/main")
    point_deb(host, repos)
    urls = {name: repos.url(f"ubuntu-{name}") for name in ("cuda", "docker", toolkit)}
    return Family(host, mirrors(urls, key), first, after)


def point_deb(host: Host, repos: RpmRepositories) -> None:
    """Have an Ubuntu host take its packages from the stand-in of its distribution's archive."""
    host.put("/usr/share/keyrings/ubuntu-archive-keyring.asc", repos.key(DISTRO))
    host.nsenter("rm -f /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; : >/etc/apt/sources.list")
    source = f"Types: deb\nURIs: {repos.url('ubuntu-base')}\nSuites: noble\nComponents: main\nSigned-By: /usr/share/keyrings/ubuntu-archive-keyring.asc\n"
    host.put("/etc/apt/sources.list.d/ubuntu.sources", source)


def stock_arch(lab: PacmanLab) -> Family:
    """Arch's host: one repository with one version of everything."""
    kernel = FAMILIES["arch"].release
    plan = plan_of("arch", "615")
    installed = [Package(name, version) for name, version in lab.packages()]
    lab.offer([*installed, *split((plan,), kernel)[""], *drivers(plan, "615", kernel, "")])
    lab.type("-Syy")
    return Family(lab.host, {}, plan, plan)


def offer_later(family: Family, repos: RpmRepositories) -> None:
    """The vendors publish newer versions of driver, CUDA and Docker, for Ubuntu's or Rocky's host."""
    name, plan = family.host.name, family.first
    kernel = FAMILIES[name].release
    names = {r: [p for c in plan.capabilities if c.repository == r for p in c.packages] for r in ("cuda", "docker")}
    rows = {
        r: [standins.other(p, LATER_OTHERS, kernel) for p in ps if p not in plan.driver.packages]
        for r, ps in names.items()
    }
    driver = standins.driver(plan.driver.packages, LATER, kernel, "" if name == "ubuntu" else "3:")
    rows["cuda"] += driver
    for repository_name, packages in rows.items():
        full = f"{name}-{repository_name}"
        if name == "ubuntu":
            debs.publish(
                repos.folder / "www" / full,
                packages,
                (repos.home, OWNER),
                "noble/stable" if repository_name == "docker" else "",
            )
            continue
        repos.add(full, packages, OWNER)
        streams = ""
        if repository_name == "cuda":
            old = [*drivers(plan, "580", kernel, "3:"), *driver]
            for branch_plan, members in ((plan, old), (family.next, drivers(family.next, "595", kernel, "3:"))):
                streams += rpms.stream("nvidia-driver", branch_plan.driver.stream.split(":")[1], members)
        repos.sign(full, OWNER, streams)


def vendor_key(repos: RpmRepositories, folder: Path) -> Path:
    path = folder / "vendor.asc"
    path.write_text(repository.gpg(repos.home, "--armor", "--export", f"={OWNER}"))
    return path
