"""Comparing the version strings that hosts and vendors write."""

from __future__ import annotations

import re
from functools import lru_cache

from packaging.version import Version

_NUMBERS = re.compile(r"\d+(?:\.\d+)*", re.ASCII)


@lru_cache(4096)
def numbers(text: str | None) -> Version | None:
    """The leading dotted number of a version: "6.1.0-50-amd64" -> 6.1.0, "v2.26.1" -> 2.26.1; None when there is none."""
    match = _NUMBERS.search(text or "")
    # A number of absurd length is damage, not a version.
    return Version(match.group()) if match and len(match.group()) <= 64 else None


def upstream(package_version: str) -> str:
    """Upstream part of a package version: "1:535.309.01-0+deb12u1" -> "535.309.01"."""
    return re.split(r"[-+~_]", package_version.rsplit(":", 1)[-1], maxsplit=1)[0]


def below(version: str | None, floor: str | None) -> bool | None:
    """Is `version` lower than `floor`? None when either cannot be read."""
    have, need = numbers(version), numbers(floor)
    return None if have is None or need is None else have < need


def branch_of(driver_version: str) -> str:
    """Branch of a driver version: "535.309.01" -> "535"."""
    return driver_version.split(".", 1)[0]


def is_version(package_version: str | None, asked: str) -> bool:
    """Is a package of that version (None: not installed) of the branch ("580") or the full version ("" any) asked for?"""
    if package_version is None:
        return False
    have = upstream(package_version)
    return not asked or have == asked or ("." not in asked and branch_of(have) == asked)
