"""The AUR for real: a git server of recipes, makepkg as an unprivileged user, and what is refused."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deploys.operations import packages as operation
from deploys.plan.aur import AurJob
from deploys.plan.plan import PackagePlan
from tests.bed import repository
from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.pack import Package
from tests.bed.shell import run
from tests.hosts import pacman_lab
from tests.hosts.lab import build
from tests.hosts.pacman_lab import PacmanLab

NAMES = ("nvidia-580xx-dkms", "nvidia-580xx-utils")
BASE = "nvidia-580xx-utils"
VERSION = "580.159.03"
# It says who built it and whether there was a network; its source comes from the same server.
PKGBUILD = """pkgbase=nvidia-580xx-utils
pkgname=(nvidia-580xx-dkms nvidia-580xx-utils)
pkgver={version}
pkgrel=1
pkgdesc='stand-in'
arch=(x86_64)
url=https://example.invalid/
license=(custom)
makedepends=(only-to-build)
source=({url}/driver.run)
sha256sums=({sum})
build() {{
    id -u >built-by
    (exec 3<>/dev/tcp/{address}/{port}) 2>/dev/null && echo online >>built-by || echo offline >>built-by
    sudo -n true 2>/dev/null && echo sudo >>built-by || echo no sudo >>built-by
}}
package_nvidia-580xx-dkms() {{
    depends=(nvidia-580xx-utils={version})
    conflicts=(NVIDIA-MODULE)
    provides=(NVIDIA-MODULE)
    install=module.install
}}
package_nvidia-580xx-utils() {{
    provides=(nvidia-utils={version})
    conflicts=(nvidia-utils)
    install -Dm644 -t "$pkgdir/usr/share/stand-in" driver.run built-by
}}
"""


@dataclass
class Aur:
    """A server of recipes: bare repositories over HTTP, as git needs them there."""

    folder: Path
    url: str
    address: str
    port: int

    def git(self, *words: str | Path) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.invalid", "-C", str(self.folder / "work")]
        return run(["git", *who, *words]).stdout.strip()

    def publish(self, text: str, message: str, *, rewrite: bool = False) -> AurJob:
        """Commit a PKGBUILD; with `rewrite` in place of the whole history. Returns the pin of what is there now."""
        if rewrite:
            self.git("checkout", "-q", "--orphan", f"o{message}")
        (self.folder / "work/PKGBUILD").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        bare = self.folder / f"www/{BASE}.git"
        self.git("push", "-q", "--force", bare, "HEAD:refs/heads/master")
        run(["git", "-C", bare, "update-server-info"])
        digest = hashlib.sha256(text.encode()).hexdigest()
        return AurJob(BASE, self.url, self.git("rev-parse", "HEAD"), digest, NAMES)

    def recipe(self, **changes: str) -> str:
        """The PKGBUILD, its source being there under the sum that it says."""
        content = (self.folder / "www/driver.run").read_bytes()
        values = {"version": VERSION, "url": self.url, "sum": hashlib.sha256(content).hexdigest(), **changes}
        return PKGBUILD.format(address=self.address, port=self.port, **values)


@pytest.fixture(scope="module")
def aur(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aur]:
    folder = tmp_path_factory.mktemp("aur")
    (folder / "www").mkdir()
    run(["git", "init", "-q", folder / "work"])
    run(["git", "init", "-q", "--bare", "--initial-branch=master", folder / f"www/{BASE}.git"])
    (folder / "www/driver.run").write_text("the driver\n")
    (folder / "work/module.install").write_text(f"post_install() {{\n{build(VERSION)}\n}}\n")
    process, port = repository.serve(folder, bed.network.gateway)
    yield Aur(folder, f"http://{bed.network.gateway}:{port}", bed.network.gateway, port)
    process.end()


@pytest.fixture(scope="module")
def lab(make_module_host: Callable[..., Host]) -> Iterator[PacmanLab]:
    lab = pacman_lab.start(make_module_host("arch", "aur", disguise=False))
    lab.offer([Package("only-to-build", "1-1")])
    lab.type("-Syy")
    yield lab
    pacman_lab.stop(lab)


def plan(job: AurJob) -> PackagePlan:
    return PackagePlan(wanted=NAMES, same_version=NAMES, modules=NAMES[:1], aur=(job,))


@pytest.fixture(scope="module")
def job(aur: Aur) -> AurJob:
    """What a person has read and pinned."""
    return aur.publish(aur.recipe(), "first")


def test_changed_pkgbuild_is_refused(lab: PacmanLab, job: AurJob) -> None:
    said = lab.refused(plan(replace(job, sha256="0" * 64)))
    assert f"the PKGBUILD of {BASE} at {job.commit} has SHA-256 {job.sha256}; gpu_aur says {'0' * 64}" in said


def test_commit_that_is_not_published_is_refused(lab: PacmanLab, job: AurJob) -> None:
    assert f"has no commit {'1' * 40} any more" in lab.refused(plan(replace(job, commit="1" * 40)))


def test_source_with_another_checksum_is_refused(lab: PacmanLab, aur: Aur, job: AurJob) -> None:
    source = aur.folder / "www/driver.run"
    source.write_text("another driver\n")
    try:
        said = lab.refused(plan(job))
    finally:
        source.write_text("the driver\n")
    assert f"the sources of {BASE} cannot be fetched, or have other checksums" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sum": "SKIP"}, "has sources that no strong checksum binds"),
        ({"version": "$(exit 1; echo 1)"}, "the PKGBUILD of nvidia-580xx-utils cannot be read"),
    ],
)
def test_recipe_that_nothing_binds_or_nobody_can_read_is_refused(
    lab: PacmanLab, aur: Aur, job: AurJob, change: dict[str, str], words: str
) -> None:
    assert job.commit
    assert words in lab.refused(plan(aur.publish(aur.recipe(**change), words[:9])))


def test_dependency_that_nobody_has_is_refused(lab: PacmanLab, aur: Aur, job: AurJob) -> None:
    assert job.commit
    other = aur.publish(aur.recipe().replace("only-to-build", "nobody-has-it"), "dependency")
    assert "cannot be installed from the official repositories: nobody-has-it" in lab.refused(plan(other))


def test_the_pinned_commit_is_built_though_newer_ones_are_there(lab: PacmanLab, job: AurJob) -> None:
    lab.both(plan(job))
    assert dict(lab.packages()) | dict.fromkeys(NAMES, f"{VERSION}-1") == dict(lab.packages())
    uid, network, sudo = lab.host.nsenter("cat /usr/share/stand-in/built-by").stdout.splitlines()
    assert int(uid) > 0
    assert network == "offline"
    assert sudo == "no sudo"


def test_nothing_of_the_build_is_left_on_the_host(lab: PacmanLab) -> None:
    assert lab.host.nsenter("id gpu-host-build", check=False).returncode == 1
    assert "only-to-build" not in dict(lab.packages())
    left = lab.host.nsenter("ls -A /var/lib/gpu-host; grep -c gpu-host-build /etc/group", check=False).stdout
    assert left == "installed\nkept\n0\n"
    # What was built has no signature: it is kept for no way back.
    kept = lab.host.nsenter("ls -A /var/lib/gpu-host/kept").stdout.split()
    assert [file for file in kept if file.startswith(tuple(f"{name}-" for name in NAMES))] == []


def test_second_time_there_is_nothing_to_do(lab: PacmanLab, job: AurJob) -> None:
    before = lab.state()
    assert operation.missing(lab.plan(plan(job)), lab.now()) == ()
    assert lab.state() == before


def test_moved_commit_is_refused(lab: PacmanLab, aur: Aur, job: AurJob) -> None:
    """The history was rewritten: the commit that was read is no longer what the recipe's owner publishes."""
    lab.type(f"-R {' '.join(NAMES)}")
    aur.publish(aur.recipe(), "rewritten", rewrite=True)
    assert f"has no commit {job.commit} any more" in lab.refused(plan(job))


def test_makepkg_itself_refuses_root(lab: PacmanLab) -> None:
    """So a build by root would not have passed above."""
    done: subprocess.CompletedProcess[str] = lab.host.nsenter("cd /tmp && makepkg --version && makepkg", check=False)
    assert "as root" in (done.stdout + done.stderr).lower()
