"""Limits that no host can pass, whatever it does: on its connection, on each command, on what it may ask of the operator.

pyinfra 3.10 tries everything again that it could not connect to, silence as well; waits an hour for a channel and for ever for
an exit status; stops the whole fleet for sudo's password; and an EOFError of one host ends the run of all. What is here stands
in for the methods of its SSH connector. The reason of a host's last trouble is kept, so that the table can name it.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from paramiko import SSHException
from paramiko.ssh_exception import NoValidConnectionsError
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.state import MAX_PARALLEL
from pyinfra.connectors import util
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.context import ctx_config

from deploys.plan.settings import Settings
from deploys.support.context import this_state

# Handshakes are work for this machine: of very many at once each would take longer than its limit.
_CONNECTING = BoundedSemaphore(64)
# A try that ended within these seconds was turned away and is worth another; silence is not.
QUICK = 5.0
# Seconds beyond a command's own limit, for what pyinfra does around it.
GRACE = 5.0
# Lines that are shown of a command whose connection was lost.
KEPT_LINES = 5
_TURNED_AWAY = ("banner", "eof", "closed", "reset", "no existing session")

_TROUBLE: dict[str, str] = {}
_CONNECTOR: Any = SSHConnector
_UTIL: Any = util
_run: Any = SSHConnector.run_shell_command
_getpass: Any = util.getpass


def trouble(host: Any) -> str:
    """Why the last command of this host gave no answer; empty when it gave one."""
    return _TROUBLE.get(host.name, "")


def contain() -> None:
    """Have pyinfra's SSH connector keep these limits from now on. May be called again."""
    _CONNECTOR.connect, _CONNECTOR.run_shell_command = connect, run_shell_command
    _UTIL.getpass = ask_password


def fit_parallel() -> None:
    """All hosts at once, as far as open files allow: pyinfra's 20 per processor is for work that the controller does.

    Steps of many minutes wait on the hosts. Only before pyinfra has made its pool, so from group data; `--parallel` wins.
    """
    if ctx_config.isset() and not ctx_config.get().PARALLEL:  # type: ignore[no-untyped-call]
        ctx_config.get().PARALLEL = MAX_PARALLEL  # type: ignore[no-untyped-call]


def connect(connector: Any) -> None:
    """Stands in for `SSHConnector.connect`. Raises ConnectError within `gpu_connect_timeout` seconds of its first try."""
    host = connector.host
    limit = _limit(host)
    with _CONNECTING:
        end = time.monotonic() + limit
        tries = int(connector.data["ssh_connect_retries"]) + 1
        while True:
            tries -= 1
            started = time.monotonic()
            why = _try(connector, end - started, limit)
            if why is None:
                return
            low, high = connector.data["ssh_connect_retry_min_delay"], connector.data["ssh_connect_retry_max_delay"]
            pause = random.uniform(low, high)  # noqa: S311 - spreads tries, hides nothing
            now = time.monotonic()
            if not tries or now + pause > end or now - started > QUICK or not _was_turned_away(why):
                _TROUBLE[host.name] = f"no connection: {_words(why)}"
                raise ConnectError(_TROUBLE[host.name])
            gevent.sleep(pause)


def _try(connector: Any, seconds: float, limit: float) -> Exception | None:
    """One try of at most `seconds`: None when it succeeded, else why not. Raises ConnectError where no other try can help."""
    timer = gevent.Timeout.start_new(max(seconds, 0.1))
    try:
        connector._connect()
    except gevent.Timeout as error:
        if error is not timer:
            raise
        _close(connector)
        return TimeoutError(f"no SSH session within {limit:.0f} s")
    except ConnectError as error:
        _TROUBLE[connector.host.name] = str(error)
        _close(connector)
        raise
    except Exception as error:  # noqa: BLE001 - a key that is not there, a name that is none: this host's trouble, whatever it is
        _close(connector)
        return error
    finally:
        timer.close()
    return None


def _close(connector: Any) -> None:
    client = getattr(connector, "client", None)
    if client is not None:
        client.close()


def _was_turned_away(error: Exception) -> bool:
    """A server that hangs up has too many others at its door; what is refused, unreachable or unknown stays so."""
    if isinstance(error, ConnectionResetError | BrokenPipeError | EOFError):
        return True
    return isinstance(error, SSHException) and any(word in str(error).lower() for word in _TURNED_AWAY)


def _words(error: Exception) -> str:
    if isinstance(error, NoValidConnectionsError):
        # One error per address of the name; the first says enough.
        error = next(iter(error.errors.values()))
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip() or type(error).__name__


def _limit(host: Any) -> float:
    """`gpu_connect_timeout` of a host; what is no number is refused later, with all other settings."""
    value = host.data.get("gpu_connect_timeout", Settings.connect_timeout)
    return float(value) if isinstance(value, int) and value > 0 else Settings.connect_timeout


def run_shell_command(connector: Any, *words: Any, **arguments: Any) -> Any:
    """Stands in for `SSHConnector.run_shell_command`: ends within `_timeout`, and every trouble is an OSError.

    Raises OSError (TimeoutError is one).
    """
    host, seconds = connector.host, arguments.get("_timeout")
    _TROUBLE.pop(host.name, None)
    timer = gevent.Timeout.start_new(seconds + GRACE if seconds else None)
    try:
        done, output = _run(connector, *words, **arguments)
    except gevent.Timeout as error:
        if error is not timer:
            raise
        _TROUBLE[host.name] = f"no answer within {seconds} s"
        raise TimeoutError from error
    except TimeoutError:
        _TROUBLE[host.name] = f"no answer within {seconds} s"
        raise
    except PermissionError as error:
        _TROUBLE[host.name] = str(error)
        raise
    except (OSError, SSHException, EOFError, AttributeError) as error:
        # paramiko's client of a lost connection has no transport: AttributeError.
        _TROUBLE[host.name] = f"the connection was lost: {_words(error)}"
        raise ConnectionError(_TROUBLE[host.name]) from error
    finally:
        timer.close()
    if not done:
        _TROUBLE[host.name] = _failure(connector, output)
    return done, output


def _failure(connector: Any, output: Any) -> str:
    """Why a command failed, in a line; half of an answer is not shown to the operator."""
    transport = connector.client.get_transport()
    if transport is None or not transport.is_active():
        del output.combined_lines[:-KEPT_LINES]
        return "the connection was lost in the middle of an answer"
    lines = output.stderr_lines
    return str(lines[-1][:200]) if lines else ""


def ask_password(prompt: str) -> str:
    """Stands in for `getpass`: one host on a terminal is asked for; in a fleet the question would hold all others.

    Raises PermissionError.
    """
    state = this_state()
    alone = state is not None and len(state.inventory) == 1
    if alone and sys.stdin is not None and sys.stdin.isatty():
        return str(_getpass(prompt))
    raise PermissionError(
        "sudo asks for a password: let this user run sudo without one (NOPASSWD in sudoers), or set _sudo_password in the host's data"
    )
