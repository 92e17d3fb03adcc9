"""The machine that runs this is never rebooted by it; the wait for a reboot is a matter of the clock."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state

from deploys.operations.reboot import rebooted_when_needed
from deploys.support import reboot, world
from tests.plan.hosts import debian_12_bare


class LocalConnector:
    """Named like pyinfra's; that name is what tells."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reboot, "LOOK_EVERY", 0.01)


def test_local_machine_is_told_to_reboot_and_left_alone() -> None:
    said: list[str] = []
    host = SimpleNamespace(name="local", connector=LocalConnector(), log=said.append, noop=said.append)
    world._MACHINES["local"] = debian_12_bare()
    with ctx_host.use(host), ctx_state.use(SimpleNamespace(is_executing=True)):
        assert list(rebooted_when_needed._inner(allowed=True, timeout=60)) == []
    assert "reboot this machine, then run again" in said[0]


class Machine:
    """A host that answers a boot identity per question; None and exceptions stand for a machine that is down."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.connector = SimpleNamespace(client=None)
        self.connected = True
        self.said: list[str] = []

    def log(self, text: str) -> None:
        self.said.append(text)

    def connect(self, show_errors: bool) -> None:
        assert not show_errors
        self.connected = True

    def run_shell_command(self, command: Any, **_: Any) -> tuple[bool, Any]:
        if "reboot" in str(command):
            return True, SimpleNamespace(stdout="")
        if "uname" in str(command):
            return True, SimpleNamespace(stdout="6.1.0-9\n")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer is not None, SimpleNamespace(stdout=answer or "")


def test_another_identity_ends_the_wait() -> None:
    host = Machine("a", "a", OSError("reset"), None, "b")
    assert reboot.reboot_host(None, host, 20, {})
    assert "back after" in host.said[-1]


@pytest.mark.parametrize(("kernel", "told"), [("6.1.0-10", True), ("6.1.0-9", False), ("", False)])
def test_another_kernel_is_told_by_name(monkeypatch: pytest.MonkeyPatch, kernel: str, told: bool) -> None:
    """The host is back all the same: what follows judges it as it is."""
    said: list[str] = []
    monkeypatch.setattr(reboot, "log_error", said.append)
    assert reboot.reboot_host(None, Machine("a", None, "b"), 20, {}, kernel)
    assert [text.partition(":")[0] for text in said] == (["booted 6.1.0-9 instead of 6.1.0-10"] if told else [])


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (("a", None), "does not answer"),
        (("a", "a"), "old boot identity: it never went down"),
        (("a", "a", None, "a"), "old boot identity, after a silence: it was not down"),
    ],
)
def test_limit_is_kept_by_the_clock(answers: tuple[Any, ...], words: str) -> None:
    host = Machine(*answers)
    started = time.monotonic()
    assert not reboot.reboot_host(None, host, 0.3, {})
    assert time.monotonic() - started < 5
    assert words in host.said[-1]


def test_host_without_an_identity_is_not_rebooted() -> None:
    host = Machine(None)
    assert not reboot.reboot_host(None, host, 1, {})
    assert host.said == ["not rebooted: its boot identity could not be read"]
