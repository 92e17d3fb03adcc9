"""Stand-in packages in the three formats, from one description.

A `.deb` is made by dpkg-deb, an `.rpm` by rpmbuild; an Arch package is a tar archive with a `.PKGINFO` (see
PKGBUILD(5) and alpm's package format), which Python writes itself: makepkg takes seconds for each.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bed.shell import run

BUILT = 1_780_000_000  # seconds; one date for everything, so that the same description gives the same package


@dataclass(frozen=True)
class Package:
    """A package. `version` is "[EPOCH:]UPSTREAM-REVISION".

    `files` maps a path to its text or bytes, executable below a bin folder; `links` maps a path to what it points at.
    `post` is shell that runs after an installation or upgrade, `pre_remove` before a removal. Relations are in the
    format's own language.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    config: tuple[str, ...] = ()
    post: str = ""
    pre_remove: str = ""
    arch: str = "x86_64"

    @property
    def epoch(self) -> str:
        return self.version.partition(":")[0] if ":" in self.version else ""

    @property
    def upstream(self) -> str:
        """Version without epoch and revision."""
        return self.version.rpartition(":")[2].rpartition("-")[0]

    @property
    def revision(self) -> str:
        return self.version.rpartition("-")[2]


def mode_of(path: str) -> int:
    return 0o755 if re.search(r"/s?bin/|^/usr/lib/dkms/|\.sh$", path) else 0o644


def _stage(root: Path, package: Package) -> None:
    root.mkdir(mode=0o755, exist_ok=True)
    for path, content in package.files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        target.chmod(mode_of(path))
    for path, points_at in package.links.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(points_at)


# -- deb


def build_deb(package: Package, folder: Path) -> Path:
    """Build the .deb in `folder`; returns it. Raises BedError."""
    arch = "all" if package.arch in ("noarch", "any") else "amd64"
    control = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": arch,
        "Maintainer": "Test Bed <bed@example.invalid>",
        "Section": "utils",
        "Priority": "optional",
        "Depends": ", ".join(package.requires),
        "Provides": ", ".join(package.provides),
        "Conflicts": ", ".join(package.conflicts),
        "Replaces": ", ".join(package.replaces),
        "Description": f"stand-in for {package.name}",
    }
    output = folder / f"{package.name}_{package.version.replace(':', '%3a')}_{arch}.deb"
    with TemporaryDirectory() as name:
        root = Path(name) / "root"
        _stage(root, package)
        (root / "DEBIAN").mkdir()
        text = "".join(f"{key}: {value}\n" for key, value in control.items() if value)
        (root / "DEBIAN/control").write_text(text)
        if package.config:
            (root / "DEBIAN/conffiles").write_text("".join(f"{path}\n" for path in package.config))
        for script, when, body in (("postinst", "configure", package.post), ("prerm", "remove", package.pre_remove)):
            if body:
                (root / "DEBIAN" / script).write_text(f'#!/bin/sh\nset -e\n[ "$1" = {when} ] || exit 0\n{body}\n')
                (root / "DEBIAN" / script).chmod(0o755)
        run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, output])
    return output


# -- rpm

_DEFINES = {
    "debug_package": "%{nil}",
    "__os_install_post": "%{nil}",
    "_build_id_links": "none",
    "_binary_payload": "w1.gzdio",
    "_buildhost": "bed.invalid",
    "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    "_source_filedigest_algorithm": "8",
    "_binary_filedigest_algorithm": "8",
}


