"""rpm packages with the indexes that name them, collected by zypper itself in a root folder of its own, where nothing is installed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

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
from deploys.plan.bundle import BundleSource, bundle_files
from deploys.plan.plan import Plan
from deploys.plan.versions import is_version, upstream

_CACHE = "var/cache/zypp"
_OURS = "gpu-host-"  # how our repositories are called (deploys/plan/repositories.py)
_INSTALL = ("--no-recommends", "--auto-agree-with-licenses", "--download-only")


def own_mirrors(distro: Distro, root: Path = Path("/")) -> dict[str, str]:
    """Parts of the archive -> their address in this machine's own repositories, where it is of that very release."""
    return repo_files(root / "etc/zypp/repos.d", distro) if same_release(distro, root) else {}


@dataclass(frozen=True)
class Zypper:
    """zypper in a root folder of its own, whose rpm knows the keys of the sources and no other."""

    root: Path
    distro: Distro

    def prepare(self, sources: Sequence[BundleSource]) -> None:
        place = self.root / "etc/zypp/repos.d"
        place.mkdir(parents=True)
        for file in bundle_files("zypper", sources, folder=str(place)):
            Path(file.path).write_text(file.content)
        keys = [place / f"{s.name}.asc" for s in sources if s.own_key]
        for path in dict.fromkeys(Path(s.signed_by) for s in sources if not s.own_key):
            keys += sorted(path.glob("*.asc")) if path.is_dir() else [path]
        for key in keys:
            run([*as_root(), "rpm", "--root", self.root, "--import", key])

    def say(self, *words: str) -> str:
        """What it answers. Raises BundleError."""
        place = ["--root", str(self.root), "--releasever", self.distro.version]
        return run([*as_root(), "zypper", *place, "--non-interactive", *words])


def _order(version: str) -> list[int]:
    """Versions of one package, whose letters are alike, in their order."""
    return [int(number) for number in re.findall(r"\d+", version)]


def editions(said: str, wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of the packages NAME that must have VERSION, all alike: name -> edition, the newest that all of them have; from zypper's XML.

    Raises BundleError where there is none.
    """
    versions = dict(wanted)
    found: dict[str, dict[str, str]] = {}
    for row in ET.fromstring(said).iter("solvable"):  # noqa: S314 # zypper's own words
        name, edition = row.get("name", ""), row.get("edition", "")
        if name in versions and {"x86_64", "noarch"} & {*row.attrib.values()} and is_version(edition, versions[name]):
            kept = found.setdefault(upstream(edition), {})
            kept[name] = max(edition, kept.get(name, ""), key=_order)
    whole = [version for version, row in found.items() if set(row) == set(versions)]
    if not whole:
        raise BundleError(f"no version {next(iter(versions.values()))} is on offer of all of: {', '.join(versions)}")
    return found[max(whole, key=_order)]


def collect(plan: Plan, sources: Sequence[BundleSource], target: Path) -> Rows:
    """Fill the folder `target`; returns a row per package. Raises BundleError."""
    with tempfile.TemporaryDirectory(prefix="gpu-host-bundle-") as folder:
        zypper = Zypper(Path(folder), plan.distro)
        zypper.prepare(sources)
        say("indexes")
        zypper.say("refresh", "--force")
        wanted = dict.fromkeys(names(plan), "")
        if fixed := {name: version for name, version in plan.packages.versions.items() if name in wanted and version}:
            search = ("search", "--details", "--match-exact", "--type", "package")
            wanted |= editions(zypper.say("--xmlout", "--no-refresh", *search, *fixed), fixed.items())
        say("packages")
        zypper.say("--no-refresh", "install", *_INSTALL, *("=".join(filter(None, pair)) for pair in wanted.items()))
        rows = _keep(zypper.root / _CACHE, sources, target)
    if lacking := sorted(set(wanted) - {row["name"] for row in rows}):
        raise BundleError(f"not downloaded: {', '.join(lacking)}; name mirrors by http or https")
    return rows


def _keep(cache: Path, sources: Sequence[BundleSource], target: Path) -> Rows:
    """Copy indexes and packages; the cache has both under the paths that their repositories give them."""
    rows = []
    for source in sources:
        ours = _OURS + source.name
        for folder in (cache / "raw" / ours / "repodata", cache / "packages" / ours):
            for file in sorted(f for f in folder.rglob("*") if f.is_file()):
                copy(
                    file,
                    within(
                        target,
                        source.name,
                        str(file.relative_to(folder.parent if folder.name == "repodata" else folder)),
                    ),
                )
                if file.suffix == ".rpm":
                    rows.append(rpm_row(file, source.name))
    say(f"{len(rows)} packages")
    return rows


ZYPPER = Collector("zypper", own_mirrors, collect)
