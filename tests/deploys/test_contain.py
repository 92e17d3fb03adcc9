"""No host holds a run longer than its limit, and the table says what was wrong with it."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from paramiko import SSHException
from paramiko.ssh_exception import NoValidConnectionsError

from deploys.support import contain

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), True),
        (EOFError(), True),
        (SSHException("Error reading SSH protocol banner"), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), False),
        (NoValidConnectionsError({("192.0.2.1", 22): ConnectionRefusedError(111, "Connection refused")}), False),
        (TimeoutError("no SSH session within 30 s"), False),
        (OSError(errno.EHOSTUNREACH, "No route to host"), False),
        (socket.gaierror(-2, "Name or service not known"), False),
        (SSHException("Server 'x' not found in known_hosts"), False),
    ],
)
def test_only_who_is_turned_away_tries_again(error: Exception, again: bool) -> None:
    assert contain._was_turned_away(error) == again


def test_words_of_an_error_are_those_of_the_system() -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    assert contain._words(NoValidConnectionsError({("192.0.2.1", 22): refused})) == "Connection refused"
    assert contain._words(EOFError()) == "EOFError"


def test_sudo_in_a_fleet_fails_the_host_instead_of_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contain, "this_state", lambda: None)
    with pytest.raises(PermissionError, match="NOPASSWD"):
        contain.ask_password("sudo password: ")


def test_hosts_that_cannot_be_reached_are_named_each_for_itself_within_their_limit(tmp_path: Path) -> None:
    """By the real front door: one port that takes connections and says nothing, one that is closed, a key that is not there, a name that is none."""
    with socket.create_server(("127.0.0.1", 0)) as mute, socket.create_server(("127.0.0.1", 0)) as other:
        closed = other.getsockname()[1]
        other.close()
        shared: dict[str, Any] = {"ssh_hostname": "127.0.0.1", "gpu_connect_timeout": 2, "ssh_user": "root"}
        shared |= {"ssh_known_hosts_file": str(tmp_path / "known"), "gpu_report_dir": str(tmp_path)}
        hosts = [("mute", {**shared, "ssh_port": mute.getsockname()[1]}), ("closed", {**shared, "ssh_port": closed})]
        (tmp_path / "empty.key").write_text("")
        hosts += [
            ("keyless", {**shared, "ssh_port": closed, "ssh_key": str(tmp_path / "no.key")}),
            ("badkey", {**shared, "ssh_port": closed, "ssh_key": str(tmp_path / "empty.key")}),
            ("misnamed", {**shared, "ssh_hostname": "a" * 70}),
        ]
        inventory = tmp_path / "inventory.py"
        inventory.write_text(f"hosts = {hosts!r}\n")
        words = [sys.executable, "-m", "deploys.support.front", str(inventory), "deploys/preflight.py"]
        started = time.monotonic()
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        seconds = time.monotonic() - started
    assert done.returncode != 0, done.stderr
    rows = {line.split()[0]: line for line in done.stderr.rpartition("\nhost ")[2].splitlines() if line.split()}
    assert "no SSH session within 2 s" in rows["mute"]
    assert "Connection refused" in rows["closed"]
    assert "No such private key file" in rows["keyless"]
    assert "Invalid private key file" in rows["badkey"]
    assert "label" in rows["misnamed"] or "not known" in rows["misnamed"]
    assert seconds < 60, "pyinfra's own limits would have taken a minute and a half"
