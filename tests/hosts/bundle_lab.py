"""A site without internet for hosts of any family: a bundle is made with the package manager of a connected one, and carried there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bed.families import FAMILIES
from tests.bed.host import Host
from tests.bed.shell import REPOSITORY
from tests.hosts.families_lab import HOSTS, Family

LIMIT = 900
WORK = "srv/collect"


def bundle(*words: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`./provision bundle` with these words."""
    done = subprocess.run(
        [sys.executable, "-m", "deploys.operations.bundle", *words],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT, check=False, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    print(done.stderr)
    return done


@dataclass(frozen=True)
class Collecting:
    """A machine with internet and the package manager of `host`: this one, with that program, and rpm, run in the host.

    Both see the folder `work` under the same path.
    """

    host: Host
    program: str

    @property
    def work(self) -> Path:
        return self.host.root / WORK

    def open(self) -> None:
        root, leader = self.host.root, self.host.leader
        assert leader is not None
        self.work.mkdir(parents=True, exist_ok=True)
        self.host.nsenter(f"mkdir -p {root.parent} && ln -s / {root}")
        (self.work / "bin").mkdir()
        for name in (self.program, "rpm"):
            program = self.work / "bin" / name
            program.write_text(f'#!/bin/sh\nexec nsenter -t {leader.pid} -m -u -i -n -p -r -w /usr/bin/{name} "$@"\n')
            program.chmod(0o755)

    def make(self, family: Family, archives: Mapping[str, str], key: Path) -> Path:
        """A bundle for that host's own release, kernel and GPU; `key` is that of its archive."""
        name = self.host.name
        (self.work / "data.json").write_text(json.dumps({**family.data, "gpu_driver_branch": family.branch}))
        made = self.work / "made"
        words = ["--distro", HOSTS[name].rpartition(".")[0] if name == "rocky" else HOSTS[name], "--gpu", "10de:1eb8"]
        words += ["--kernel", FAMILIES[name].release, "--data", str(self.work / "data.json")]
        words += ["--archive-key", str(key)]
        for part, url in archives.items():
            words += ["--archive", f"{part}={url}"]
        environment = {"PATH": f"{self.work / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(self.work)}
        assert bundle(str(made), *words, environment=environment).returncode == 0
        return made

    def close(self) -> None:
        root = self.host.root
        shutil.rmtree(self.work)
        self.host.nsenter(f"rm {root}; rmdir -p --ignore-fail-on-non-empty {root.parent}")
