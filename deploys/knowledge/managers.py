"""Words of each package manager, for the fixes that findings name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manager:
    """Commands that a person types; `{packages}` is filled in."""

    name: str
    repair: str
    refresh: str
    clean: str
    install: str
    remove: str
    old_kernels: str
    sources: str


APT = Manager(
    name="apt",
    repair="dpkg --configure -a && apt-get --fix-broken install",
    refresh="apt-get update",
    clean="apt-get clean",
    install="apt-get install {packages}",
    remove="apt-get purge {packages}",
    old_kernels="apt-get autoremove --purge",
    sources="/etc/apt/sources.list",
)

MANAGERS: dict[str, Manager] = {"apt": APT}


def manager(name: str | None) -> Manager:
    """The words of a package manager; apt's where the manager is unknown."""
    return MANAGERS.get(name or "", APT)
