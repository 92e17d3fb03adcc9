"""What pyinfra tells of its operations: how long each takes on each host, what changed, what failed."""

from __future__ import annotations

from typing import Any

from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

from deploys.support.board import BOARD
from deploys.support.outcome import LEDGER, Timing

_TIMINGS: dict[tuple[str, str], Timing] = {}


def timed(host: str, key: str, step: str) -> None:
    """A step begins on a host."""
    BOARD.begin(host, key, step)
    _TIMINGS[host, key] = Timing(step, round(LEDGER.since(), 2), 0.0)


def over(host: str, key: str, *, failed: bool = False) -> None:
    """It has ended, well or badly."""
    seconds, timing = BOARD.end(host, key), _TIMINGS.get((host, key))
    if timing is None:
        return
    timing.seconds, timing.result = round(seconds, 2), "failed" if failed else "ok"
    LEDGER.of(host).timings.append(timing)


class Progress(BaseStateCallback):
    """Takes the time of each operation on each host, and remembers what changed or failed there."""

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: Any) -> None:
        if op_hash in state.ops[host]:
            timed(host.name, op_hash, _name(state, op_hash))

    @staticmethod
    def operation_host_success(state: State, host: Host, op_hash: Any, retry_count: int = 0) -> None:
        del state, retry_count
        # A proof that failed has taken its host out of the run without a failed command.
        over(host.name, op_hash, failed=LEDGER.of(host.name).state in ("failed", "not-ready"))

    @staticmethod
    def operation_host_error(
        state: State,
        host: Host,
        op_hash: Any,
        retry_count: int = 0,
        max_retries: int = 0,
    ) -> None:
        del retry_count, max_retries
        over(host.name, op_hash, failed=True)
        outcome = LEDGER.of(host.name)
        if outcome.state == "planned":
            outcome.state, outcome.detail = "failed", f"step failed: {_name(state, op_hash)}"

    @staticmethod
    def operation_end(state: State, op_hash: Any) -> None:
        for host in state.inventory:
            data = state.ops[host].get(op_hash)
            if data is not None and data.operation_meta.is_complete() and data.operation_meta.did_change():
                LEDGER.of(host.name).changed.append(_name(state, op_hash))
                if timing := _TIMINGS.get((host.name, op_hash)):
                    timing.changed = True


def _name(state: Any, op_hash: str) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names))
