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
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploys.knowledge.distros import DISTROS, find_distro
from deploys.operations.collect import BundleError, check_sums, collect, own_mirrors, save_images, say, write_sums
from deploys.plan.arguments import device, release
from deploys.plan.bundle import BundleSource, bundle_sources
from deploys.plan.explain import Question, machine_of
from deploys.plan.plan import Plan, make_plan
from deploys.plan.settings import SettingsError, parse_settings

SCHEMA = 1
MANIFEST = "manifest.json"
DONE, FAILED, USAGE = 0, 1, 2


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(f"{d.id}-{d.version}" for d in DISTROS if d.archives)
    parser = argparse.ArgumentParser(
        prog="./provision bundle",
        description="Collects packages with their signed indexes, and images, for hosts without internet; set gpu_bundle there.",
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
        help="keyring of the archive, where this machine has none of that distribution",
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


def plan_for(words: argparse.Namespace) -> tuple[Plan, tuple[BundleSource, ...]]:
    """What such hosts get, for every kernel that is named, and where it is collected from. Raises BundleError, SettingsError."""
    identity, version = words.distro
    distro = find_distro(identity, version)
    if distro is None or not distro.archives:
        raise BundleError(f"no bundle can be made for {identity} {version}; --help lists the releases")
    settings = parse_settings({k: v for k, v in _data(words.data).items() if k != "gpu_bundle"}, read_file=_read)
    mirrors = {entry.partition("=")[0]: entry.partition("=")[2].rstrip("/") for entry in words.archive}
    if unknown := sorted(set(mirrors) - {a.name for a in distro.archives}):
        raise BundleError(f"--archive {unknown[0]}: {distro.label} has {', '.join(a.name for a in distro.archives)}")
    mirrors = {**own_mirrors(distro), **mirrors}
    if lacking := [a.name for a in distro.archives if not mirrors.get(a.name)]:
        raise BundleError(
            f"no mirror of {distro.label} in this machine's own sources; name one: --archive {lacking[0]}=https://..."
        )
    devices = tuple(d for group in words.gpu for d in group)
    plans = []
    for kernel in words.kernel:
        machine = machine_of(Question(devices, identity, version, kernel, settings=settings))
        plan = make_plan(machine, settings, distro)
        if plan.driver.problem:
            raise BundleError(f"{plan.driver.problem}; needed: {plan.driver.needed}; {plan.driver.fix}")
        plans.append(plan)
    wanted = tuple(dict.fromkeys(p for plan in plans for p in plan.packages.wanted))
    whole = replace(plans[0], packages=replace(plans[0].packages, wanted=wanted))
    repositories = tuple(dict.fromkeys(c.repository for c in whole.capabilities if c.repository and c.packages))
    key = str(words.archive_key.resolve()) if words.archive_key else ""
    sources = tuple(
        replace(s, url=mirrors[s.name], signed_by=key or s.signed_by) if s.name in mirrors else s
        for s in bundle_sources(machine, settings, distro, repositories)
    )
    if keyless := [s.name for s in sources if not s.signed_by]:
        raise BundleError(f"the key of {keyless[0]} is not known here; bring it with gpu_mirrors in --data")
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
    if not shutil.which("apt-get"):
        raise BundleError("no apt-get on this machine; make the bundle on a Debian or Ubuntu machine or container")
    if words.folder.exists() and any(words.folder.iterdir()):
        raise BundleError(f"{words.folder} is not empty; name a new folder")
    plan, sources = plan_for(words)
    words.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=words.folder.parent, prefix=f".{words.folder.name}-") as folder:
        target = Path(folder) / "bundle"
        target.mkdir()
        packages = collect(plan, sources, target)
        manifest = {
            "schema": SCHEMA,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "release": plan.distro.label,
            "kernels": words.kernel,
            "gpus": sorted({f"10de:{d:04x}" for group in words.gpu for d in group}),
            "sources": [{"name": s.name, "url": s.url, "suites": s.suites} for s in sources],
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
