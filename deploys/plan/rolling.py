"""DECIDE: in which order the hosts of a fleet are done, so that never more than a number of them are down. Pure but for `run`.

The first host goes alone. A host that does not come out well stays down, so the next wave is smaller by it; the roll ends when more hosts have
failed than the budget allows, or when there is no room for another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploys.plan.states import GOOD

Wave = tuple[str, ...]


@dataclass(frozen=True)
class Rolled:
    """What became of each host that had its turn, the hosts that had none, and why ("" all had one)."""

    states: Mapping[str, str]
    left: tuple[str, ...] = ()
    why: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(host for host, state in self.states.items() if state not in GOOD)


def roll(hosts: Sequence[str], most_down: int, budget: int, run: Callable[[int, Wave], Mapping[str, str]]) -> Rolled:
    """Do the hosts in waves. `run(NUMBER, WAVE)` does the hosts of one and returns their states; a host that it leaves out has failed.

    `most_down`: hosts that may be down at once, at least 1. `budget`: hosts that may fail before the roll ends.
    """
    left, number = list(dict.fromkeys(hosts)), 0
    states: dict[str, str] = {}
    while left:
        failed = [host for host, state in states.items() if state not in GOOD]
        room = most_down - len(failed)
        if len(failed) > budget:
            return Rolled(states, tuple(left), f"{_hosts(failed)} failed, {budget} may (gpu_max_failed)")
        if room < 1:
            return Rolled(
                states, tuple(left), f"{_hosts(failed)} down, no more than {most_down} may be (gpu_max_unavailable)"
            )
        number += 1
        wave = tuple(left[: 1 if number == 1 else room])
        del left[: len(wave)]
        found = run(number, wave)
        states |= {host: found.get(host, "failed") for host in wave}
    return Rolled(states)


def _hosts(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{len(names)} host{'s' if len(names) != 1 else ''} ({shown})"
