"""Driver branches: what each is, how long it lives, which kernels it builds on, which CUDA it brings.

A branch is one row of `BRANCHES`; its security floor is one row of `deploys/knowledge/floors.py`; a build that is
known to fail is one row of `KNOWN_BAD`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deploys.knowledge.records import Source

Kind = Literal["LTS", "production", "new feature", "legacy"]

# The day on which all rows were last looked at: a branch that had ended by then has ended.
AS_OF = "2026-11-23"

_LIFE = Source("endoflife.date nvidia.md; NVIDIA data-centre drivers 615, supported drivers and toolkits", "2026-11-22")
_UNIX = Source("NVIDIA's list of Unix drivers and support timeframes of legacy branches", "2026-11-22")
_FIRST_615 = Source("third-party copies of NVIDIA's R615 release notes; branch type not stated there", "2026-11-22")

# The first branch with open kernel modules (source: NVIDIA's announcement of R515, May 2022).
FIRST_OPEN = 515


@dataclass(frozen=True)
class Branch:
    """One driver branch.

    `newest`: newest version seen. `end`: month or day of the last fixes (ISO, "2028-06"), None where NVIDIA names
    none. `min_kernel`: oldest kernel that it builds on. `built_on`: newest kernel series that it was seen to build on;
    None unknown. `cuda`: the toolkit that it was made with. `proprietary`: has proprietary kernel modules.
    """

    number: int
    kind: Kind
    newest: str
    end: str | None
    min_kernel: str
    built_on: str | None
    cuda: str
    proprietary: bool
    built_why: str
    source: Source

    @property
    def open_modules(self) -> bool:
        """Does it have open kernel modules?"""
        return self.number >= FIRST_OPEN

    def has(self, flavour: str) -> bool:
        """Does it have kernel modules of that flavour ("open" | "proprietary")?"""
        return self.open_modules if flavour == "open" else self.proprietary

    def ended(self, today: str = AS_OF) -> bool:
        """Had it got its last fixes by `today` (ISO date)? A month counts until its last day."""
        return self.end is not None and self.end < max(today, AS_OF)[: len(self.end)]


_DEBIAN_11 = "the archive of Debian 11 carries it"
_DEBIAN_12 = "the archive of Debian 12 carries it"
_DEBIAN_13 = "the archive of Debian 13 carries it"
_RESOLUTE = "Ubuntu 26.04 carries it for its kernel 7.0"
_UNSEEN = "no build was seen"

# Oldest kernels: README of each open-gpu-kernel-modules tag (3.10 up to 550, 4.15 from 555 to 595); the READMEs of 610
# and later were not read and count as 4.15.
BRANCHES: tuple[Branch, ...] = (
    Branch(390, "legacy", "390.157", "2022-11-22", "3.10", "5.10", "9.1", True, _DEBIAN_11, _UNIX),
    Branch(470, "LTS", "470.256.02", "2024-07-20", "3.10", "6.1", "11.4", True, _DEBIAN_12, _LIFE),
    Branch(535, "LTS", "535.309.01", "2026-06", "3.10", "6.1", "12.2", True, _DEBIAN_12, _LIFE),
    Branch(550, "production", "550.163.01", "2025-04-17", "3.10", "6.12", "12.4", True, _DEBIAN_13, _LIFE),
    Branch(570, "production", "570.211.01", "2026-01-27", "4.15", None, "12.8", True, _UNSEEN, _LIFE),
    Branch(575, "new feature", "575.57.08", "2026-06-03", "4.15", None, "12.9", True, _UNSEEN, _LIFE),
    Branch(580, "LTS", "580.178.04", "2028-06", "4.15", "7.0", "13.0", True, _RESOLUTE, _LIFE),
    Branch(590, "new feature", "590.48.01", "2026-12-22", "4.15", None, "13.1", True, _UNSEEN, _LIFE),
    Branch(595, "production", "595.91.07", "2027-03", "4.15", "7.0", "13.2", True, _RESOLUTE, _LIFE),
    Branch(610, "new feature", "610.57.04", "2026-08", "4.15", "7.0", "13.3", True, _RESOLUTE, _LIFE),
    Branch(615, "new feature", "615.71.09", None, "4.15", "7.0", "13.4", False, _RESOLUTE, _FIRST_615),
)


def find_branch(number: int | str) -> Branch | None:
    """The row of a branch ("580" or 580), or None."""
    return next((b for b in BRANCHES if str(b.number) == str(number)), None)


@dataclass(frozen=True)
class BadBuild:
    """Kernel modules that are known not to compile on a range of kernels.

    `flavour`: "open", "proprietary" or "" for both. `fixed_in`: the first version of the branch that builds again;
    None: none does. `kernels`: ranges (first bad, first good again or None), as dotted versions.
    """

    branch: int
    flavour: str
    fixed_in: str | None
    kernels: Sequence[tuple[str, str | None]]
    symptom: str
    fix: str
    source: Source


# pci_resize_resource() got a fourth argument in Linux 6.19, and in the stable series as 6.12.97 and 6.18.40.
_RESIZE = (("6.12.97", "6.13"), ("6.18.40", "6.19"), ("6.19", None))
_SYMPTOM = "nv-pci.c: too few arguments to function 'pci_resize_resource'"
_OTHER_KERNEL = "boot a kernel older than {kernel}, or use branch 580 (580.126.09 or newer)"

KNOWN_BAD: tuple[BadBuild, ...] = (
    BadBuild(
        535,
        "open",
        None,
        _RESIZE,
        _SYMPTOM,
        _OTHER_KERNEL,
        Source(
            "github flatcar/scripts pull request 4205 (the open modules of 535 and 550 needed a patch)", "2026-11-23"
        ),
    ),
    BadBuild(
        550,
        "open",
        None,
        _RESIZE,
        _SYMPTOM,
        "use the proprietary modules, which do not call that function, where every GPU allows them; or "
        + _OTHER_KERNEL,
        Source(
            "github NVIDIA/open-gpu-kernel-modules issue 1272; a build of 550.163.01-2 on 6.12.117 that failed "
            "(the proprietary one succeeded)",
            "2026-11-23",
        ),
    ),
    BadBuild(
        570,
        "open",
        None,
        _RESIZE,
        _SYMPTOM,
        _OTHER_KERNEL,
        Source("github truenas/scale-build pull request 1002; github flatcar/scripts pull request 4207", "2026-11-23"),
    ),
    BadBuild(
        580,
        "open",
        "580.126.09",
        _RESIZE,
        _SYMPTOM,
        "use 580.126.09 or newer",
        Source("github truenas/scale-build pull request 1002 (fix shipped in 580.126.09)", "2026-11-23"),
    ),
)
