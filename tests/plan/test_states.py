"""The states of a host, and the exit code that they make together."""

from __future__ import annotations

import pytest

from deploys.plan.states import ORDER, exit_code


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], 0),
        (["ready", "planned", "passed"], 0),
        (["ready", "refused"], 3),
        (["reboot-pending"], 3),
        (["restart-pending", "ready"], 3),
        (["refused", "failed"], 1),
        (["unreachable"], 1),
        (["not-ready", "reboot-pending"], 1),
        (["interrupted"], 1),
        (ORDER, 1),
    ],
)
def test_exit_code(states: list[str], code: int) -> None:
    assert exit_code(states) == code
