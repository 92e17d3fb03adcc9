"""TELL: what a run is doing now, host by host, how long already, and how long it took before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# Step -> host -> seconds that it took in earlier runs.
Times = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class Running:
    """A step that runs on a host, for so many seconds."""

    host: str
    step: str
    seconds: float


def took(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{round(seconds / 60)} min" if minutes >= 10 else f"{minutes} min {int(seconds % 60)} s"


def expected(times: Times, running: Running) -> float | None:
    """How long the step takes in all, in seconds: the median of those earlier ones that took longer than it has by now.

    Those of this host count first. A step that had nothing to do the last time was over at once, and says nothing about one that runs.
    """
    known = times.get(running.step, {})
    everyone = [seconds for many in known.values() for seconds in many]
    for candidates in (known.get(running.host, ()), everyone):
        longer = [seconds for seconds in candidates if seconds > running.seconds]
        if longer:
            return median(longer)
    return None


def _clock(times: Times, running: Running) -> str:
    whole = expected(times, running)
    return f"{_whole(running.seconds)} of about {_whole(whole)}" if whole else _whole(running.seconds)


def _whole(seconds: float) -> str:
    return took(float(round(seconds))) if seconds >= 60 else f"{seconds:.0f} s"


def live(running: Sequence[Running], times: Times, *, width: int, height: int) -> list[str]:
    """A line per host, the longest at work first, for a terminal of that size; the last line counts who found no room."""
    rows = sorted(running, key=lambda r: (-round(r.seconds), r.host))
    room = max(height, 1)
    shown = rows if len(rows) <= room else rows[: room - 1]
    name = max((len(r.host) for r in shown), default=0)
    clocks = [_clock(times, r) for r in shown]
    most = max(map(len, clocks), default=0)
    space = max(width - min(name, width // 3) - most - 4, 8)
    lines = [
        f"{_cut(r.host, max(width // 3, 8)):<{min(name, max(width // 3, 8))}}  {_cut(r.step, space):<{space}}  {clock:>{most}}"
        for r, clock in zip(shown, clocks, strict=True)
    ]
    if len(shown) < len(rows):
        lines.append(f"and {len(rows) - len(shown)} more hosts")
    return [line[:width].rstrip() for line in lines]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def beat(running: Sequence[Running], times: Times) -> list[str]:
    """A line per step for a log: who is at work on it and, of the one that is at it the longest, how long."""
    lines = []
    for step in dict.fromkeys(r.step for r in running):
        here = sorted((r for r in running if r.step == step), key=lambda r: (-round(r.seconds), r.host))
        names = [r.host for r in here]
        who = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        lines.append(f"still running: {step} ({_clock(times, here[0])}): {who}")
    return lines
