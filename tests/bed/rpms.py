"""Stand-in rpm packages in signed repositories of our own: what dnf must install, and what it must refuse."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from tests.bed import repository
from tests.bed.pack import Package, build_rpm
from tests.bed.shell import run
from tests.bed.spec import save

OWNER, STRANGER, EXPIRED, DISTRO = (
    f"{name} <{name}@example.invalid>" for name in ("vendor", "stranger", "expired", "distro")
)
LONG_AGO = "20240101T000000"  # the expired key lived for 30 days from here


@dataclass(frozen=True)
class Rpm:
    """A package without files. `version` is EPOCH:VERSION-RELEASE; `tags` are further lines of its spec, `post` its scriptlet."""

    name: str
    version: str
    tags: tuple[str, ...] = ()
    post: str = ""


@dataclass(frozen=True)
class RpmRepositories:
    """Repositories below one web server: NAME is the folder `folder`/www/NAME, at `url(NAME)`."""

    folder: Path
    home: Path
    base_url: str

    def url(self, name: str) -> str:
        return f"{self.base_url}/{name}"

    def key(self, owner: str) -> str:
        """The public key of `owner`, armoured."""
        return repository.gpg(self.home, "--armor", "--export", f"={owner}")

    def build(self, name: str, packages: Iterable[Rpm], owner: str) -> None:
        """Build packages into a repository, signed by `owner`; call `sign` afterwards."""
        target = self.folder / "www" / name
        target.mkdir(parents=True, exist_ok=True)
        for package in packages:
            self._sign_package(build(package, target), owner)

    def add(self, name: str, packages: Iterable[Package], owner: str) -> None:
        """As `build`, for packages with files."""
        target = self.folder / "www" / name
        target.mkdir(parents=True, exist_ok=True)
        for package in packages:
            self._sign_package(build_rpm(package, target), owner)

    def _sign_package(self, path: Path, owner: str) -> None:
        macros = ["__gpg /usr/bin/gpg", f"_gpg_path {self.home}", f"_gpg_name {owner}"]
        run(["rpmsign", *(word for macro in macros for word in ("--define", macro)), "--addsign", path])

    def sign(self, name: str, owner: str, streams: str = "") -> None:
        """Write the index of a repository anew, signed by `owner`; `streams`: its module documents ("" none)."""
        target = self.folder / "www" / name
        shutil.rmtree(target / "repodata", ignore_errors=True)
        run(["createrepo_c", "--quiet", target])
        if streams:
            (self.folder / "modules.yaml").write_text(streams)
            run(["modifyrepo_c", "--mdtype=modules", self.folder / "modules.yaml", target / "repodata"])
        self.sign_index(name, owner)

    def sign_index(self, name: str, owner: str) -> None:
        """Put the signature of `owner` under the index as it is."""
        index = self.folder / "www" / name / "repodata/repomd.xml"
        old = ["--faked-system-time", "20240102T000000"] if owner == EXPIRED else []
        words = [*old, "--local-user", f"={owner}", "--armor", "--detach-sign", "--output", f"{index}.asc"]
        repository.gpg(self.home, *words, index)

    def downloads(self) -> list[str]:
        """The packages that were asked for so far."""
        lines = (self.folder / "server.log").read_text(errors="replace").splitlines()
        return [line.split('"')[1] for line in lines if ".rpm HTTP" in line]


def build(package: Rpm, target: Path) -> Path:
    """Build one package in the folder `target`. Raises BedError."""
    epoch, _, rest = package.version.rpartition(":")
    version, _, release = rest.rpartition("-")
    lines = [
        f"Name: {package.name}\nVersion: {version}\nRelease: {release}\nSummary: stand-in\nLicense: MIT\nAutoReqProv: no",
        *([f"Epoch: {epoch}"] if epoch else []),
        *package.tags,
        "%description\nstand-in",
        *([f"%post -p /bin/sh\n{package.post}"] if package.post else []),
        "%files\n",
    ]
    name = f"{package.name}-{rest}.x86_64.rpm"
    with TemporaryDirectory() as folder:
        (Path(folder) / "x.spec").write_text("\n".join(lines))
        macros = [f"_topdir {folder}/top", f"_rpmdir {target}", f"_build_name_fmt {name}", "debug_package %{nil}"]
        defines = [word for macro in macros for word in ("--define", macro)]
        run(["rpmbuild", "-bb", "--quiet", "--nodeps", "--target", "x86_64", *defines, f"{folder}/x.spec"])
    return target / name


def stream(module: str, name: str, packages: Sequence[Rpm | Package]) -> str:
    """The document of a module stream that holds these packages."""
    files = "".join(f"    - {p.name}-{p.version}.x86_64\n" for p in packages)
    return (
        f'---\ndocument: modulemd\nversion: 2\ndata:\n  name: {module}\n  stream: "{name}"\n  version: 1\n  context: aa\n'
        "  arch: x86_64\n  summary: s\n  description: s\n  license: {module: [MIT]}\n"
        f"  artifacts:\n    rpms:\n{files}...\n"
    )


def start(folder: Path, address: str) -> RpmRepositories:
    """Make the keys, and serve `folder`/www on `address`. Raises BedError."""
    (folder / "www").mkdir(parents=True)
    home = Path(mkdtemp(prefix="bed-gpg-"))
    save(folder / "gnupg.json", {"home": str(home)})
    for owner in (OWNER, STRANGER, DISTRO):
        repository.gpg(home, "--passphrase", "", "--quick-gen-key", owner, "rsa2048", "sign", "never")
    old = ["--faked-system-time", LONG_AGO, "--passphrase", "", "--quick-gen-key", EXPIRED, "rsa2048", "sign", "30d"]
    repository.gpg(home, *old)
    process, port = repository.serve(folder, address)
    save(folder / "server.json", process.to_json())
    return RpmRepositories(folder, home, f"http://{address}:{port}")


def stop(folder: Path) -> None:
    """End the server and the key's agent, and delete everything."""
    repository.remove(folder)
