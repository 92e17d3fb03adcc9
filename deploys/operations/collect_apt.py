"""Debian packages with their signed indexes, collected by apt itself in a root folder of its own."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from deploys.knowledge.records import Distro
from deploys.operations.collect import BundleError, Collector, Rows, copy, names, run, say, within
from deploys.operations.packages import spec
from deploys.plan.bundle import BundleSource, bundle_files
from deploys.plan.plan import Plan

# What this machine needs to reach the archives is needed here too.
_INHERITED = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
_LAYOUT = ("etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial",
           "var/cache/apt/archives/partial", "var/lib/dpkg")  # fmt: skip


@dataclass(frozen=True)
class Apt:
    """apt in a root folder of its own, where nothing is installed: so every package is collected with all it depends on."""

    root: Path

    def prepare(self, sources: Sequence[BundleSource]) -> None:
        for folder in _LAYOUT:
            (self.root / folder).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").write_text("")
        for file in bundle_files("apt", sources, folder=str(self.root / "etc/apt/sources.list.d")):
            Path(file.path).write_text(file.content)
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
        return run(["apt-get", "-q", "-y", *words], {"APT_CONFIG": str(self.root / "apt.conf")})


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


def collect(plan: Plan, sources: Sequence[BundleSource], target: Path) -> Rows:
    """Fill the folder `target`; returns a row per package. Raises BundleError."""
    with tempfile.TemporaryDirectory(prefix="gpu-host-bundle-") as folder:
        apt = Apt(Path(folder))
        apt.prepare(sources)
        say("indexes")
        apt.get("update")
        _keep_indexes(apt, sources, target)
        wanted = [w for p in names(plan) for w in spec("apt", p, plan.packages.versions.get(p, ""))]
        listed = apt.get("--print-uris", "install", *wanted)
        say(f"{listed.count('.deb ')} packages")
        apt.get("--download-only", "install", *wanted)
        return [_keep_package(line, apt.root, sources, target) for line in listed.splitlines() if line.startswith("'")]


def place(url: str, sources: Sequence[BundleSource], target: Path) -> tuple[str, Path]:
    """Source and path in the bundle of something that was found at a URL; the longest address that fits. Raises BundleError."""
    fits = [s for s in sources if url.startswith(s.url.rstrip("/") + "/")]
    if not fits:
        raise BundleError(f"{url} is of none of the sources")
    source = max(fits, key=lambda s: len(s.url))
    return source.name, within(target, source.name, unquote(url[len(source.url.rstrip("/")) + 1 :]))


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
        path = place(bare + ending, sources, target)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        copy(release, place(bare.removesuffix(key) + "InRelease", sources, target)[1])


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
    source, path = place(url, sources, target)
    copy(root / "var/cache/apt/archives" / name, path)
    package, version, _ = name.split("_", 2)
    return {"name": package, "version": unquote(version), "source": source}


APT = Collector("apt-get", own_mirrors, collect)