def _spec(package: Package) -> Iterator[str]:
    yield f"Name: {package.name}\nVersion: {package.upstream}\nRelease: {package.revision}"
    if package.epoch:
        yield f"Epoch: {package.epoch}"
    if package.arch == "noarch":
        yield "BuildArch: noarch"
    yield "Summary: stand-in\nLicense: MIT\nVendor: Test Bed\nAutoReqProv: no"
    for key, values in (
        ("Requires", package.requires),
        ("Provides", package.provides),
        ("Conflicts", package.conflicts),
        ("Obsoletes", package.replaces),
    ):
        yield from (f"{key}: {value}" for value in values)
    yield f"%description\nstand-in for {package.name}"
    for section, body in (("post", package.post), ("preun", package.pre_remove)):
        if body:
            guard = '[ "$1" = 0 ] || exit 0\n' if section == "preun" else ""
            yield f"%{section} -p /bin/sh\n{guard}{body.replace('%', '%%')}"
    yield "%install\ncp -a %{stage}/. %{buildroot}/\n%files"
    yield from (f"%config(noreplace) {path}" if path in package.config else path for path in package.files)
    yield from package.links


def build_rpm(package: Package, folder: Path) -> Path:
    """Build the .rpm in `folder`, unsigned; returns it. Raises BedError."""
    with TemporaryDirectory() as name:
        _stage(Path(name) / "root", package)
        spec = Path(name) / "package.spec"
        spec.write_text("\n".join(_spec(package)) + "\n")
        words: list[str | Path] = ["rpmbuild", "-bb", "--quiet", "--nodeps", "--target", "x86_64-linux"]
        places = {"_topdir": f"{name}/top", "_rpmdir": str(folder), "stage": f"{name}/root"}
        for key, value in {**_DEFINES, **places}.items():
            words += ["--define", f"{key} {value}"]
        run([*words, spec])
    arch = "noarch" if package.arch == "noarch" else "x86_64"
    return folder / f"{package.name}-{package.upstream}-{package.revision}.{arch}.rpm"


# -- Arch


def _pkginfo(package: Package, size: int) -> str:
    lines = [
        ("pkgname", package.name),
        ("pkgbase", package.name),
        ("xdata", "pkgtype=pkg"),
        ("pkgver", package.version),
        ("pkgdesc", f"stand-in for {package.name}"),
        ("url", "https://example.invalid/"),
        ("builddate", str(BUILT)),
        ("packager", "Test Bed <bed@example.invalid>"),
        ("size", str(size)),
        ("arch", "any" if package.arch in ("noarch", "any") else "x86_64"),
        ("license", "MIT"),
        *(("replaces", value) for value in package.replaces),
        *(("conflict", value) for value in package.conflicts),
        *(("provides", value) for value in package.provides),
        *(("backup", path.lstrip("/")) for path in package.config),
        *(("depend", value) for value in package.requires),
    ]
    return "".join(f"{key} = {value}\n" for key, value in lines)


def _install_script(package: Package) -> str:
    parts = []
    if package.post:
        parts.append(f"post_install() {{\n{package.post}\n}}\npost_upgrade() {{\n{package.post}\n}}\n")
    if package.pre_remove:
        parts.append(f"pre_remove() {{\n{package.pre_remove}\n}}\n")
    return "".join(parts)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = BUILT
    return member


def build_arch(package: Package, folder: Path) -> Path:
    """Build the .pkg.tar.gz in `folder`, unsigned; returns it."""
    arch = "any" if package.arch in ("noarch", "any") else "x86_64"
    output = folder / f"{package.name}-{package.version}-{arch}.pkg.tar.gz"
    with TemporaryDirectory() as name:
        root = Path(name) / "root"
        _stage(root, package)
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        with (
            gzip.GzipFile(output, "wb", compresslevel=1, mtime=BUILT) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
        ):
            for note, text in ((".PKGINFO", _pkginfo(package, size)), (".INSTALL", _install_script(package))):
                if text:
                    member = tarfile.TarInfo(note)
                    member.size = len(text.encode())
                    archive.addfile(_plain(member), io.BytesIO(text.encode()))
            for path in sorted(root.rglob("*")):
                archive.add(path, str(path.relative_to(root)), recursive=False, filter=_plain)
    return output


BUILDERS = {"deb": build_deb, "rpm": build_rpm, "arch": build_arch}
