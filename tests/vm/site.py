"""What a machine that provisions itself needs around it: cloud-init's data, the repository, Python packages, a collector."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.bed.shell import REPOSITORY
from tests.vm import network
from tests.vm.commands import VmError, run

# Python of the guest's release (Debian 13).
GUEST_PYTHON = "3.13"


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, and keeps what is put or posted."""

    server: _Server

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.results.append((self.path, json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    results: list[tuple[str, dict[str, Any]]]


class Site:
    """`with Site(folder, cloud_config) as site`: serves on the bridge's address. `results` are (path, document)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = _Server((network.GATEWAY, 0), partial(_Handler, directory=str(folder)))
        self._server.results = []
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,))

    def __enter__(self) -> Site:  # noqa: PYI034 - Self is not in Python 3.10
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://{network.GATEWAY}:{self._server.server_port}"

    @property
    def results(self) -> list[tuple[str, dict[str, Any]]]:
        return list(self._server.results)

    def publish_repository(self) -> str:
        """What is committed here, with what is not, as a repository that git reads over plain HTTP; returns its commit."""
        work = self.folder / "work"
        run("git", "clone", "-q", "--no-hardlinks", str(REPOSITORY), str(work))
        listed = subprocess.run(
            ["git", "-C", str(REPOSITORY), "ls-files", "-co", "--exclude-standard", "-z"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for name in filter(None, listed.split("\0")):
            if (REPOSITORY / name).is_file():
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                (work / name).write_bytes((REPOSITORY / name).read_bytes())
                (work / name).chmod((REPOSITORY / name).stat().st_mode & 0o777)
        git = ("git", "-C", str(work), "-c", "user.name=test", "-c", "user.email=test@example.invalid")
        run(*git, "add", "-A")
        run(*git, "commit", "-q", "--allow-empty", "-m", "state of the working tree")
        run("git", "clone", "-q", "--bare", str(work), str(self.folder / "gpu-host.git"))
        run("git", "-C", str(self.folder / "gpu-host.git"), "update-server-info")
        return run(*git, "rev-parse", "HEAD").stdout.strip()

    def publish_wheels(self) -> None:
        """The pinned requirements for the guest's Python, from where this machine's pip takes them. Raises VmError."""
        words = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", GUEST_PYTHON)
        lock = str(REPOSITORY / "requirements.lock")
        done = run(
            sys.executable, "-m", "pip", "download", "-q", *words, "-r", lock, "-d", str(self.folder / "wheels"),
            timeout=600, check=False,
        )  # fmt: skip
        if done.returncode:
            raise VmError(f"pip cannot fetch the requirements for Python {GUEST_PYTHON}:\n{done.stderr}")

    def publish_seed(self, user_data: str, name: str) -> str:
        """cloud-init's data (source: cloud-init, NoCloud); returns the address to give to the guest."""
        seed = self.folder / "seed"
        seed.mkdir()
        (seed / "user-data").write_text(user_data)
        (seed / "meta-data").write_text(f"instance-id: {name}\nlocal-hostname: {name}\n")
        (seed / "vendor-data").write_text("")
        return f"{self.url}/seed/"
