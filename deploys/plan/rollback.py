"""DECIDE: may a host go back to the set of packages that it was proven with, and what moves? Pure.

What goes back is what the manager keeps on the host: the driver with its libraries and daemons, the container toolkit, the engine. CUDA toolkits lie
beside each other and stay.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deploys.knowledge.managers import MANAGERS
from deploys.plan.machine import Machine, ProvenSet
from deploys.plan.proof_step import Step
from deploys.plan.reboot import busy
from deploys.plan.versions import upstream

_ENGINE = re.compile(r"^(docker|containerd)")
# Links of the proof: what only hardware breaks, and what engine and toolkit alone can break.
_HARDWARE = frozenset({"pci_gpus", "kernel_log"})
_CONTAINERS = frozenset(
    {
        "docker_engine",
        "compose",
        "container_runtime",
        "container_gpu",
        "gpus_option",
        "compose_gpu",
        "container_keeps_gpu",
        "container_cdi",
    }
)


@dataclass(frozen=True)
class GoingBack:
    """The way back. `packages` are those that must move, name -> full version; `same_version` those that must be of one version; `holds` are held after it.

    `to` and `failed` are both sets in words, `identity` is that of the one that is there now. `why_not` "" where the host may go back.
    """

    to: str = ""
    failed: str = ""
    identity: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    same_version: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    kernel: str = ""
    why_not: str = ""


def way_back(machine: Machine, target: ProvenSet | None, *, again: bool = False) -> GoingBack:
    """From what is installed now to that set.

    + again: a person asks for it, so that it does not matter whether this very set was given up once before
    """
    if target is None:
        return GoingBack(why_not="this host was never proven: there is no set to go back to")
    words = MANAGERS.get(machine.packages.manager or "")
    if words is None or not words.keep or words.name != target.manager:
        return GoingBack(
            why_not=f"going back by {machine.packages.manager or 'an unknown package manager'} has not been built"
        )
    ours = re.compile(words.keep)
    engine_stays = machine.docker.running != 0 and not machine.docker.live_restore
    wanted = {n: v for n, v in target.packages.items() if ours.search(n) and not (engine_stays and _ENGINE.match(n))}
    moving = {n: v for n, v in wanted.items() if machine.packages.version(n) != v}
    driver = tuple(n for n, v in moving.items() if target.driver and upstream(v) == target.driver)
    now = {n: p.version for n, p in machine.packages.installed.items() if p.installed and ours.search(n)}
    text = "\n".join(f"{n} {v}" for n, v in sorted(now.items()))
    back = GoingBack(
        to=_words(target.driver, f"proven {target.time}"),
        failed=_words(_driver(machine), "") if driver else "the container toolkit or engine that came",
        identity=hashlib.sha256(text.encode()).hexdigest()[:16],
        packages=dict(sorted(moving.items())),
        same_version=driver,
        holds=tuple(n for n in target.holds if n in target.packages),
        kernel="" if machine.kernels.get(target.kernel) else target.kernel,
    )
    why_not = ""
    if not moving:
        why_not = f"the host has the packages that were proven {target.time}: going back would change nothing"
    elif not again and back.identity in machine.boot.given_up:
        why_not = f"this very set ({back.failed}) was given up once before"
    elif users := busy(machine):
        why_not = f"the GPUs are in use by {users}"
    return GoingBack(**{**vars(back), "why_not": why_not})


def unrelated(back: GoingBack, steps: Sequence[Step]) -> str:
    """Why what failed in the proof cannot come from the packages that would move ("" it can)."""
    failed = [s.name for s in steps if s.result in ("FAIL", "UNKNOWN")]
    if hardware := sorted(_HARDWARE & set(failed)):
        return f"{', '.join(hardware)} failed, which no package brings about"
    others = [name for name in failed if name not in _CONTAINERS]
    if others and not back.same_version:
        return f"{', '.join(others)} failed, and the driver is the one that was proven"
    return ""


def describe_way_back(back: GoingBack, name: str) -> str:
    """The page that a person approves."""
    rows = [
        ("from", back.failed),
        ("to", back.to),
        ("packages", ", ".join(f"{n} {v}" for n, v in back.packages.items())),
        ("held", ", ".join(back.holds)),
        (
            "kernel",
            back.kernel and f"{back.kernel}, which was proven, is no longer installed: modules for the present ones",
        ),
        ("not now", back.why_not),
    ]
    return "\n".join([f"{name}: going back", *(f"    {label:<14}{text}" for label, text in rows if text)])


def _driver(machine: Machine) -> str:
    running = machine.kernels.get(machine.kernels.running)
    return machine.driver.user_space or (running.nvidia_version if running else None) or machine.driver.loaded or ""


def _words(driver: str, when: str) -> str:
    return " ".join(part for part in (f"driver {driver or 'unknown'}", f"({when})" if when else "") if part)
