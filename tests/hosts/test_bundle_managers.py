"""A site without internet, as tests/hosts/test_bundle.py, for hosts whose packages are signed themselves: by their real package managers.

Each bundle is made by the same release's own package manager; then nobody serves the repositories any more, and no host has a way out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bed import rpms
from tests.bed.bed import Bed
from tests.bed.families import FAMILIES
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.pack import Package
from tests.bed.rpms import DISTRO, RpmRepositories
from tests.bed.shell import run
from tests.bed.snapshot import Snapshot, diff, snapshot
from tests.hosts import families_lab, pacman_lab
from tests.hosts.bundle_lab import WORK, Collecting, bundle
from tests.hosts.families_lab import VERSIONS, Family
from tests.hosts.pacman_lab import PacmanLab
from tests.hosts.test_road import own_traces

LIMIT = 900
CARRIED = "srv/carried"
# Name of the host -> the program that collects, and the parts of its archive.
NAMES = {
    "rocky": ("dnf-3", ("baseos", "appstream", "crb", "extras", "epel")),
    "fedora": ("dnf5", ("fedora", "updates")),
    "leap": ("zypper", ("repo-oss", "repo-update", "repo-sle-update", "repo-backports-update")),
    "arch": ("pacman", ("core", "extra")),
}
KEYS = {
    "rocky": ("/etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9", "/etc/pki/rpm-gpg/RPM-GPG-KEY-EPEL-9"),
    "fedora": ("/etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-43-x86_64",),
    "leap": (),
}
UNSIGNED = {
    "rocky": "is not signed",
    "fedora": "is not signed",
    "arch": "invalid or corrupted package (PGP signature)",
    "leap": "'repomd.xml' from repository 'cuda (gpu-host)' is unsigned",
}
LIST = {"arch": "pacman -Qq", **dict.fromkeys(("rocky", "fedora", "leap"), "rpm -qa --qf '%{NAME}\\n'")}
LOCK_PLUGIN = Package("python3-dnf-plugin-versionlock", "4.3.0-16.el9", provides=("dnf-command(versionlock)",))
# What every package of rpm's needs, and a host has.
_BASE = ("bash", "glibc", "coreutils", "python3")


@dataclass
class Site:
    """The hosts, each with its bundle in `folder` here and below CARRIED there."""

    families: Mapping[str, Family]
    folder: Path

    def run(self, which: str) -> dict[str, dict[str, Any]]:
        """One run over all hosts, with the bundle of that name."""
        data = {
            "gpu_report_dir": str(self.folder / "reports"),
            "gpu_accept": ["release_not_ended"],
            "gpu_reboot": "never",
            "gpu_bundle": f"/{CARRIED}/{which}",
        }
        hosts = [(f.host, {**f.data, "gpu_driver_branch": f.branch}) for f in self.families.values()]
        inventory = write_inventory(self.folder / "inventory.py", hosts, data)
        done = run_pyinfra(inventory, "deploys/gpu_host.py", "-y", timeout=LIMIT)
        print(done.stdout[-3000:], done.stderr[-20000:])
        document = json.loads((self.folder / "reports/latest.json").read_text())
        return {h["host"]: {**h, "said": done.stderr} for h in document["hosts"]}

    def carried(self, name: str, which: str) -> Path:
        return self.families[name].host.root / CARRIED / which


def _stock_rpm(name: str, host: Host, repos: RpmRepositories, folder: Path) -> tuple[Family, str, Path]:
    """A host before its repositories; returns it, and address and key of its archive."""
    family = families_lab.stock_rpm(name, host, repos, families_lab.vendor_key(repos, folder))
    base = f"{name}-base"
    repos.add(base, [LOCK_PLUGIN, *(p for p in FAMILIES[name].base if p.name in _BASE)], DISTRO)
    repos.sign(base, DISTRO)
    for path in (*KEYS[name], f"/{WORK}/archive.asc"):
        host.put(path, repos.key(DISTRO))
    return family, repos.url(base), host.root / WORK / "archive.asc"


def _stock_arch(lab: PacmanLab) -> tuple[Family, str, Path]:
    """As `_stock_rpm`; the repository is a folder of the host's, by two names."""
    family = families_lab.stock_arch(lab)
    lab.host.nsenter(f"cp /{pacman_lab.REPOSITORY}/extra.db.tar.gz /{pacman_lab.REPOSITORY}/core.db")
    return family, f"file:///{pacman_lab.REPOSITORY}", lab.host.root / "etc/pacman.d/gnupg"


