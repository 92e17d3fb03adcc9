"""Checks of packages that are kept at their versions."""

from __future__ import annotations

from deploys.plan.machine import Hold, Machine
from tests.plan.hosts import changed, installed
from tests.plan.rows.case import BARE, DONE, ok, stop, warn

DAY = 86400
NOW = 1795400000.0  # 2026-11-23
OURS = Hold("nvidia-kernel-dkms", True, "550.163.01-2", "2026-08-25")


def held(machine: Machine, *holds: Hold | str, clock: float = NOW) -> Machine:
    """The host with these holds; a name alone is one of somebody else."""
    found = tuple(h if isinstance(h, Hold) else Hold(h) for h in holds)
    return changed(machine, packages__holds=found, boot__clock=clock)


# A part of the toolkit that is older than what the plan installs beside it.
HALF = installed(BARE, libnvidia_container1="1.17.8-1")

HOLDS = [
    ok("no_foreign_hold_in_the_way", "none", BARE),
    ok("no_foreign_hold_in_the_way", "others of packages that stay", held(DONE, "libcuda1", "vim")),
    ok("no_foreign_hold_in_the_way", "ours", held(HALF, Hold("libnvidia-container1", True))),
    ok("no_foreign_hold_in_the_way", "not installed, so nothing is held", held(BARE, "libcuda1")),
    stop(
        "no_foreign_hold_in_the_way",
        "a part of the toolkit",
        held(HALF, "libnvidia-container1", "vim"),
        "libnvidia-container1 must move, and somebody else holds it",
        "apt-mark unhold libnvidia-container1",
    ),
    stop("no_foreign_hold_in_the_way", "a pattern", held(HALF, "lib*"), "libnvidia-container1 must move"),
    ok("holds_not_expired", "none", DONE),
    ok("holds_not_expired", "of 90 days", held(DONE, OURS)),
    ok("holds_not_expired", "others are old", held(DONE, "vim")),
    ok("holds_not_expired", "of an unknown day", held(DONE, Hold("nvidia-smi", True))),
    ok("holds_not_expired", "of a day that is none", held(DONE, Hold("nvidia-smi", True, "1", "2026-99-99"))),
    ok("holds_not_expired", "the clock is before it", held(DONE, OURS, clock=DAY)),
    warn(
        "holds_not_expired",
        "of 91 days",
        held(DONE, OURS, clock=NOW + DAY),
        "for 91 days",
        "within 90 days",
        "release_holds",
    ),
    warn("holds_not_expired", "asked for earlier", held(DONE, OURS), "within 30 days (gpu_hold_days)", hold_days=30),
]
