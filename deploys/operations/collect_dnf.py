"""rpm packages with the indexes that name them, collected by dnf itself in a root folder of its own, where nothing is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploys.knowledge.records import Distro
from deploys.operations.collect import (
    BundleError,
    Collector,
    Rows,
    as_root,
    copy,
    names,
    repo_files,
    rpm_row,
    run,
    same_release,
    say,
    within,
)
from deploys.operations.packages import spec
from deploys.plan.bundle import BundleSource, bundle_files
from deploys.plan.plan import Plan

# The index is kept in the form that every host reads, packages are whole and stay in the cache.
_OPTIONS = ("best=1", "install_weak_deps=0", "keepcache=1", "zchunk=0", "deltarpm=0", "skip_if_unavailable=0")
_FURTHER = {
    "dnf4": ("--noplugins", "--setopt=strict=1"),
    # It would leave out lists of files, which another one asks for.
    "dnf5": (
        "--disable-plugin=*",
        "--setopt=skip_unavailable=0",
        "--setopt=optional_metadata_types=comps,filelists,updateinfo",
    ),
}
_OURS = "gpu-host-"  # how our repositories are called (deploys/plan/repositories.py)
_LOCK_PLUGIN = "dnf-command(versionlock)"


def own_mirrors(distro: Distro, root: Path = Path("/")) -> dict[str, str]:
    """Parts of the archive -> their address in this machine's own repositories, where it is of that very release."""
    return repo_files(root / "etc/yum.repos.d", distro) if same_release(distro, root) else {}


@dataclass(frozen=True)
class Dnf:
    """dnf in a folder of its own; the machine's own configuration counts only for how the network is reached."""

    program: str
    manager: str
    distro: Distro
    folder: Path

    def prepare(self, sources: Sequence[BundleSource]) -> None:
        """Write the sources; one is an address, or where dnf finds a list of addresses ("metalink=...")."""
        place = self.folder / "sources"
        place.mkdir()
        for file in bundle_files(self.manager, sources, folder=str(place)):
            text = file.content
            for key in ("metalink", "mirrorlist"):
                text = text.replace(f"baseurl={key}=", f"{key}=")
            Path(file.path).write_text(text)

    def say(self, *words: str) -> str:
        """What it answers. Raises BundleError."""
        cache = self.folder / "cache"
        options = [
            f"--setopt={option}" for option in (*_OPTIONS, f"cachedir={cache}", f"reposdir={self.folder / 'sources'}")
        ]
        if self.manager == "dnf5":
            options.append(f"--setopt=system_cachedir={cache}")
        if self.distro.platform:
            options.append(f"--setopt=module_platform_id={self.distro.platform}")
        place = [f"--installroot={self.folder / 'root'}", f"--releasever={self.distro.version}"]
        return run([*as_root(), self.program, "-y", *place, *options, *_FURTHER[self.manager], *words])

    def cache_of(self, source: str) -> Path:
        """The folder of a source in the cache, which is called NAME-HASH."""
        found = [
            p for p in (self.folder / "cache").iterdir() if p.name.rpartition("-")[0] == _OURS + source and p.is_dir()
        ]
        return found[0]

    def paths(self, index: Path) -> dict[str, str]:
        """File name of every package of the source whose index lies in that folder -> its path there."""
        name, base = f"{_OURS}collected", f"file://{index}/"
        found = self.say("-q", f"--repofrompath={name},{base}", f"--repo={name}", "repoquery", "--location").split()
        return {url.rpartition("/")[2]: url.removeprefix(base) for url in found if url.startswith(base)}


def collect(program: str, manager: str, plan: Plan, sources: Sequence[BundleSource], target: Path) -> Rows:
    """Fill the folder `target`; returns a row per package. Raises BundleError."""
    with tempfile.TemporaryDirectory(prefix="gpu-host-bundle-") as folder:
        dnf = Dnf(program, manager, plan.distro, Path(folder))
        dnf.prepare(sources)
        say("indexes")
        dnf.say("makecache")
        if plan.packages.stream:
            dnf.say("module", "enable", plan.packages.stream)
        wanted = [w for p in names(plan) for w in spec(manager, p, plan.packages.versions.get(p, ""))]
        # Holds need a plugin that a host may lack (scripts/dnf.sh).
        if manager == "dnf4" and "versionlock" in dnf.say("-q", "-C", "repoquery", "--whatprovides", _LOCK_PLUGIN):
            wanted.append(_LOCK_PLUGIN)
        say("packages")
        # All that a transaction is, signatures included, without the transaction.
        dnf.say("install", "--setopt=tsflags=test", *wanted)
        rows = _keep(dnf, sources, target)
    if lacking := sorted(set(names(plan)) - {row["name"] for row in rows}):
        raise BundleError(f"not downloaded: {', '.join(lacking)}; name mirrors by http or https")
    return rows


def _keep(dnf: Dnf, sources: Sequence[BundleSource], target: Path) -> Rows:
    """Copy indexes and packages to where their repositories have them."""
    rows = []
    for source in sources:
        cache = dnf.cache_of(source.name)
        for file in (f for f in (cache / "repodata").iterdir() if f.is_file()):
            copy(file, within(target, source.name, f"repodata/{file.name}"))
        files = sorted((cache / "packages").glob("*.rpm"))
        paths = dnf.paths(target / source.name) if files else {}
        for file in files:
            copy(file, within(target, source.name, paths[file.name]))
            rows.append(rpm_row(file, source.name))
    say(f"{len(rows)} packages")
    return rows


DNF4 = Collector("dnf-3", own_mirrors, partial(collect, "dnf-3", "dnf4"))
DNF5 = Collector("dnf5", own_mirrors, partial(collect, "dnf5", "dnf5"))
