"""Prepared roots, one per row of `families`: made by mmdebstrap from the machine's own mirrors, kept between runs, copied per host.

A prepared root is a folder under CACHE/roots, named after family and key: `root`, and `modules` with the Debian kernel's
own modules (half of the bytes, and nothing writes to them), which hosts share through hard links. The key changes with the files that decide its content, with the
archive's Release date and, once a day at most, with the security archive's (a new kernel there takes the headers of
the old one out of the index). Half-made roots carry a temporary name and are never used.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from time import time

from tests.bed import dress
from tests.bed.cache import cache_folder, locked
from tests.bed.families import FAMILIES, Family
from tests.bed.shell import BedError, run
from tests.bed.sources import KEYRING, Archive, machine_archive, release_date

MAX_AGE = 7 * 24 * 3600  # seconds
SPARED = 24 * 3600  # seconds: another checkout's root of that age may be in use
MAKERS = ("roots.py", "dress.py", "families.py", "family_base.py", "pack.py", "programs/mkinitcpio")
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


def suites_of(family: Family, archive: Archive) -> list[tuple[str, str]]:
    """(URI, suite) of everything a host of that family is made from."""
    known = {
        "main": (archive.main, family.suite),
        "updates": (archive.main, f"{family.suite}-updates"),
        "security": (archive.security, f"{family.suite}-security"),
    }
    return [known[name] for name in family.archives]


def source_file(suite: str, archive: Archive) -> tuple[str, str]:
    """(path on the host, content): one-line style on Debian 12, deb822 on Debian 13; component main only."""
    if suite == "bookworm":
        lines = [f"deb {uri} {name} main" for uri, name in suites_of(FAMILIES[suite], archive)]
        return "etc/apt/sources.list", "\n".join(lines) + "\n"
    stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: " + KEYRING + "\n"
    text = stanza.format(archive.main, f"{suite} {suite}-updates")
    return (
        "etc/apt/sources.list.d/debian.sources",
        text + "\n" + stanza.format(archive.security, f"{suite}-security"),
    )


def root_key(family: Family, archive: Archive) -> str:
    """Name of the prepared root that would be made now; "" while the archive cannot be asked."""
    dates = []
    for uri, suite in suites_of(family, archive):
        date = release_date(uri, suite) if not suite.endswith("-updates") else "-"
        if not date:
            return ""
        dates.append(" ".join(date.split()[:4]) if suite.endswith("-security") else date)
    here = Path(__file__).parent
    makers = MAKERS[:1] if family.debian else MAKERS
    material = "\n".join([*((here / name).read_text() for name in makers), repr(archive), family.name, *dates])
    return hashlib.sha256(material.encode()).hexdigest()[:16]


def prepared(name: str) -> Path:
    """The prepared folder of a family, made now if need be. The caller holds the family's lock. Raises BedError."""
    if name not in FAMILIES:
        raise BedError(f"no such host: {name}; known: {', '.join(FAMILIES)}")
    folder = cache_folder() / "roots"
    folder.mkdir(exist_ok=True)
    archive = machine_archive()
    family = FAMILIES[name]
    key = root_key(family, archive)
    kept = sorted(folder.glob(f"{name}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    if not key and kept:
        return kept[0]
    root = folder / f"{name}-{key}"
    if root in kept and time() - root.stat().st_mtime < MAX_AGE:
        return root
    old = [path for path in kept if path == root or time() - path.stat().st_mtime > SPARED]
    for path in [*old, *folder.glob(f"making-{name}-*")]:
        shutil.rmtree(path)
    making = folder / f"making-{name}-{key}"
    making.mkdir()
    build(family, archive, making / "root")
    (making / "modules").mkdir()
    for release in (making / "root" / MODULES).iterdir():
        (making / "modules" / release.name).mkdir()
        (release / "kernel").rename(making / "modules" / release.name / "kernel")
    making.rename(root)
    return root


def build(family: Family, archive: Archive, target: Path) -> None:
    """mmdebstrap into `target`, then make it a plausible bare server of the family."""
    sources = [f"deb {uri} {name} main" for uri, name in suites_of(family, archive)]
    options = ["--quiet", "--mode=root", "--variant=minbase", f"--keyring={KEYRING}", "--skip=cleanup/apt"]
    options += [f"--include={','.join((*PACKAGES, *family.packages))}", '--aptopt=APT::Install-Recommends "false"']
    if archive.proxy:
        options.append(f'--aptopt=Acquire::http::Proxy "{archive.proxy}"')
    if family.archives == ("main",):  # testing: its Release file is past its date now and then
        options.append('--aptopt=Acquire::Check-Valid-Until "false"')
    options.append(f"--essential-hook={QUICK_INITRAMFS}")
    run(["mmdebstrap", *options, family.suite, target, "-"], text_in="\n".join(sources), timeout=3000)
    finish(family, archive, target)
    if not family.debian:
        dress.dress(target, family)


def finish(family: Family, archive: Archive, root: Path) -> None:
    """Sources, no downloaded packages, no identity, nothing that runs by the clock."""
    caches = root / "var/cache/apt"
    for path in [*(caches / "archives").glob("*.deb"), *caches.glob("*.bin")]:
        path.unlink()
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    if archive.proxy:
        (root / "etc/apt/apt.conf.d/80proxy").write_text(f'Acquire::http::Proxy "{archive.proxy}";\n')
    for path in [root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").iterdir()]:
        path.unlink(missing_ok=True)
    if family.debian:
        name, text = source_file(family.suite, archive)
        (root / name).write_text(text)
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")


def copy_root(name: str, target: Path) -> None:
    """A fresh copy of the family's prepared root at `target`, which must not exist. Raises BedError."""
    with locked(cache_folder() / "roots" / f"{name}.lock"):
        source = prepared(name)
        run(["cp", "-a", "--reflink=auto", source / "root", target], timeout=600)
        run(["cp", "-a", "--link", *(source / "modules").iterdir(), target / MODULES], timeout=600)
