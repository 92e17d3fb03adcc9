"""Files written on a real host: whole, by rename, and the host's own keep owner, mode and links."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deploys.operations.files import write
from deploys.plan.files import KEEP, FileChange
from tests.bed.host import Host


@pytest.fixture(scope="module")
def host(make_module_host: Callable[..., Host]) -> Host:
    return make_module_host("bookworm", "files")


def put(host: Host, path: str, content: str, mode: str = "644") -> int:
    command = write(FileChange(path, content, "a test", mode))
    text = command.connector_arguments["_stdin"]
    return host.ssh(command.get_raw_value(), text_in=str(text), check=False).returncode


def look(host: Host, path: str) -> str:
    return host.nsenter(f"stat -c '%a %U:%G %F' {path}; cat {path}").stdout


def test_new_file_of_ours(host: Host) -> None:
    assert put(host, "/etc/new folder/it's.conf", "one\n") == 0
    assert look(host, "'/etc/new folder/it'\\''s.conf'") == "644 root:root regular file\none\n"


def test_new_folders_can_be_read_by_whoever_may_read_the_file(host: Host) -> None:
    assert put(host, "/etc/one/two/three.conf", "x\n") == 0
    assert host.nsenter("stat -c %a /etc/one /etc/one/two").stdout == "755\n755\n"


def test_own_file_of_the_host_keeps_mode_and_owner(host: Host) -> None:
    host.nsenter("echo old >/etc/secret.list; chown www-data:daemon /etc/secret.list; chmod 640 /etc/secret.list")
    assert put(host, "/etc/secret.list", "new\n", KEEP) == 0
    assert look(host, "/etc/secret.list") == "640 www-data:daemon regular file\nnew\n"


def test_link_of_the_host_stays_a_link(host: Host) -> None:
    host.nsenter("mkdir -p /srv/cfg; echo old >/srv/cfg/real; chmod 600 /srv/cfg/real; ln -s /srv/cfg/real /etc/linked")
    assert put(host, "/etc/linked", "new\n", KEEP) == 0
    assert host.nsenter("readlink /etc/linked").stdout == "/srv/cfg/real\n"
    assert look(host, "/srv/cfg/real") == "600 root:root regular file\nnew\n"


def test_failure_leaves_the_old_file_and_no_other(host: Host) -> None:
    host.nsenter("mkdir -p /etc/full; mount -t tmpfs -o size=16k tmpfs /etc/full; echo old >/etc/full/f")
    assert put(host, "/etc/full/f", "x" * 100_000, KEEP) != 0
    assert host.nsenter("ls /etc/full; cat /etc/full/f").stdout == "f\nold\n"