@pytest.fixture(scope="module")
def site(bed: Bed, make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("bundles")
    repos = rpms.start(folder / "bed", bed.network.gateway)
    families = {}
    labs = []
    try:
        for name, (program, parts) in NAMES.items():
            host = make_module_host(name, name, gpus="t4")
            if name == "arch":
                labs.append(pacman_lab.trust(host))
            stocked = _stock_arch(labs[-1]) if name == "arch" else _stock_rpm(name, host, repos, folder)
            families[name], url, key = stocked
            collecting = Collecting(host, program)
            collecting.open()
            made = collecting.make(families[name], dict.fromkeys(parts, url), key)
            shutil.copytree(made, folder / name)
            shutil.copytree(made, host.root / CARRIED / "good")
            collecting.close()
            host.nsenter(f"ip route del default; rm -rf /{pacman_lab.REPOSITORY}")
        rpms.stop(folder / "bed")
        yield Site(families, folder)
    finally:
        rpms.stop(folder / "bed")
        for lab in labs:
            pacman_lab.stop(lab)


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Whoever reads rpm's database touches the file by which its readers share memory."""
    return [line for line in diff(before, after) if "rpmdb.sqlite-shm" not in line]


@pytest.fixture(params=list(NAMES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_bundle_is_whole_and_has_all_that_is_asked_for(site: Site, name: str) -> None:
    assert bundle(str(site.folder / name), "--check").returncode == 0
    manifest = json.loads((site.folder / name / "manifest.json").read_text())
    packages = {p["name"]: p["source"] for p in manifest["packages"]}
    plan = site.families[name].first.packages
    assert {*plan.wanted, *plan.pins} <= set(packages)
    assert (LOCK_PLUGIN.name in packages) == (name == "rocky")
    vendors = set(site.families[name].data.get("gpu_mirrors", ()))
    assert vendors <= set(packages.values())
    # What the vendor signs is here as it was signed.
    for source in vendors:
        assert (site.folder / name / source / "repodata/repomd.xml").is_file()


def _unsign(package: Path, bad: Path) -> None:
    """A package of that bundle is one that nobody has signed, and the index says that it belongs there."""
    if package.suffix != ".rpm":
        other = next(s for s in package.parent.glob("*.sig") if not s.name.startswith(package.name))
        shutil.copyfile(other, f"{package}.sig")
        return
    run(["rpmsign", "--delsign", package])
    index = bad / "cuda/repodata"
    modules = [p for p in index.iterdir() if "modules" in p.name]
    for path in modules:
        path.rename(bad / path.name)
    (index / "repomd.xml.asc").unlink(missing_ok=True)
    run(["createrepo_c", "--quiet", bad / "cuda"])
    for path in modules:
        run(["modifyrepo_c", "--mdtype=modules", bad / path.name, index])


def test_package_that_its_vendor_has_not_signed_is_refused_with_nothing_changed(site: Site, name: str) -> None:
    """Though index and checksums say that it belongs there."""
    bad = site.carried(name, "bad")
    shutil.copytree(site.carried(name, "good"), bad)
    (package,) = bad.rglob(
        f"{site.families[name].first.driver.packages[0]}-*{VERSIONS[site.families[name].branch][-1]}*[mz]"
    )
    _unsign(package, bad)
    host = site.families[name].host
    before = snapshot(host)
    result = site.run("bad")[name]
    assert result["state"] == "failed"
    assert UNSIGNED[name] in result["said"]
    assert own_traces(changes(before, snapshot(host))) == []
    shutil.rmtree(bad)


@pytest.fixture(scope="module")
def done(site: Site) -> dict[str, dict[str, Any]]:
    """What a run over all hosts says, beside their own sources before it."""
    before = {name: _sources(f.host) for name, f in site.families.items()}
    return {name: {**result, "sources": before[name]} for name, result in site.run("good").items()}


def _sources(host: Host) -> str:
    """The host's own sources; what we hold stands among pacman's."""
    return host.nsenter(
        "cat /etc/yum.repos.d/*.repo /etc/zypp/repos.d/*.repo /etc/pacman.conf 2>/dev/null | sed '/^# gpu-host keeps/,+1d'"
    ).stdout


def test_everything_is_installed_without_a_route_out(site: Site, done: dict[str, dict[str, Any]], name: str) -> None:
    family = site.families[name]
    assert done[name]["changed"] != []
    steps = {s["name"]: s["result"] for s in done[name]["steps"]}
    passed = ("driver_built", "cuda_toolkit", "docker_engine", "container_runtime")
    assert {n: steps[n] for n in passed} == dict.fromkeys(passed, "PASS")
    installed = set(family.host.nsenter(LIST[name]).stdout.split())
    assert set(family.first.packages.wanted) <= installed
    # The host's own sources are as they were, and nothing of the bundle's stays.
    assert _sources(family.host) == done[name]["sources"]
    left = family.host.nsenter("find /var/lib/gpu-host /var/cache -name '*bundle*' -o -path '/var/cache/*/gpu-host-*'")
    assert left.stdout == ""


def test_second_run_changes_nothing(site: Site, done: dict[str, dict[str, Any]], name: str) -> None:
    host = site.families[name].host
    before = snapshot(host)
    if name == next(iter(NAMES)):
        done |= site.run("good")
    assert done[name]["changed"] == []
    assert changes(before, snapshot(host)) == []
