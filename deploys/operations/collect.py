"""Packages with their signed indexes, and images, collected into a folder as partial mirrors. By apt itself, in a root folder of its own."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from deploys.knowledge.records import Distro
from deploys.operations.packages import spec
from deploys.plan.bundle import BundleSource, sources_text
from deploys.plan.plan import Plan

SUMS = "SHA256SUMS"
LIMIT = 7200  # seconds for one call of apt
# What this machine needs to reach the archives is needed here too.
_INHERITED = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
_LAYOUT = ("etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial",
           "var/cache/apt/archives/partial", "var/lib/dpkg")  # fmt: skip


class BundleError(Exception):
    """A bundle that cannot be made, or is not whole; the text says what to do."""


@dataclass(frozen=True)
class Apt:
    """apt in a root folder of its own, where nothing is installed: so every package is collected with all it depends on."""

    root: Path

    def prepare(self, sources: str) -> None:
        for folder in _LAYOUT:
            (self.root / folder).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").write_text("")
        (self.root / "etc/apt/sources.list.d/bundle.sources").write_text(sources)
        lines = [
            f'Dir "{self.root}";',
            f'Dir::State::status "{self.root}/var/lib/dpkg/status";',
            'APT { Architecture "amd64"; Architectures { "amd64"; }; Install-Recommends "false"; Update::Error-Mode "any"; };',
            # The index stays as it was signed and packed.
            'Acquire { Languages "none"; GzipIndexes "true"; Retries "3"; CompressionTypes::Order { "xz"; "gz"; }; };',
            'Acquire::IndexTargets::deb::Packages::KeepCompressedAs "xz gz";',
            f'APT::Sandbox::User "{"root" if os.geteuid() == 0 else ""}";',
            *(f'{name} "{value}";' for name in _INHERITED if (value := self._of_this_machine(name))),
        ]
        (self.root / "apt.conf").write_text("\n".join(lines) + "\n")

    def _of_this_machine(self, name: str) -> str:
        words = ["apt-config", "dump", "--format", "%v%n", name]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def get(self, *words: str) -> str:
        """apt-get with these words. Raises BundleError with the end of what it said."""
        environment = {**os.environ, "APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["apt-get", "-q", "-y", *words], env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            raise BundleError(f"apt-get {words[0]} failed:\n{said}")
        return done.stdout


def own_mirrors(distro: Distro) -> dict[str, str]:
    """Parts of the distribution's archive -> where this machine itself reads them, also for another release of it."""
    words = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(RELEASE)|$(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[str, str] = {}
    for archive in distro.archives:
        apart = archive.suites.endswith("-security") and " " not in archive.suites
        for line in lines:
            origin, suite, url = line.split("|")
            if origin == archive.origin and suite.endswith("-security") == apart:
                found.setdefault(archive.name, url.rstrip("/"))
    return found


def collect(plan: Plan, sources: Sequence[BundleSource], target: Path) -> list[dict[str, str]]:
    """Fill the folder `target`; returns a row per package. Raises BundleError."""
    keyrings = [s.signed_by for s in sources if s.signed_by.startswith("/") and not Path(s.signed_by).is_file()]
    if keyrings:
        raise BundleError(
            f"no {keyrings[0]} on this machine: install the package that brings it, such as {Path(keyrings[0]).stem}, or bring it with --archive-key"
        )
    with tempfile.TemporaryDirectory(prefix="gpu-host-bundle-") as folder:
        apt = Apt(Path(folder))
        apt.prepare(sources_text(sources))
        say("indexes")
        apt.get("update")
        _keep_indexes(apt, sources, target)
        wanted = [w for p in _names(plan) for w in spec("apt", p, plan.packages.versions.get(p, ""))]
        listed = apt.get("--print-uris", "install", *wanted)
        say(f"{listed.count('.deb ')} packages")
        apt.get("--download-only", "install", *wanted)
        return [_keep_package(line, apt.root, sources, target) for line in listed.splitlines() if line.startswith("'")]


def _names(plan: Plan) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*plan.packages.pins, *plan.packages.wanted)))


def _place(url: str, sources: Sequence[BundleSource], target: Path) -> tuple[str, Path]:
    """Source and path in the bundle of something that was found at a URL; the longest address that fits. Raises BundleError."""
    fits = [s for s in sources if url.startswith(s.url.rstrip("/") + "/")]
    if not fits:
        raise BundleError(f"{url} is of none of the sources")
    source = max(fits, key=lambda s: len(s.url))
    path = (target / source.name / unquote(url[len(source.url.rstrip("/")) + 1 :])).resolve()
    if not path.is_relative_to(target.resolve()):
        raise BundleError(f"{url} would lie outside the bundle")
    return source.name, path


def _keep_indexes(apt: Apt, sources: Sequence[BundleSource], target: Path) -> None:
    """The lists of packages and, beside each suite's, its signed InRelease."""
    form = "$(URI)|$(METAKEY)|$(FILENAME)"
    for line in apt.get("indextargets", "--format", form, "Created-By: Packages").splitlines():
        url, key, name = line.split("|")
        found = next((Path(name + end) for end in ("", ".xz", ".gz") if Path(name + end).is_file()), None)
        if found is None:
            continue
        ending = found.suffix if found.suffix in (".xz", ".gz") else ""
        bare = url.removesuffix(".xz").removesuffix(".gz")
        release = Path(str(found).removesuffix(ending).removesuffix(key.replace("/", "_")) + "InRelease")
        if not release.is_file():
            raise BundleError(f"{url}: its archive has no InRelease file, and so no signature that a bundle could keep")
        content, ending = _as_signed(found, release.read_text())
        path = _place(bare + ending, sources, target)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        _copy(release, _place(bare.removesuffix(key) + "InRelease", sources, target)[1])


def _as_signed(found: Path, release: str) -> tuple[bytes, str]:
    """An index as the signed list has it, and the ending of its name; apt packs one that is published as plain text."""
    content, ending = found.read_bytes(), found.suffix if found.suffix in (".xz", ".gz") else ""
    if hashlib.sha256(content).hexdigest() not in release and ending:
        content, ending = (lzma if ending == ".xz" else gzip).decompress(content), ""
    if hashlib.sha256(content).hexdigest() not in release:
        raise BundleError(f"{found.name}: not the index that its archive has signed; run again")
    return content, ending


def _keep_package(line: str, root: Path, sources: Sequence[BundleSource], target: Path) -> dict[str, str]:
    """'URL' NAME SIZE HASH, as apt-get --print-uris writes it."""
    url, name = line.split(maxsplit=2)[:2]
    url = url.strip("'")
    source, path = _place(url, sources, target)
    _copy(root / "var/cache/apt/archives" / name, path)
    package, version, _ = name.split("_", 2)
    return {"name": package, "version": unquote(version), "source": source}


def _copy(found: Path, path: Path) -> None:
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
