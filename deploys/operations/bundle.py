"""`./provision bundle`: everything that a described host installs, collected on a machine with internet for a site without.

The vendors' own signed indexes and the packages that the plan names, with all that these depend on, as partial mirrors: what the host checks
there is what it would check on the internet. This machine stays as it is; no root is needed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploys.knowledge.distros import DISTROS, find_distro
from deploys.knowledge.records import Distro
from deploys.operations.collect import BundleError, Collector, check_sums, save_images, say, write_sums
from deploys.operations.collect_apt import APT
from deploys.operations.collect_dnf import DNF4, DNF5
from deploys.operations.collect_pacman import PACMAN
from deploys.operations.collect_zypper import ZYPPER
from deploys.plan.arguments import device, release
from deploys.plan.bundle import BundleSource, bundle_sources, key_place
from deploys.plan.explain import Question, machine_of
from deploys.plan.openpgp import is_pinned
from deploys.plan.plan import Plan, make_plan
from deploys.plan.settings import SettingsError, parse_settings

SCHEMA = 1
MANIFEST = "manifest.json"
KEY_BYTES = 100_000  # a key has a few thousand
DONE, FAILED, USAGE = 0, 1, 2
COLLECTORS: Mapping[str, Collector] = {"apt": APT, "dnf4": DNF4, "dnf5": DNF5, "zypper": ZYPPER, "pacman": PACMAN}


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(f"{d.id}-{d.version}".rstrip("-") for d in DISTROS if d.archives)
    parser = argparse.ArgumentParser(
        prog="./provision bundle",
        description="Collects packages with their repositories' own indexes, and images, for hosts without internet; set gpu_bundle there.",
        epilog=f"Releases: {names}. Exit code: 0 made or whole, 1 failed, 2 wrong usage.",
    )
    add = parser.add_argument
    add("folder", type=Path, help="where the bundle is made; must not hold anything yet")
    add("--check", action="store_true", help="only compare an existing bundle with its checksums")
    add("--distro", type=release, metavar="ID-VERSION", help="such as debian-13, ubuntu-24.04")
    add("--gpu", action="append", type=device, default=[], metavar="10de:2330", help="a GPU or NVSwitch; repeatable")
    add(
        "--kernel",
        action="append",
        default=[],
        metavar="RELEASE",
        help="as uname -r prints it on the hosts; repeatable",
    )
    add("--data", type=Path, metavar="FILE", help="JSON with the hosts' gpu_ settings, as in inventories/example.py")
    add(
        "--archive",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="collect a part of the distribution's archive from this mirror",
    )
    add(
        "--archive-key",
        type=Path,
        metavar="FILE",
        help="key of the archive, where this machine has none of that distribution",
    )
    add("--image", action="append", default=[], metavar="NAME", help="a container image to save as well; repeatable")
    return parser


def _data(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise BundleError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise BundleError(f'{path}: needed an object such as {{"gpu_profile": "containers"}}')
    return found


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _mirrors(distro: Distro, named: Sequence[str]) -> Mapping[str, str]:
    """Every part of the archive -> where it is collected from. Raises BundleError."""
    collector = COLLECTORS[distro.manager]
    if not shutil.which(collector.program):
        raise BundleError(
            f"no {collector.program} on this machine; make the bundle on a machine, or in a container, of {distro.label}"
        )
    mirrors = {entry.partition("=")[0]: entry.partition("=")[2].rstrip("/") for entry in named}
    if unknown := sorted(set(mirrors) - {a.name for a in distro.archives}):
        raise BundleError(f"--archive {unknown[0]}: {distro.label} has {', '.join(a.name for a in distro.archives)}")
    mirrors = {**collector.mirrors(distro), **mirrors}
    if lacking := [a.name for a in distro.archives if not mirrors.get(a.name)]:
        raise BundleError(
            f"{distro.label}: this machine's own sources do not name {', '.join(lacking)}; make the bundle on a machine of that release "
            f"that has {'it' if len(lacking) == 1 else 'them'}, or name a mirror: --archive {lacking[0]}=https://..."
        )
    return mirrors


def _with_key(source: BundleSource) -> BundleSource:
    """A source with its key, fetched where it is known by its fingerprint only. Raises BundleError, OSError."""
    if source.signed_by or not source.fetch:
        return source
    say(f"key of {source.name}")
    with urllib.request.urlopen(source.fetch.url, timeout=60) as answer:  # noqa: S310 # the vendor's or the operator's own address
        text = str(answer.read(KEY_BYTES), "ascii", "replace")
    if not is_pinned(text, source.fetch.fingerprint):
        raise BundleError(
            f"{source.fetch.url} is not the key that is pinned, {source.fetch.fingerprint}; compare it with what the vendor publishes, and bring it with gpu_mirrors in --data"
        )
    return replace(source, signed_by=text)


def _look_for_keys(plan: Plan, sources: Sequence[BundleSource]) -> None:
    """Raises BundleError for a source whose key is not here."""
    for source in sources:
        if not source.signed_by:
            raise BundleError(f"the key of {source.name} is not known here; bring it with gpu_mirrors in --data")
        if not source.own_key and not Path(source.signed_by).exists():
            raise BundleError(
                f"no {source.signed_by} on this machine: install the package of {plan.distro.label} that brings it, or bring it with --archive-key"
            )


def plan_for(words: argparse.Namespace) -> tuple[Plan, tuple[BundleSource, ...]]:
    """What such hosts get, for every kernel that is named, and where it is collected from. Raises BundleError, SettingsError."""
    identity, version = words.distro
    distro = find_distro(identity, version)
    if distro is None or not distro.archives:
        raise BundleError(f"no bundle can be made for {identity} {version}; --help lists the releases")
    mirrors = _mirrors(distro, words.archive)
    settings = parse_settings({k: v for k, v in _data(words.data).items() if k != "gpu_bundle"}, read_file=_read)
    devices = tuple(d for group in words.gpu for d in group)
    plans = []
    for kernel in words.kernel:
        machine = machine_of(Question(devices, identity, version, kernel, settings=settings))
        plan = make_plan(machine, settings, distro)
        if plan.driver.problem:
            raise BundleError(f"{plan.driver.problem}; needed: {plan.driver.needed}; {plan.driver.fix}")
        if plan.packages.aur:
            raise BundleError(
                f"{plan.packages.aur[0].base} is built from the AUR on each host, from sources that no bundle has; choose another gpu_driver_branch"
            )
        plans.append(plan)
    wanted = tuple(dict.fromkeys(p for plan in plans for p in plan.packages.wanted))
    whole = replace(plans[0], packages=replace(plans[0].packages, wanted=wanted))
    repositories = tuple(dict.fromkeys(c.repository for c in whole.capabilities if c.repository and c.packages))
    key = str(words.archive_key.resolve()) if words.archive_key else ""
    sources = tuple(
        replace(s, url=mirrors[s.name], signed_by=key or s.signed_by) if s.name in mirrors else s
        for s in map(_with_key, bundle_sources(machine, settings, distro, repositories))
    )
    _look_for_keys(whole, sources)
    return whole, sources


def main(arguments: Sequence[str]) -> int:
    """Make or check a bundle; returns the exit code. Raises SystemExit(2) for arguments that mean nothing."""
    parser = _parser()
    words = parser.parse_args(arguments)
    try:
        if words.check:
            return _check(words.folder)
        if not (words.distro and words.gpu and words.kernel):
            parser.error("--distro, --gpu and --kernel are needed")
        _make(words)
    except SettingsError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return USAGE
    except (BundleError, OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return FAILED
    return DONE


def _check(folder: Path) -> int:
    wrong = check_sums(folder)
    for name in wrong:
        sys.stderr.write(f"bundle: {name}: missing or changed\n")
    say("not whole: copy it again" if wrong else "every file is as it was collected")
    return FAILED if wrong else DONE


def _make(words: argparse.Namespace) -> None:
    """Made beside its place, so that a half bundle is never taken for a whole one."""
    if words.folder.exists() and any(words.folder.iterdir()):
        raise BundleError(f"{words.folder} is not empty; name a new folder")
    plan, sources = plan_for(words)
    words.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=words.folder.parent, prefix=f".{words.folder.name}-") as folder:
        target = Path(folder) / "bundle"
        target.mkdir()
        packages = COLLECTORS[plan.distro.manager].collect(plan, sources, target)
        for source in (s for s in sources if s.fetch):
            (target / key_place(source)).write_text(source.signed_by)
        manifest = {
            "schema": SCHEMA,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "release": plan.distro.label,
            "kernels": words.kernel,
            "gpus": sorted({f"10de:{d:04x}" for group in words.gpu for d in group}),
            "sources": [{"name": s.name, "url": s.url, "suites": s.repository.suite} for s in sources],
            "packages": packages,
            "images": save_images(words.image, target),
        }
        (target / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        count = write_sums(target)
        if words.folder.exists():
            words.folder.rmdir()
        target.rename(words.folder)
    size = sum(p.stat().st_size for p in words.folder.rglob("*") if p.is_file()) >> 20
    say(f"{count} files, {size} MiB in {words.folder}; copy it to the site and set gpu_bundle to its folder or URL")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
