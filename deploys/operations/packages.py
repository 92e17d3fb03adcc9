"""All packages of a plan in one transaction, rehearsed first. The only place, with its scripts, that drives a package manager."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from pyinfra.api.operation import operation

from deploys.knowledge.paths import STATE_DIR, TOOLKIT_KEY, TOOLKIT_SOURCE
from deploys.plan.files import FileChange, digest
from deploys.plan.machine import Machine
from deploys.plan.plan import Plan
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.logged import logged_unit
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]

SCRIPTS = Path(__file__).parent / "scripts"
LOCK_WAIT = 600

# Packages of another driver series that a transaction may replace, and those that it must leave alone.
_SERIES = r"(legacy|tesla)-"
MAY_REMOVE = rf"^(nvidia-{_SERIES}|libnvidia-{_SERIES}|nvidia-(open-)?kernel-|nvidia-alternative$|libcuda1$|libnvidia-ml1$|firmware-nvidia-)"
MUST_STAY = (
    r"^(linux-image-|openssh-server|systemd$|systemd-sysv|systemd-boot|udev$|dbus$|ifupdown|netplan|network-manager"
    r"|dhcpcd|isc-dhcp-client|cloud-init|grub-|shim-|initramfs-tools$)"
)


class UnknownManagerError(Exception):
    """The plan names a package manager that has no scripts here."""


def missing(plan: Plan, now: Machine) -> tuple[str, ...]:
    """Wanted packages that are not fully installed at this moment."""
    return tuple(p for p in plan.packages.wanted if now.packages.version(p) is None)


def script(plan: Plan, name: str, now: Machine, files: Sequence[FileChange] = ()) -> str:
    """The text of a script of the plan's package manager with its variables in front."""
    if plan.distro.manager != "apt":
        raise UnknownManagerError(f"no scripts for package manager {plan.distro.manager!r}")
    packages = missing(plan, now)
    modules = [p for p in plan.distro.driver.kernel_modules.get(plan.driver.flavour, ()) if p in packages]
    build = next(c.packages for c in plan.capabilities if c.name == "headers")
    variables = {
        "PACKAGES": " ".join(packages),
        "MODULES": " ".join(modules),
        "LIBRARIES": "libcuda1 nvidia-smi",
        "BUILD": " ".join(build),
        "DKMS": plan.driver.dkms,
        "KERNELS": " ".join(now.kernels.served),
        "STATE_DIR": STATE_DIR,
        "MAY_REMOVE": MAY_REMOVE,
        "MUST_STAY": MUST_STAY,
        "LOCK_WAIT": str(LOCK_WAIT),
    }
    head = "\n".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
    return "\n".join(
        [head, (SCRIPTS / "apt_common.sh").read_text(), _write_files(files), (SCRIPTS / f"{name}.sh").read_text()]
    )


def _write_files(files: Sequence[FileChange]) -> str:
    """A shell function that writes the files of the plan inside the root given to it, where links lead inside too."""
    lines = ["write_files() {", "    :"]
    for change in files:
        path, folder = shlex.quote(change.path), shlex.quote(change.path.rsplit("/", 1)[0])
        text = base64.b64encode(change.content.encode()).decode()
        inside = shlex.quote(f"mkdir -p {folder} && cat >{path} && chmod {change.mode or '644'} {path}")
        lines.append(f'    printf %s {text} | base64 -d | chroot "$1" /bin/sh -c {inside}')
    return "\n".join([*lines, "}"])


def unrehearsed(plan: Plan, now: Machine) -> bool:
    """Is there anything that could break the host's package manager: packages to install, sources or keys to write?"""
    digests = {path: state.sha256 for path, state in now.files.items()}
    ours = [f for f in plan.files if f.path in (TOOLKIT_SOURCE, TOOLKIT_KEY)]
    return bool(missing(plan, now) or plan.sources or [f for f in ours if digests.get(f.path) != digest(f.content)])


@operation()
@guarded
@changing
def rehearsed(plan: Plan, limit: int) -> Commands:
    """The transaction has been rehearsed in an overlay, so that its failure leaves the host as it was.

    + plan: the host's plan
    + limit: seconds for the whole rehearsal
    """
    now = machine()
    if unrehearsed(plan, now):
        yield from logged_unit("rehearsal", script(plan, "apt_rehearse", now, (*plan.files, *plan.sources)), limit)
    else:
        this_host().noop("all packages are installed")


@operation()
@guarded
@changing
def installed(plan: Plan, limit: int) -> Commands:
    """All packages of the plan are installed, in one transaction.

    + plan: the host's plan
    + limit: seconds for the whole transaction
    """
    now = machine()
    if missing(plan, now):
        yield from logged_unit("transaction", script(plan, "apt_install", now), limit, may_stop=False)
    else:
        this_host().noop("all packages are installed")
