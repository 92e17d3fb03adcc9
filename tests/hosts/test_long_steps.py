"""Long steps on a real host: they outlive their connection, are attached to, end at their limit and show why they failed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from deploys.knowledge.paths import unit_name
from deploys.support.logged import start_command, wait_command
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
    assert host.nsenter("ls -A /var/lib/gpu-host; ls /run/gpu-host").stdout.split() == ["lock", "rehearsal.rc"]


def test_failure_shows_the_end_of_the_log_and_where_it_is(host: Host) -> None:
    done = start(
        host, "i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo line $i; done; printf 'bad \\377 byte\\n'; exit 7\n"
    )
    assert done.returncode == 7
    assert "line 499" in done.stderr
    assert "line 400\n" not in done.stderr
    assert "bad  byte" in done.stderr
    assert "/var/log/gpu-host/rehearsal.log" in done.stderr
    assert host.nsenter("systemctl list-units --all --plain --no-legend 'gpu-host-*'").stdout == ""


def test_a_step_can_start_right_after_its_last_end(host: Host) -> None:
    """systemd knows the old unit for a moment longer."""
    script = "\n".join(f"printf 'exit {n}\\n' | ( {start_command('rehearsal', 60)}\n); echo $?" for n in range(8))
    assert host.ssh(script, timeout=120).stdout.split() == [str(n) for n in range(8)]


def test_script_is_readable_by_root_only(host: Host) -> None:
    done = start(host, "stat -c '%a %U' /run/gpu-host $0 >&2; exit 1\n")
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


def test_waiting_reads_only_and_ends_with_the_step(host: Host) -> None:
    first = f"{start_command('rehearsal', 60)}"
    words = ["ssh", *host.ssh_options(), f"root@{host.address}", first]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        client.stdin.write("sleep 4; exit 3\n")
        client.stdin.close()
        wait_for(lambda: active(host), 20, "the step to start")
        assert host.ssh(wait_command("rehearsal", 60)).returncode == 0
        assert not active(host)
        assert client.wait(timeout=30) == 3, "the one who started it gets its status all the same"


def test_one_step_at_a_time_whoever_started_it(host: Host) -> None:
    words = ["ssh", *host.ssh_options(), f"root@{host.address}", start_command("rehearsal", 60)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        client.stdin.write("sleep 5\n")
        client.stdin.close()
        wait_for(lambda: active(host), 20, "the step to start")
        other = host.ssh(start_command("transaction", 60), text_in="touch /root/both\n", check=False)
        assert client.wait(timeout=30) == 0
    assert other.returncode == 75
    assert "another run is at work on this host" in other.stderr
    assert host.nsenter("test -e /root/both", check=False).returncode == 1


def test_step_that_must_not_be_stopped_goes_on_after_the_limit(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploys.support.logged.GRACE", 1)
    command = start_command("transaction", 2, may_stop=False)
    done = host.ssh(command, text_in="sleep 8; touch /root/finished\n", check=False)
    assert done.returncode == 75
    assert "run again to wait for it" in done.stderr
    again = host.ssh(start_command("transaction", 60, may_stop=False), text_in="exit 9\n", check=False)
    assert again.returncode == 0
    assert host.nsenter("test -e /root/finished").returncode == 0


def test_step_ends_at_its_limit_and_cleans_up(host: Host) -> None:
    """No command of the clean-up is cut off by the stop itself."""
    trap = "trap 'sleep 2 && rm -f /root/held' EXIT; trap 'exit 143' TERM; touch /root/held; sleep 300\n"
    done = start(host, trap, limit=3)
    assert done.returncode == 124
    assert host.nsenter("test -e /root/held", check=False).returncode == 1
    assert host.nsenter("pgrep -x sleep", check=False).returncode == 1
