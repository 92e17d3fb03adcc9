"""A signed apt repository with suites and components, as a distribution's or Docker's, below a served folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.bed import repository
from tests.bed.pack import Package, build_deb
from tests.bed.shell import run


def publish(folder: Path, packages: Iterable[Package], signer: tuple[Path, str], suite: str = "") -> None:
    """Build packages into `folder` and sign the index: flat, or as "SUITE/COMPONENT" below dists.

    `signer`: a GnuPG home and the owner of a key in it. Raises BedError.
    """
    suite, _, component = suite.partition("/")
    pool = folder / "pool" if suite else folder
    pool.mkdir(parents=True, exist_ok=True)
    for package in packages:
        build_deb(package, pool)
    sign(folder, signer, f"{suite}/{component}" if suite else "")


def sign(folder: Path, signer: tuple[Path, str], suite: str = "") -> None:
    """Write the index anew, signed by another one."""
    home, owner = signer
    suite, _, component = suite.partition("/")
    listed = run(["apt-ftparchive", "packages", "pool" if suite else "."], cwd=folder).stdout
    top = folder / "dists" / suite if suite else folder
    index = top / component / "binary-amd64" if suite else folder
    index.mkdir(parents=True, exist_ok=True)
    (index / "Packages").write_text(listed)
    for name in ("InRelease", "Release"):
        (top / name).unlink(missing_ok=True)
    fields = {"Suite": suite, "Codename": suite, "Components": component, "Architectures": "amd64"} if suite else {}
    options = [w for key, value in fields.items() for w in ("-o", f"APT::FTPArchive::Release::{key}={value}")]
    release = run(["apt-ftparchive", *options, "release", "."], cwd=top).stdout
    (top / "Release").write_text(release)
    words = ["--digest-algo", "SHA256", "--local-user", f"={owner}", "--output"]
    repository.gpg(home, *words, top / "InRelease", "--clearsign", top / "Release")
