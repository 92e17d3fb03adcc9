"""The run's SSH key and what it knows of its hosts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.bed.shell import run


@dataclass(frozen=True)
class Keys:
    """The run's SSH key and known hosts, in one folder."""

    folder: Path

    @property
    def private(self) -> Path:
        return self.folder / "id"

    @property
    def public(self) -> str:
        return self.private.with_suffix(".pub").read_text()

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def know(self, address: str, host_key: str) -> None:
        """Note a host's key instead of that of an earlier host with this address: paramiko believes the first line."""
        lines = self.known_hosts.read_text().splitlines()
        others = [line for line in lines if line.split(" ", 1)[0] != address]
        self.known_hosts.write_text("".join(f"{line}\n" for line in [*others, f"{address} {host_key.strip()}"]))

    def make(self) -> None:
        if not self.private.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bed", "-f", self.private])
        self.known_hosts.touch()
