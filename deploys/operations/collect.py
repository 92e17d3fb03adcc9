"""What all collectors share: places in a bundle, images, checksums. `collect_*.py` are the package managers' own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path

from deploys.knowledge.distros import find_distro
from deploys.knowledge.records import Distro
from deploys.plan.bundle import BundleSource
from deploys.plan.plan import Plan

SUMS = "SHA256SUMS"
LIMIT = 7200  # seconds for one call of a package manager


class BundleError(Exception):
    """A bundle that cannot be made, or is not whole; the text says what to do."""


Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Collector:
    """A package manager that collects for hosts of its kind: `program` is what this machine needs.

    `mirrors`: parts of the distribution's archive -> where this machine itself reads them; `collect` fills a folder, and returns a row per package.
    """

    program: str
    mirrors: Callable[[Distro], dict[str, str]]
    collect: Callable[[Plan, Sequence[BundleSource], Path], Rows]


def names(plan: Plan) -> tuple[str, ...]:
    """Every package that is asked for by name."""
    return tuple(dict.fromkeys((*plan.packages.pins, *plan.packages.wanted)))


def run(words: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """What a package manager says. Raises BundleError with the end of it where it fails."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BundleError(f"{' '.join(map(str, words[:3]))} failed:\n{said}")
    return done.stdout


def as_root() -> tuple[str, ...]:
    """What lets a package manager work in a folder of this user's as if it were root; nothing else is changed or needed."""
    return () if os.geteuid() == 0 else ("unshare", "--map-root-user")


def same_release(distro: Distro, root: Path = Path("/")) -> bool:
    """Is this machine of that very release, so that its own sources are those of the hosts?"""
    try:
        lines = (root / "etc/os-release").read_text().splitlines()
    except OSError:
        return False
    values = {k: v.strip("\"'") for k, _, v in (line.partition("=") for line in lines)}
    return find_distro(values.get("ID"), values.get("VERSION_ID")) == distro


def repo_files(folder: Path, distro: Distro) -> dict[str, str]:
    """Parts of the archive -> their address in the .repo files of a folder, or where a list of addresses is ("metalink=...")."""
    found: dict[str, str] = {}
    wanted = {a.name for a in distro.archives}
    for path in sorted(folder.glob("*.repo")):
        parser = RawConfigParser(strict=False)
        parser.read(path, encoding="utf-8")
        for section in parser.sections():
            # A service gives its repositories a prefix: "openSUSE:repo-oss".
            name, values = section.rpartition(":")[2], parser[section]
            lists = [f"{key}={values[key]}" for key in ("metalink", "mirrorlist") if values.get(key)]
            addresses = [*values.get("baseurl", "").replace(",", " ").split()[:1], *lists]
            if name in wanted and addresses:
                found[name] = addresses[0]
    return found


def rpm_row(file: Path, source: str) -> dict[str, str]:
    """The row of a package file, which is called NAME-VERSION-RELEASE.ARCHITECTURE.rpm."""
    name, version, release = file.name.rsplit(".", 2)[0].rsplit("-", 2)
    return {"name": name, "version": f"{version}-{release}", "source": source}


def within(target: Path, source: str, name: str) -> Path:
    """The path of a source's file in the bundle. Raises BundleError where it would lie elsewhere."""
    path = (target / source / name).resolve()
    if not path.is_relative_to(target.resolve()):
        raise BundleError(f"{name} of {source} would lie outside the bundle")
    return path


def copy(found: Path, path: Path) -> None:
    """A file into a folder of the bundle, which is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, path)


def save_images(images: Sequence[str], target: Path) -> list[dict[str, str]]:
    """Container images as archives that `"archive"` of a service or of the monitoring can name. Raises BundleError."""
    tool = next((t for t in ("docker", "podman") if shutil.which(t)), "")
    if images and not tool:
        raise BundleError(
            "no docker and no podman on this machine to fetch the images with; install one, or leave out --image"
        )
    rows = []
    for image in images:
        say(f"image {image}")
        file = target / "images" / f"{image.replace('/', '_').replace(':', '_').replace('@', '_')}.tar"
        file.parent.mkdir(parents=True, exist_ok=True)
        for words in ([tool, "pull", "-q", image], [tool, "save", "-o", str(file), image]):
            done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=False)
            if done.returncode:
                raise BundleError(f"{' '.join(words)}: {done.stderr.strip().splitlines()[-1:]}")
        rows.append({"image": image, "archive": str(file.relative_to(target))})
    return rows


def write_sums(target: Path) -> int:
    """`SHA256SUMS` of every file, as sha256sum reads it; returns how many."""
    rows = [
        f"{_digest(p)}  {p.relative_to(target)}\n" for p in sorted(target.rglob("*")) if p.is_file() and p.name != SUMS
    ]
    (target / SUMS).write_text("".join(rows))
    return len(rows)


def check_sums(target: Path) -> list[str]:
    """Files that are missing or not what they were. Raises BundleError where there is no list."""
    try:
        rows = [line.split("  ", 1) for line in (target / SUMS).read_text().splitlines()]
    except OSError as error:
        raise BundleError(f"{target / SUMS}: {error.strerror}; is this a bundle?") from None
    return [name for digest, name in rows if not (target / name).is_file() or _digest(target / name) != digest]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def say(text: str) -> None:
    sys.stderr.write(f"bundle: {text}\n")
