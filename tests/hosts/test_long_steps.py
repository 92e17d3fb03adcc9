"""Long steps on a real host: they outlive their connection, are attached to, end at their limit and show why they failed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from deploys.support.logged import start_command, unit_name, wait_command
from tests.bed.host import Host
from tests.bed.shell import wait_for


@pytest.fixture(scope="module")
def host(make_module_host: Callable[..., Host]) -> Host:
    return make_module_host("bookworm", "long-steps")


def start(host: Host, script: str, limit: int = 60) -> subprocess.CompletedProcess[str]:
    return host.ssh(start_command("rehearsal", limit), text_in=script, check=False, timeout=90)


def active(host: Host) -> bool:
    return host.nsenter(f"systemctl is-active --quiet {unit_name('rehearsal')}", check=False).returncode == 0


def test_success_is_silent_and_leaves_only_the_log(host: Host) -> None:
    done = start(host, "echo all is well\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert host.nsenter("cat /var/log/gpu-host/rehearsal.log").stdout == "all is well\n"
    assert host.nsenter("ls -A /var/lib/gpu-host").stdout == ""


def test_failure_shows_the_end_of_the_log_and_where_it_is(host: Host) -> None:
    done = start(
        host, "i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo line $i; done; printf 'bad \\377 byte\\n'; exit 7\n"
    )
    assert done.returncode == 7
    assert "line 499" in done.stderr
    assert "line 400\n" not in done.stderr
    assert "bad  byte" in done.stderr
    assert "/var/log/gpu-host/rehearsal.log" in done.stderr


def test_script_is_readable_by_root_only(host: Host) -> None:
    done = start(host, "stat -c '%a %U' /var/lib/gpu-host /var/lib/gpu-host/rehearsal.sh >&2; exit 1\n")
    assert "700 root\n600 root\n" in done.stderr


def test_lost_connection_does_not_stop_a_step_and_a_new_run_attaches(host: Host) -> None:
    script = "sleep 6; echo once >>/root/ran; exit 5\n"
    words = ["ssh", *host.ssh_options(), f"root@{host.address}", start_command("rehearsal", 60)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        client.stdin.write(script)
        client.stdin.close()
        wait_for(lambda: active(host), 20, "the step to start")
        client.kill()
    assert active(host)
    again = start(host, "echo twice >>/root/ran\n")
    assert again.returncode == 5
    assert host.nsenter("cat /root/ran").stdout == "once\n"


def test_waiting_for_a_step_that_has_ended_tells_its_status(host: Host) -> None:
    host.ssh("printf 3 >/var/lib/gpu-host/rehearsal.rc; : >/var/log/gpu-host/rehearsal.log")
    assert host.ssh(wait_command("rehearsal"), check=False).returncode == 3


def test_step_ends_at_its_limit_and_cleans_up(host: Host) -> None:
    done = start(host, "trap 'rm -f /root/held' EXIT; trap 'exit 143' TERM; touch /root/held; sleep 300\n", limit=3)
    assert done.returncode == 124
    wait_for(lambda: not active(host), 20, "the unit to end")
    assert host.nsenter("test -e /root/held", check=False).returncode == 1
    assert host.nsenter("pgrep -f 'sleep 300'", check=False).returncode == 1
