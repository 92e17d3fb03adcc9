"""A line at least every half minute while a step runs: pyinfra is silent for as long as a command takes."""

from __future__ import annotations

import time
from typing import Any

import gevent
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

from deploys.support.outcome import LEDGER

EVERY = 30.0


_BEATS: dict[tuple[str, str], Any] = {}


class Progress(BaseStateCallback):
    """Beats while an operation runs on a host, and remembers what changed or failed there."""

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: Any) -> None:
        if op_hash in state.ops[host]:
            _BEATS[host.name, op_hash] = gevent.spawn(_beat, host, _name(state, op_hash))

    @staticmethod
    def operation_host_success(state: State, host: Host, op_hash: Any, retry_count: int = 0) -> None:
        del state, retry_count
        _stop(host, op_hash)

    @staticmethod
    def operation_host_error(
        state: State,
        host: Host,
        op_hash: Any,
        retry_count: int = 0,
        max_retries: int = 0,
    ) -> None:
        del retry_count, max_retries
        _stop(host, op_hash)
        outcome = LEDGER.of(host.name)
        if outcome.state == "planned":
            outcome.state, outcome.detail = "failed", f"step failed: {_name(state, op_hash)}"

    @staticmethod
    def operation_end(state: State, op_hash: Any) -> None:
        for host in state.inventory:
            data = state.ops[host].get(op_hash)
            if data is not None and data.operation_meta.is_complete() and data.operation_meta.did_change():
                LEDGER.of(host.name).changed.append(_name(state, op_hash))


def _stop(host: Host, op_hash: Any) -> None:
    beat = _BEATS.pop((host.name, op_hash), None)
    if beat is not None:
        beat.kill(block=False)


def _name(state: Any, op_hash: str) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names))


def _beat(host: Any, name: str) -> None:
    started = time.monotonic()
    while True:
        gevent.sleep(EVERY)
        logger.info(f"{host.print_prefix}still running: {name} ({time.monotonic() - started:.0f} s)")
