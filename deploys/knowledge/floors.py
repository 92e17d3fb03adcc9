"""Version floors: below `refuse` nothing is installed, below `warn` the plan says so. Each row has its reason."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.records import Source


@dataclass(frozen=True)
class Floor:
    """Floors of one component; None where there is none. `branch` narrows a row to one driver branch."""

    component: str
    refuse: str | None
    warn: str | None
    why: str
    source: Source
    branch: str = ""


_BULLETINS = Source("NVIDIA product security bulletins (github NVIDIA/product-security)", "2026-08-18")

FLOORS: tuple[Floor, ...] = (
    Floor(
        "kernel",
        "3.10",
        None,
        "the oldest kernel that any supported driver builds on",
        Source("open-gpu-kernel-modules README", "2026-11-22"),
    ),
    Floor("cuda", "11.3.1", None, "this toolkit promises CUDA newer than 11.3", Source("project brief", "2026-11-22")),
    Floor(
        "docker",
        "19.03",
        "29.5.1",
        "fixes CVE-2026-41567, -41568, -42306",
        Source("moby release notes", "2026-10-08"),
    ),
    Floor("driver", "535.288.01", "535.309.01", "NVIDIA bulletins of January and May 2026", _BULLETINS, branch="535"),
    Floor("driver", None, None, "end of life since 2025-04-17, no fixes any more", _BULLETINS, branch="550"),
    Floor(
        "driver",
        "580.126.09",
        "580.159.03",
        "NVIDIA bulletins of January and May 2026 (CVE-2026-24187)",
        _BULLETINS,
        branch="580",
    ),
    Floor("container-toolkit", "1.17.8", "1.19.1", "CVE-2025-23266 (container escape), CVE-2026-24260", _BULLETINS),
)


@dataclass(frozen=True)
class Ended:
    """When a driver branch got its last fixes, and the way out."""

    when: str
    fix: str


_NEWER_GPU = "move to a GPU that a living branch carries"
_NEWER_BRANCH = "move to branch 580 from NVIDIA's repository when that source is supported"

# Driver branches that get no fixes any more.
ENDED_BRANCHES: dict[str, Ended] = {
    "390": Ended("2022-11-22", _NEWER_GPU),
    "470": Ended("2024-07-20", _NEWER_GPU),
    "535": Ended("in June 2026", _NEWER_BRANCH),
    "550": Ended("2025-04-17", _NEWER_BRANCH),
}


def find_floor(component: str, branch: str = "") -> Floor | None:
    """The row of a component (and branch), or None."""
    return next((f for f in FLOORS if f.component == component and f.branch == branch), None)
