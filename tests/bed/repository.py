"""A signed flat apt repository in the shape of NVIDIA's for the container toolkit, served on the bridge."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.bed import stubs
from tests.bed.processes import Process, start_detached
from tests.bed.shell import run, run_python, wait_for
from tests.bed.spec import save

PATH = "libnvidia-container/stable/deb/amd64"  # as below https://nvidia.github.io/
OWNER = "Test Bed Vendor <vendor@example.invalid>"
STRANGER = "Test Bed Stranger <stranger@example.invalid>"


def gpg(home: Path, *arguments: str | Path) -> str:
    """Run GnuPG in a home of our own; returns its output. Raises BedError."""
    words: list[str | Path] = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"]
    return run([*words, *arguments], timeout=120).stdout


def fingerprint(home: Path, owner: str) -> str:
    listed = gpg(home, "--with-colons", "--list-keys", f"={owner}")
    found = re.search(r"^fpr:+([0-9A-F]{40}):", listed, re.MULTILINE)
    return found.group(1) if found else ""


@dataclass(frozen=True)
class Repository:
    """A running stand-in repository. `home` is its GnuPG home; `fingerprint` has 40 hexadecimal digits."""

    folder: Path
    home: Path
    base_url: str
    fingerprint: str

    @property
    def key_path(self) -> Path:
        """The public key that signs it, armoured."""
        return self.folder / "vendor.asc"

    @property
    def stranger_key_path(self) -> Path:
        """A public key that does not."""
        return self.folder / "stranger.asc"

    @property
    def url(self) -> str:
        """For a source line `deb [signed-by=...] URL /`."""
        return f"{self.base_url}/{PATH}"

    @property
    def packages(self) -> Path:
        """The folder that is served at `url`."""
        return self.folder / "www" / PATH

    def sign(self, owner: str = OWNER) -> None:
        """Write Packages, Release and InRelease anew, signed by `owner` (STRANGER for a wrong signature)."""
        listed = run(["apt-ftparchive", "packages", "."], cwd=self.packages).stdout
        (self.packages / "Packages").write_text(listed)
        run(["gzip", "-9", "-k", "-f", "-n", self.packages / "Packages"])
        before = [f.stat().st_mtime for f in self.packages.glob("*Release")]
        for name in ("InRelease", "Release", "Release.gpg"):
            (self.packages / name).unlink(missing_ok=True)
        release = run(["apt-ftparchive", "release", "."], cwd=self.packages).stdout
        (self.packages / "Release").write_text(release)
        sign = ["--digest-algo", "SHA256", "--local-user", f"={owner}", "--output"]
        gpg(self.home, *sign, self.packages / "InRelease", "--clearsign", self.packages / "Release")
        gpg(self.home, *sign, self.packages / "Release.gpg", "--armor", "--detach-sign", self.packages / "Release")
        # HTTP dates have seconds: what is signed twice in one second would count as unchanged.
        now = max([time.time(), *(t + 2 for t in before)])
        for name in ("InRelease", "Release", "Release.gpg"):
            os.utime(self.packages / name, (now, now))

    def add(self, packages: Sequence[stubs.Stub], version: str) -> None:
        """Build packages into the repository; call `sign` afterwards."""
        for stub in packages:
            stubs.build(stub, version, self.packages)

    def requests(self) -> list[str]:
        """The server's log so far: one line per request."""
        lines = (self.folder / "server.log").read_text(errors="replace").splitlines()
        return [line for line in lines if '"GET ' in line or '"HEAD ' in line]


def serve(folder: Path, address: str) -> tuple[Process, int]:
    """Start a web server for `folder`/www in a process of its own; returns it and its port."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
    words = [*run_python("http.server", "--bind", address, "--directory", folder / "www"), str(port)]
    process = start_detached(words, folder / "server.log", folder)

    def answers() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((address, port)) == 0

    wait_for(answers, 20, f"the stand-in repository on {address}:{port}", pause=0.05)
    return process, port


def start(folder: Path, address: str) -> Repository:
    """Make the keys, build and sign the toolkit's packages under `folder`, and serve them. Raises BedError."""
    (folder / "www" / PATH).mkdir(parents=True)
    home = Path(mkdtemp(prefix="bed-gpg-"))  # a short path: GnuPG puts sockets there
    save(folder / "gnupg.json", {"home": str(home)})
    for owner, name in ((OWNER, "vendor.asc"), (STRANGER, "stranger.asc")):
        gpg(home, "--passphrase", "", "--quick-gen-key", owner, "rsa2048", "sign", "never")
        (folder / name).write_text(gpg(home, "--armor", "--export", f"={owner}"))
    process, port = serve(folder, address)
    save(folder / "server.json", process.to_json())
    repository = Repository(folder, home, f"http://{address}:{port}", fingerprint(home, OWNER))
    repository.add(stubs.toolkit(), stubs.VERSION)
    repository.sign()
    shutil.copyfile(repository.key_path, folder / "www/libnvidia-container/gpgkey")
    save(folder / "repository.json", {"base_url": repository.base_url, "fingerprint": repository.fingerprint})
    return repository


def load(folder: Path) -> Repository | None:
    """The repository that an earlier command started in `folder`; None when there is none that runs."""
    if not (folder / "repository.json").exists() or not Process.from_json(_read(folder / "server.json")).alive:
        return None
    known = _read(folder / "repository.json")
    return Repository(folder, Path(_read(folder / "gnupg.json")["home"]), known["base_url"], known["fingerprint"])


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def remove(folder: Path) -> None:
    """Stop what is noted in `folder`, and delete it; harmless when it is half made or gone."""
    if (folder / "server.json").exists():
        Process.from_json(_read(folder / "server.json")).end()
    if (folder / "gnupg.json").exists():
        home = Path(_read(folder / "gnupg.json")["home"])
        run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
