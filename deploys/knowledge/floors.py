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
_CONTAINERD = Source("containerd advisories (github containerd/containerd issue 12475)", "2026-11-22")
_RUNC = Source("runc advisories (github moby/moby issue 51393)", "2026-11-22")
_COMPOSE = Source("GitHub advisory database, pull request 6463", "2026-11-22")

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
    Floor("driver", None, "470.256.02", "the last version of the branch", _BULLETINS, branch="470"),
    Floor("driver", None, "550.163.01", "the last version of the branch", _BULLETINS, branch="550"),
    Floor("driver", None, "570.211.01", "the last version of the branch", _BULLETINS, branch="570"),
    Floor(
        "driver",
        "580.126.09",
        "580.159.03",
        "NVIDIA bulletins of January and May 2026 (CVE-2026-24187)",
        _BULLETINS,
        branch="580",
    ),
    Floor("driver", None, "595.71.05", "NVIDIA bulletin of May 2026 (CVE-2026-24187)", _BULLETINS, branch="595"),
    Floor("container-toolkit", "1.17.8", "1.19.1", "CVE-2025-23266 (container escape), CVE-2026-24260", _BULLETINS),
    Floor("containerd", None, "1.7.29", "CVE-2024-25621, CVE-2025-64329; 2.1.5 in the 2.1 series", _CONTAINERD),
    # Nothing is refused by the version of what distributions mend without a new one.
    Floor("runc", None, "1.2.8", "CVE-2024-21626, CVE-2025-31133, -52565, -52881 (container escapes)", _RUNC),
    Floor("compose", "2", "2.40.2", "CVE-2025-62725 (path traversal)", _COMPOSE),
)


def find_floor(component: str, branch: str = "") -> Floor | None:
    """The row of a component (and branch), or None."""
    return next((f for f in FLOORS if f.component == component and f.branch == branch), None)


@dataclass(frozen=True)
class BadRange:
    """Versions of a container part that are known to go wrong: from `first` until `fixed` (None: no fix is known).

    With `other`, only beside a version of that component below `other_below`.
    """

    component: str
    first: str
    fixed: str | None
    why: str
    fix: str
    source: Source
    other: str = ""
    other_below: str = ""


KNOWN_BAD: tuple[BadRange, ...] = (
    BadRange(
        "container-toolkit",
        "1.18.0",
        "1.18.1",
        "it writes containerd's configuration to a folder that containerd does not read",
        "upgrade it to 1.19.1 or newer",
        Source("github NVIDIA/nvidia-container-toolkit issue 1404, pull request 1407", "2026-11-25"),
    ),
    BadRange(
        "container-toolkit",
        "1.19.0",
        None,
        "its CDI specifications have version 0.7.0, which Docker reads from 26.1 on; --gpus and the runtime work",
        "upgrade Docker to 26.1 or newer where containers ask for CDI devices (--device nvidia.com/gpu=...)",
        Source(
            "github NVIDIA/nvidia-container-toolkit issue 1860, NVIDIA/cloud-native-docs pull request 419", "2026-11-25"
        ),
        "docker",
        "26.1",
    ),
)
