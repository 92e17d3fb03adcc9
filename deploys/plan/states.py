"""TELL: the states that a host can end a run in, the best first, and the exit code that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["good", "pending", "refused", "failed"]

GOOD_CODE, FAILED_CODE, USAGE_CODE, UNREADY_CODE, INTERRUPTED_CODE = 0, 1, 2, 3, 130


@dataclass(frozen=True)
class State:
    """`kind` decides the exit code and the colour; `meaning` is the sentence of docs/results.md and of the page.

    `proven`: the state was read from the host after the work, so a later run that only looks does not replace it.
    """

    name: str
    kind: Kind
    meaning: str
    proven: bool = False


STATES = (
    State("ready", "good", "every link of the chain of proof holds", proven=True),
    State("planned", "good", "a dry run: the host would be provisioned"),
    State("passed", "good", "looked at only: nothing stands in the way"),
    State("removed", "good", "what came with this toolkit is gone", proven=True),
    State("drifted", "pending", "ready, but no longer what it was when it was proven", proven=True),
    State("reboot-pending", "pending", "only a reboot is missing", proven=True),
    State(
        "restart-pending", "pending", "only a restart of dockerd is missing, which would end containers", proven=True
    ),
    State(
        "rolled-back",
        "failed",
        "the new set failed its proof, and the host went back to the one that was proven",
        proven=True,
    ),
    State("not-ready", "failed", "the work is done and the proof failed", proven=True),
    State("refused", "refused", "a check or a setting stands in the way; nothing was changed"),
    State("interrupted", "failed", "the run was ended; a long step may go on on the host", proven=True),
    State("failed", "failed", "a step failed; the log is on the host", proven=True),
    State("unreachable", "failed", "no connection"),
)
BY_NAME = {state.name: state for state in STATES}
ORDER = tuple(BY_NAME)
GOOD = frozenset(state.name for state in STATES if state.kind == "good")


def exit_code(states: Iterable[str]) -> int:
    """What `./provision` ends with when its hosts ended so: a failed host outweighs one that is refused or waits."""
    kinds = {BY_NAME[state].kind for state in states}
    if "failed" in kinds:
        return FAILED_CODE
    return UNREADY_CODE if kinds - {"good"} else GOOD_CODE
