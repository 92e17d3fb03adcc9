"""A reboot that is proven: a new boot identity within a limit by the clock, a fresh connection for every look.

pyinfra's own `server.reboot` counts attempts instead of seconds, compares uptimes and gives up on a host whose sshd outlives
its delay (tests/hosts shows the difference).
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import gevent
from pyinfra.api.command import StringCommand

from deploys.support.guard import log_error

RELEASE = "uname -r"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
LOOK_EVERY = 2.0
LOOK_LIMIT = 20.0
# Seconds for the rest of a boot once SSH answers.
SETTLE_LIMIT = 180


def reboot_host(state: Any, host: Any, timeout: float, sudo: dict[str, Any], kernel: str = "") -> bool:
    """Reboot and wait at most `timeout` seconds for another boot_id. False (with a line that says why) when it does not come.

    `kernel`: the release that should run then. Another one is told, and is no failure here: what follows judges the host as it is.
    """
    del state  # pyinfra takes the return value only of functions with this parameter
    before = _ask(host, sudo, BOOT_ID)
    if not before:
        host.log("not rebooted: its boot identity could not be read")
        return False
    started = time.monotonic()
    host.run_shell_command(
        StringCommand("( sleep 1; systemctl reboot || reboot ) </dev/null >/dev/null 2>&1 &"), **sudo
    )
    answered = left = False
    while time.monotonic() - started < timeout:
        gevent.sleep(LOOK_EVERY)
        now = _ask(host, sudo, BOOT_ID) if _reconnect(host) else None
        if now and now != before:
            _settle(host, sudo)
            host.log(f"back after {time.monotonic() - started:.0f} s, boot {now[:8]}")
            _compare(host, sudo, kernel)
            return True
        answered, left = answered or bool(now), left or not now
    what = "it does not answer"
    if answered and _ask(host, sudo, BOOT_ID) == before:
        what = "it still answers with the old boot identity"
        what += ", after a silence: it was not down" if left else ": it never went down"
    host.log(f"did not come back from its reboot within {timeout:.0f} s: {what}; look at its console")
    return False


def _compare(host: Any, sudo: dict[str, Any], kernel: str) -> None:
    """Tell a kernel that is not the one that was to be started."""
    running = _ask(host, sudo, RELEASE) if kernel else None
    if running and running != kernel:
        log_error(f"booted {running} instead of {kernel}: look at its console for why {kernel} did not come up")


def _settle(host: Any, sudo: dict[str, Any]) -> None:
    """SSH answers long before the boot has ended; services that are still starting would be judged as missing."""
    command = StringCommand(f"timeout {SETTLE_LIMIT} systemctl is-system-running --wait >/dev/null 2>&1; true")
    with gevent.Timeout(SETTLE_LIMIT + LOOK_LIMIT, exception=False), suppress(Exception):
        host.run_shell_command(command, **sudo)


def _ask(host: Any, sudo: dict[str, Any], question: str) -> str | None:
    try:
        with gevent.Timeout(LOOK_LIMIT):
            ok, output = host.run_shell_command(StringCommand(question), **sudo)
    except (gevent.Timeout, Exception):  # noqa: BLE001 - a dying host may answer with anything
        return None
    return output.stdout.strip() if ok else None


def _reconnect(host: Any) -> bool:
    """A new connection; pyinfra would keep the old one, which a reboot leaves half dead."""
    try:
        with gevent.Timeout(LOOK_LIMIT):
            client = getattr(host.connector, "client", None)
            if client is not None:
                client.close()
            host.connected = False
            host.connect(show_errors=False)
    except (gevent.Timeout, Exception):  # noqa: BLE001 - refused, reset, half a banner: all mean "not yet"
        return False
    return bool(host.connected)
