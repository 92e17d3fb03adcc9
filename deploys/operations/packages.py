"""All packages of a plan in one transaction, rehearsed first. The only place, with its scripts, that drives a package manager."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyinfra.api.operation import operation

from deploys.knowledge.managers import Manager, manager
from deploys.knowledge.paths import REPOSITORY_FILES, STATE_DIR
from deploys.plan.files import FileChange, digest
from deploys.plan.machine import Machine
from deploys.plan.plan import Plan, unbuilt
from deploys.plan.rollback import GoingBack
from deploys.plan.settings_proxy import Proxy
from deploys.support.context import this_host
from deploys.support.fetch import with_keys
from deploys.support.guard import guarded
from deploys.support.logged import logged_unit
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]

SCRIPTS = Path(__file__).parent / "scripts"
LOCK_WAIT = 600

# The scripts of each package manager, in this order.
FAMILY = {
    "apt": ("apt",),
    "dnf4": ("rpm", "dnf"),
    "dnf5": ("rpm", "dnf"),
    "zypper": ("rpm", "zypper"),
    "pacman": ("aur", "pacman"),
}


def missing(plan: Plan, now: Machine) -> tuple[str, ...]:
    """Wanted packages that are not installed at this moment, or not in the version that is asked for, or not built."""
    lacking = plan.packages.lacking(now.packages)
    return (*lacking, *(p for p in plan.packages.modules if unbuilt(now) and p not in lacking))


def script(plan: Plan, name: str, now: Machine, files: Sequence[FileChange] = ()) -> str:
    """The text of a script ("rehearse" | "install") for the plan's package manager, with its variables in front."""
    wanted, words, bundle = plan.packages, manager(plan.distro.manager), plan.bundle
    packages = missing(plan, now)
    build = next(c.packages for c in plan.capabilities if c.name == "headers")
    modules = [p for p in wanted.modules if p in packages]

    def specs(names: Sequence[str]) -> str:
        return " ".join(s for n in names for s in spec(words.name, n, wanted.versions.get(n, "")))

    variables = {
        "PACKAGES": specs(packages),
        "WANTED": " ".join(packages),
        "MODULES": specs(modules),
        # Asked for together with the module: it needs the very same version of them, which need not be the newest.
        "SET": specs([p for p in packages if p in wanted.versions and p not in modules]) if modules else "",
        "SAME_VERSION": " ".join(wanted.same_version) if modules or set(wanted.same_version) & set(packages) else "",
        "TOGETHER": " ".join(wanted.together),
        "BUILD": specs(build) if modules else "",
        "PINS": " ".join(wanted.pins),
        "STREAM": wanted.stream,
        "ENABLE": " ".join(wanted.enable),
        "HOLDS": " ".join(wanted.holds),
        "AUR": "\n".join(" ".join((j.base, j.url, j.commit, j.sha256, ",".join(j.packages))) for j in wanted.aur),
        "KERNELS": " ".join(now.kernels.served),
        "BUNDLE": bundle.address if bundle else "",
        "BUNDLE_FOLDER": bundle.address.removeprefix("file://") if bundle and "file://" in bundle.address else "",
        "KEEP": words.keep,
        "PROVEN": _pairs(now.proven.packages) if now.proven else "",
    }
    written = {"write_files": files, "write_bundle": with_keys(bundle.files) if bundle else ()}
    return assemble(words, variables, (name,), written, plan.proxy)


