"""Prepared Debian roots: made by mmdebstrap from the machine's own mirrors, kept between runs, copied per host.

A prepared root is a folder under CACHE/roots, named after suite and key: `root`, and `modules` with the Debian kernel's
own modules (half of the bytes, and nothing writes to them), which hosts share through hard links. The key changes with this file, with the
archive's Release date and, once a day at most, with the security archive's (a new kernel there takes the headers of
the old one out of the index). Half-made roots carry a temporary name and are never used.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from time import time

from tests.bed.cache import cache_folder, locked
from tests.bed.shell import BedError, run
from tests.bed.sources import KEYRING, Archive, machine_archive, release_date

SUITES = {"bookworm": "12", "trixie": "13"}
MAX_AGE = 7 * 24 * 3600  # seconds
PACKAGES = (
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3-minimal",
    "kmod",
    "udev",
    "procps",
    "iproute2",
    "ca-certificates",
    "initramfs-tools",
    "zstd",
    "linux-image-amd64",
)
MODULES = "usr/lib/modules"
# Small and quick initramfs images; in place before the kernel package builds the first one.
QUICK_INITRAMFS = (
    'mkdir -p "$1/etc/initramfs-tools/conf.d";'
    ' printf "MODULES=list\\nCOMPRESS=zstd\\n" > "$1/etc/initramfs-tools/conf.d/quick"'
)
# Timers that would hold the package lock or refresh the index in the middle of a test; the nspawn console.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
)


def suites_of(suite: str, archive: Archive) -> list[tuple[str, str]]:
    """(URI, suite) of everything a host of that suite installs from."""
    return [
        (archive.main, suite),
        (archive.main, f"{suite}-updates"),
        (archive.security, f"{suite}-security"),
    ]


def source_file(suite: str, archive: Archive) -> tuple[str, str]:
    """(path on the host, content): one-line style on Debian 12, deb822 on Debian 13; component main only."""
    if suite == "bookworm":
        lines = [f"deb {uri} {name} main" for uri, name in suites_of(suite, archive)]
        return "etc/apt/sources.list", "\n".join(lines) + "\n"
    stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: " + KEYRING + "\n"
    text = stanza.format(archive.main, f"{suite} {suite}-updates")
    return (
        "etc/apt/sources.list.d/debian.sources",
        text + "\n" + stanza.format(archive.security, f"{suite}-security"),
    )


def root_key(suite: str, archive: Archive) -> str:
    """Name of the prepared root that would be made now; "" while the archive cannot be asked."""
    main = release_date(archive.main, suite)
    security = release_date(archive.security, f"{suite}-security")
    if not main or not security:
        return ""
    day = " ".join(security.split()[:4])
    material = "\n".join([Path(__file__).read_text(), repr(archive), suite, main, day])
    return hashlib.sha256(material.encode()).hexdigest()[:16]


def prepared(suite: str) -> Path:
    """The prepared folder of a suite, made now if need be. The caller holds the suite's lock. Raises BedError."""
    if suite not in SUITES:
        raise BedError(f"no such suite: {suite}; known: {', '.join(SUITES)}")
    folder = cache_folder() / "roots"
    folder.mkdir(exist_ok=True)
    archive = machine_archive()
    key = root_key(suite, archive)
    kept = sorted(folder.glob(f"{suite}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    if not key and kept:
        return kept[0]
    root = folder / f"{suite}-{key}"
    if root in kept and time() - root.stat().st_mtime < MAX_AGE:
        return root
    for old in [*kept, *folder.glob(f"making-{suite}-*")]:
        shutil.rmtree(old)
    making = folder / f"making-{suite}-{key}"
    making.mkdir()
    build(suite, archive, making / "root")
    (making / "modules").mkdir()
    for release in (making / "root" / MODULES).iterdir():
        (making / "modules" / release.name).mkdir()
        (release / "kernel").rename(making / "modules" / release.name / "kernel")
    making.rename(root)
    return root


def build(suite: str, archive: Archive, target: Path) -> None:
    """mmdebstrap into `target`, then make it a plausible bare server."""
    sources = [f"deb {uri} {name} main" for uri, name in suites_of(suite, archive)]
    options = ["--quiet", "--mode=root", "--variant=minbase", f"--keyring={KEYRING}", "--skip=cleanup/apt"]
    options += [f"--include={','.join(PACKAGES)}", '--aptopt=APT::Install-Recommends "false"']
    if archive.proxy:
        options.append(f'--aptopt=Acquire::http::Proxy "{archive.proxy}"')
    options.append(f"--essential-hook={QUICK_INITRAMFS}")
    run(["mmdebstrap", *options, suite, target, "-"], text_in="\n".join(sources), timeout=1200)
    finish(suite, archive, target)


def finish(suite: str, archive: Archive, root: Path) -> None:
    """Sources, no downloaded packages, no identity, nothing that runs by the clock."""
    caches = root / "var/cache/apt"
    for path in [*(caches / "archives").glob("*.deb"), *caches.glob("*.bin")]:
        path.unlink()
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    if archive.proxy:
        (root / "etc/apt/apt.conf.d/80proxy").write_text(f'Acquire::http::Proxy "{archive.proxy}";\n')
    for path in [root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").iterdir()]:
        path.unlink(missing_ok=True)
    name, text = source_file(suite, archive)
    (root / name).write_text(text)
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")


def copy_root(suite: str, target: Path) -> None:
    """A fresh copy of the suite's prepared root at `target`, which must not exist. Raises BedError."""
    with locked(cache_folder() / "roots" / f"{suite}.lock"):
        source = prepared(suite)
        run(["cp", "-a", "--reflink=auto", source / "root", target], timeout=600)
        run(["cp", "-a", "--link", *(source / "modules").iterdir(), target / MODULES], timeout=600)
