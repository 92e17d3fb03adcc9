"""A site without internet: a bundle is made where the repositories are, carried to a host, and everything is installed from it.

Stand-in packages in signed repositories; once the bundle is made nobody serves them any more.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bed import debs, rpms
from tests.bed.bed import Bed
from tests.bed.families import FAMILIES
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.rpms import DISTRO, RpmRepositories
from tests.bed.shell import run
from tests.bed.snapshot import diff, snapshot
from tests.hosts import families_lab
from tests.hosts.bundle_lab import LIMIT, bundle
from tests.hosts.families_lab import VERSIONS, Family
from tests.hosts.test_road import own_traces

PLACE = "/mnt/carried/bundle"
KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
DEPENDS = ("libnvidia-compute-580", "nvidia-container-toolkit", "docker-ce")


@dataclass
class Site:
    family: Family
    folder: Path
    made: Path

    @property
    def host(self) -> Host:
        return self.family.host

    def run(self) -> dict[str, Any]:
        data = {"gpu_report_dir": str(self.folder / "reports"), "gpu_driver_branch": "580", "gpu_bundle": PLACE}
        # The keys of the stand-ins' owners, as an operator's own mirror would have them.
        inventory = write_inventory(self.folder / "inventory.py", [(self.host, {**self.family.data, **data})])
        done = run_pyinfra(inventory, "deploys/gpu_host.py", "-y", timeout=LIMIT)
        print(done.stdout[-3000:], done.stderr[-12000:])
        (host,) = json.loads((self.folder / "reports/latest.json").read_text())["hosts"]
        assert isinstance(host, dict)
        return {**host, "said": done.stderr}


def _archive(repos: RpmRepositories, host: Host, folder: Path) -> Path:
    """Every suite that the release has, signed by a key that the host knows; returns that key."""
    for suite in ("noble", "noble-updates", "noble-security"):
        for component in ("main", "restricted", "universe", "multiverse"):
            debs.sign(repos.folder / "www/ubuntu-base", (repos.home, DISTRO), f"{suite}/{component}")
    key = folder / "archive.asc"
    key.write_text(repos.key(DISTRO))
    run(["gpg", "--batch", "--yes", "--dearmor", "--output", str(folder / "archive.gpg"), str(key)])
    text = base64.b64encode((folder / "archive.gpg").read_bytes()).decode()
    host.nsenter(f"echo {text} | base64 -d >{KEYRING}")
    return folder / "archive.gpg"


@pytest.fixture(scope="module")
def site(bed: Bed, make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("bundle")
    repos = rpms.start(folder / "bed", bed.network.gateway)
    try:
        host = make_module_host("ubuntu", "ubuntu", gpus="t4")
        family = families_lab.stock_deb(host, repos, families_lab.vendor_key(repos, folder))
        key = _archive(repos, host, folder)
        data = folder / "data.json"
        data.write_text(json.dumps({**family.data, "gpu_driver_branch": "580"}))
        words = ["--distro", "ubuntu-24.04", "--gpu", "10de:1eb8", "--kernel", FAMILIES["ubuntu"].release]
        words += ["--data", str(data), "--archive", f"archive={repos.url('ubuntu-base')}", "--archive-key", str(key)]
        assert bundle(str(folder / "made"), *words).returncode == 0
    finally:
        rpms.stop(folder / "bed")
    # Carried there as on a disk: a file system of its own.
    host.nsenter(f"mkdir -p {PLACE} && mount -t tmpfs carried {Path(PLACE).parent} && mkdir {PLACE}")
    tar = subprocess.run(["tar", "-C", str(folder / "made"), "-c", "."], capture_output=True, check=True).stdout
    host.nsenter(f"base64 -d | tar -C {PLACE} -x", text_in=base64.b64encode(tar).decode())
    # No way out: the default route is gone, and nobody answers where the repositories were.
    host.nsenter("ip route del default")
    return Site(family, folder, folder / "made")


def test_bundle_is_whole_and_says_what_is_in_it(site: Site) -> None:
    assert bundle(str(site.made), "--check").returncode == 0
    manifest = json.loads((site.made / "manifest.json").read_text())
    sources = {p["name"]: p["source"] for p in manifest["packages"]}
    assert {sources[name] for name in DEPENDS} == {"cuda", "docker", "nvidia-container-toolkit"}
    assert manifest["kernels"] == [FAMILIES["ubuntu"].release]
    assert set(site.family.first.packages.wanted) <= set(sources)


def test_changed_package_is_refused_with_nothing_changed(site: Site) -> None:
    """By the vendor's signature over the index, and before that by whoever looks at the checksums."""
    before = snapshot(site.host)
    package = site.host.nsenter(
        f"find {PLACE}/cuda -name 'libnvidia-compute*{VERSIONS['580'][-1]}*.deb'"
    ).stdout.split()[0]
    site.host.nsenter(
        f"cp {package} /mnt/carried/kept && printf x | dd of={package} bs=1 seek=200 conv=notrunc status=none"
    )
    result = site.run()
    assert result["state"] == "failed"
    assert "Hash Sum mismatch" in result["said"] or "incorrect" in result["said"] or "Unable to fetch" in result["said"]
    assert own_traces(diff(before, snapshot(site.host))) == []
    site.host.nsenter(f"mv /mnt/carried/kept {package}")
    copy = site.folder / "copy"
    shutil.copytree(site.made, copy)
    (copy / Path(package).relative_to(PLACE)).write_bytes(b"x")
    done = bundle(str(copy), "--check")
    assert (done.returncode, Path(package).name in done.stderr) == (1, True)


def test_everything_is_installed_without_a_route_out(site: Site) -> None:
    sources = site.host.nsenter("find /etc/apt -type f | sort | xargs sha256sum").stdout
    result = site.run()
    listed = site.host.nsenter("dpkg-query -W -f '${Package} ${Version}\\n'").stdout.splitlines()
    versions = dict(line.split() for line in listed if len(line.split()) == 2)
    assert set(site.family.first.packages.wanted) - set(versions) == set()
    assert {versions[p].split("-")[0] for p in site.family.first.driver.packages} == {VERSIONS["580"][-1]}
    steps = {s["name"]: s["result"] for s in result["steps"]}
    passed = ("driver_built", "cuda_toolkit", "docker_engine", "container_runtime")
    assert {n: steps[n] for n in passed} == dict.fromkeys(passed, "PASS")
    # The host's own sources and its index of them are as they were, and nothing of the bundle's stays.
    assert site.host.nsenter("find /etc/apt -type f | sort | xargs sha256sum").stdout == sources
    assert "bundle" not in site.host.nsenter("ls /var/lib/gpu-host 2>/dev/null", check=False).stdout


def test_second_run_changes_nothing(site: Site) -> None:
    before = snapshot(site.host)
    assert site.run()["changed"] == []
    assert diff(before, snapshot(site.host)) == []
