"""JUDGE: packages that are kept at their versions: ours with their age, and those of others, which stay as they are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timezone
from fnmatch import fnmatchcase

from deploys.plan.machine import Hold, Machine
from deploys.plan.plan import Plan

OWNER = "gpu-host"
REASON = "modules and libraries of the driver must stay of one version"


def ours(machine: Machine) -> tuple[Hold, ...]:
    """Holds of this toolkit."""
    return tuple(h for h in machine.packages.holds if h.ours)


def foreign(machine: Machine) -> tuple[str, ...]:
    """What others hold, by name (a manager may take patterns)."""
    return tuple(dict.fromkeys(h.name for h in machine.packages.holds if not h.ours))


def lacking(names: Sequence[str], machine: Machine) -> tuple[str, ...]:
    """Installed packages that should be held, and that nobody holds; none where that could not be read."""
    if "holds" in machine.unknown:
        return ()
    held = {h.name for h in machine.packages.holds}
    return tuple(n for n in names if n not in held and machine.packages.version(n))


def age(hold: Hold, clock: float | None) -> int | None:
    """Days since the version is held, by the host's own clock; None where either is unknown."""
    if clock is None or not hold.since:
        return None
    try:
        begun = date.fromisoformat(hold.since)
        return max((datetime.fromtimestamp(clock, timezone.utc).date() - begun).days, 0)
    except (ValueError, OverflowError, OSError):
        return None


def oldest(machine: Machine) -> int | None:
    """Age in days of the oldest hold of ours; None where there is none whose age is known."""
    return max((a for h in ours(machine) if (a := age(h, machine.boot.clock)) is not None), default=None)


def in_the_way(plan: Plan, machine: Machine) -> tuple[str, ...]:
    """Installed packages that this plan must move, and that somebody else holds. What moves along with them is judged by the rehearsal."""
    moving = [n for n in plan.packages.missing if machine.packages.version(n)]
    return tuple(n for n in moving if any(fnmatchcase(n, pattern) for pattern in foreign(machine)))


def describe_holds(machine: Machine) -> tuple[str, ...]:
    """Who holds what, since when: a line for us, one for others."""
    own, rows = ours(machine), []
    if own:
        since = sorted({h.since for h in own if h.since})
        days = oldest(machine)
        when = f"since {since[0]} ({days} days)" if since and days is not None else "since an unknown day"
        rows.append(f"{', '.join(h.name for h in own)}: by {OWNER} {when}: {REASON}")
    if theirs := foreign(machine):
        rows.append(f"{', '.join(theirs)}: by others, left alone")
    return tuple(rows)
