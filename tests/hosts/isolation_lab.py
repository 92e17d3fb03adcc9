"""Twenty hosts that are done, and the ten ways in which one of them can be bad."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts.sections import replace_section
from facts.subject import PROBE
from tests.bed.fleet import Fleet
from tests.bed.inventory import Member, run_pyinfra, write_inventory

RECORDINGS = Path(__file__).parents[2] / "inventories/recordings"
SIZE = 20
# Seconds that the run gives a host to connect, and to answer.
CONNECT, ANSWER = 5, 10
TIMES = frozenset({"seen", "last_proof", "timings"})
GPU = "0, NVIDIA A100-SXM4-80GB, 550.163.01"


def _said(subject: str, *lines: str) -> str:
    body = "".join(f"|{line}\n" for line in lines)
    return f"\n### {PROBE} begin 1\n\n### {subject} begin 64000\n{body}\n### {subject} end 0\n\n### {PROBE} end 0\n"


def answers() -> dict[str, str]:
    """What a host that is done answers; "full": a bare one whose disk is full."""
    bare = (RECORDINGS / "debian-12-bare.txt").read_text()
    rows = [
        f"path {path}\nspace /dev/vda1 41020640 41020640 0 100% /\ninodes /dev/vda1 2621440 2621440 0 100% /"
        for path in ("/", "/boot", "/usr", "/var", "/tmp")
    ]
    return {
        "probe": (RECORDINGS / "debian-13-converged.txt").read_text(),
        "proof": _said("proof", f"smi {GPU}", "smicode 0", "log read", "cuda 0"),
        "container": _said("container-proof", *(f"code {which} 0" for which in ("run", "option", "compose", "reload")), *(f"said {which} 0" for which in ("run", "option", "compose", "reload"))),
        "full": replace_section(bare, "filesystems", "\n".join(rows) + "\n"),
    }  # fmt: skip


@dataclass(frozen=True)
class Way:
    """A way to be bad: the state that the host ends in, and words of the line that says why."""

    state: str
    words: str
    limit: float


WAYS: Mapping[str, Way] = {
    "dead": Way("unreachable", f"no connection: no SSH session within {CONNECT} s", CONNECT),
    "refuses": Way("unreachable", "no connection: Connection refused", CONNECT),
    "silent": Way("unreachable", f"no connection: no SSH session within {CONNECT} s", CONNECT),
    "key": Way("unreachable", "does not match", CONNECT),
    "garbage": Way("failed", "got no answer that can be read", ANSWER),
    "hangs": Way("failed", f"no answer within {ANSWER} s", ANSWER),
    "endless": Way("failed", "cut off", ANSWER),
    "sudo": Way("failed", "sudo asks for a password", ANSWER),
    "full": Way("refused", "disk_space", ANSWER),
    "drops": Way("failed", "the connection was lost", ANSWER),
}


@contextmanager
def _mute(address: str) -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server((address, 0), backlog=64) as server:
        yield server.getsockname()[1]


@dataclass
class Done:
    """A run: its end, and what the result file and the table say of each host."""

    code: int
    seconds: float
    text: str
    hosts: dict[str, dict[str, Any]]

    def end(self, name: str) -> dict[str, Any]:
        """What became of a host, without the times."""
        return {key: value for key, value in self.hosts[name].items() if key not in TIMES}

    def row(self, name: str) -> str:
        """The host's row of the table."""
        table = self.text.rpartition("\nhost ")[2]
        return next((line for line in table.splitlines() if line.split()[:1] == [name]), "")


def run(fleet: Fleet, folder: Path, bad: Mapping[str, str]) -> Done:
    """The deploy over the fleet, in which these hosts are bad in these ways."""
    fleet.behave("answer")
    members: list[Member] = []
    with _mute(fleet.host.network.gateway) as port:
        own: dict[str, dict[str, Any]] = {"silent": {"ssh_hostname": fleet.host.network.gateway, "ssh_port": port}}
        own |= {"sudo": {"_sudo": True}, "key": {"ssh_known_hosts_file": str(_other_keys(fleet, folder))}}
        for name in fleet.addresses:
            way = bad.get(name, "")
            if way in ("dead", "refuses"):
                fleet.filter(name, {"dead": "DROP", "refuses": "REJECT"}[way])
            elif way and way not in ("silent", "key"):
                fleet.behave(way, name)
            members.append(fleet.data(name, **own.get(way, {})))
        shared = {"gpu_report_dir": str(folder), "gpu_connect_timeout": CONNECT, "gpu_probe_timeout": ANSWER}
        inventory = write_inventory(folder / "inventory.py", members, shared)
        started = time.monotonic()
        done = _run(inventory)
        seconds = time.monotonic() - started
    for name, way in bad.items():
        if way in ("dead", "refuses"):
            fleet.unfilter(name)
    document = json.loads((folder / "latest.json").read_text())
    return Done(done.returncode, seconds, done.stderr, {h["host"]: h for h in document["hosts"]})


def _run(inventory: Path) -> subprocess.CompletedProcess[str]:
    """By the front door's defaults, without a terminal."""
    groups = Path(__file__).parents[2] / "inventories/group_data"
    return run_pyinfra(
        inventory, "deploys/gpu_host.py", "-y", "--group-data", groups, timeout=300, env={"PYTHONFAULTHANDLER": "1"}
    )


def _other_keys(fleet: Fleet, folder: Path) -> Path:
    """Known hosts of which every key is another one than the host's."""
    lines = fleet.host.keys.known_hosts.read_text().splitlines()
    path = folder / "other-keys"
    key = _new_key(folder)
    path.write_text("".join(f"{line.split(' ', 1)[0]} {key}\n" for line in lines))
    return path


def _new_key(folder: Path) -> str:
    path = folder / f"key-{os.getpid()}"
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])