def assemble(
    words: Manager,
    variables: Mapping[str, str],
    parts: Sequence[str],
    files: Mapping[str, Sequence[FileChange]] | None = None,
    proxy: Proxy | None = None,
) -> str:
    """Scripts in one text: variables, what all managers share, the manager's own, and `parts`; `files` by the function that writes them."""
    common = {
        "MANAGER": words.name,
        "STATE_DIR": STATE_DIR,
        "MAY_REMOVE": words.may_remove,
        "MUST_STAY": words.must_stay,
        "LOCK_WAIT": str(LOCK_WAIT),
    }
    lines = [f"{key}={shlex.quote(value)}" for key, value in {**_NONE, **common, **variables}.items()]
    # The script travels on standard input and lies in a folder for root only: no process list shows a login.
    lines += [f"export {key}={shlex.quote(value)}" for key, value in (proxy.variables() if proxy else {}).items()]
    texts = [(SCRIPTS / f"{part}.sh").read_text() for part in ("common", *FAMILY[words.name], *parts)]
    functions = [_write_files(name, (files or {}).get(name, ())) for name in ("write_files", "write_bundle")]
    return "\n".join([*lines, *texts[:-1], *functions, texts[-1]])


# What a manager's script may ask for; "" where there is nothing of it.
_NONE = dict.fromkeys(
    [
        "PACKAGES",
        "WANTED",
        "MODULES",
        "SET",
        "SAME_VERSION",
        "TOGETHER",
        "BUNDLE",
        "BUNDLE_FOLDER",
        "BUILD",
        "PINS",
        "STREAM",
        "ENABLE",
        "HOLDS",
        "AUR",
        "KERNELS",
        "KEEP",
        "PROVEN",
        "TARGET",
    ],
    "",
)


def going_back(back: GoingBack, name: str, now: Machine, proxy: Proxy | None = None) -> str:
    """The text of a script ("rehearse" | "install") that puts the packages of a proven set back."""
    variables = {
        "TARGET": _pairs(back.packages),
        "WANTED": " ".join(back.packages),
        "SAME_VERSION": " ".join(back.same_version),
        "HOLDS": " ".join(back.holds),
        "KERNELS": " ".join(now.kernels.served),
    }
    return assemble(manager(now.packages.manager), variables, ("kept", name), proxy=proxy)


def _pairs(packages: Mapping[str, str]) -> str:
    return " ".join(f"{name}={version}" for name, version in packages.items())


def spec(manager_name: str, name: str, version: str) -> tuple[str, ...]:
    """A package as its manager is asked for it; `version` is a branch ("580"), a full version or "" (any).

    The scripts of zypper and pacman know the sign "~" themselves.
    """
    if not version:
        return (name,)
    full = "." in version
    if manager_name == "apt":
        return (f"{name}={version}{'-' if full else '.'}*",)
    if manager_name in ("zypper", "pacman"):
        return (f"{name}~{version}",)
    return (f"{name}-{version}{'-' if full else '.'}*",)


def _write_files(name: str, files: Sequence[FileChange]) -> str:
    """A shell function that writes files inside the root given to it, where links lead inside too."""
    lines = [f"{name}() {{", "    :"]
    for change in files:
        path, folder = shlex.quote(change.path), shlex.quote(change.path.rsplit("/", 1)[0])
        text = base64.b64encode(change.content.encode()).decode()
        inside = shlex.quote(f"mkdir -p {folder} && cat >{path} && chmod {change.mode or '644'} {path}")
        lines.append(f'    printf %s {text} | base64 -d | chroot "$1" /bin/sh -c {inside}')
    return "\n".join([*lines, "}"])


def unrehearsed(plan: Plan, now: Machine) -> bool:
    """Is there anything that could break the host's package manager: packages to install, sources or keys to write?"""
    digests = {path: state.sha256 for path, state in now.files.items()}
    ours = [f for f in plan.files if f.path in REPOSITORY_FILES]
    return bool(
        missing(plan, now)
        or now.packages.cut_off
        or plan.sources
        or [f for f in ours if digests.get(f.path) != digest(f.content)]
    )


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
        files = (*with_keys(plan.files, plan.proxy), *plan.sources)
        yield from logged_unit("rehearsal", script(plan, "rehearse", now, files), limit)
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
    if missing(plan, now) or now.packages.cut_off:
        yield from logged_unit("transaction", script(plan, "install", now), limit, may_stop=False)
    else:
        this_host().noop("all packages are installed")
