"""The tables of supported releases, made from the rooms: all of it in docs/supported.md, how each was proven in README.md.

Rewrites both in place: `.venv/bin/python tools/make_support_table.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from deploys.knowledge.distros import DISTROS  # noqa: E402
from deploys.knowledge.records import WHOLE_ROAD, Distro  # noqa: E402

HEAD = (
    "| release | driver from | the archive's own | CUDA | Docker | Compose v2 | support until | proven by |\n"
    "|---|---|---|---|---|---|---|---|"
)
PROOFS_HEAD = "| releases | proven by |\n|---|---|"


def row(distro: Distro) -> str:
    """One release. What "auto" takes stands in the columns; the archive's own driver is there on request."""
    vendor = distro.default_driver == "nvidia"
    own = [x for x in distro.layouts if x.origin == "distro"]
    archive = distro.driver.user_space_version if distro.driver else f"{own[0].first} and newer" if own else "none"
    branches = [x for x in distro.layouts if x.origin == "nvidia"]
    driver = f"NVIDIA, branch {min(x.first for x in branches)} and newer" if vendor and branches else "the distribution"
    cuda = (
        f"{distro.oldest_cuda} and newer"
        if vendor and distro.vendor_cuda
        else distro.cuda.version
        if distro.cuda
        else "none"
    )
    docker = "Docker" if distro.default_docker == "docker" else distro.docker.version if distro.docker else "none"
    compose = "Docker" if distro.default_docker == "docker" else distro.compose.version if distro.compose else "none"
    ends = " / ".join(filter(None, (distro.ends, distro.extended))) or (
        "not announced" if distro.version else "rolling"
    )
    cells = (distro.label, driver, archive, cuda, docker, compose, ends, distro.proven)
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """The whole table, with its head."""
    return "\n".join([HEAD, *map(row, DISTROS)])


def proofs() -> str:
    """A row per way of proof with all releases that were proven so: real packages, then stand-ins, then plans only."""
    ways = dict.fromkeys(d.proven for d in DISTROS)
    ways_in_order = sorted(ways, key=lambda way: (way.startswith("recorded"), way == WHOLE_ROAD))
    rows = (f"| {_releases(d for d in DISTROS if d.proven == way)} | {way} |" for way in ways_in_order)
    return "\n".join([PROOFS_HEAD, *rows])


def _releases(distros: Iterable[Distro]) -> str:
    """Each name once: Debian 12, Rocky Linux 8 / 10."""
    versions: dict[str, list[str]] = {}
    for distro in distros:
        versions.setdefault(distro.name, []).append(distro.version)
    return ", ".join(f"{name} {' / '.join(found)}".strip() for name, found in versions.items())


# What is between the two marks of a page: page, name in the marks, what makes it.
TABLES = (("docs/supported.md", "support", table), ("README.md", "proof", proofs))


def shown(page: str, name: str) -> tuple[str, str, str]:
    """The text of a page before, between and after the marks of its table. Raises ValueError where they are missing."""
    text = (ROOT / page).read_text(encoding="utf-8")
    begin = text.index("\n", text.index(f"<!-- {name} table")) + 1
    end = text.index(f"<!-- end of {name} table -->", begin)
    return text[:begin], text[begin:end], text[end:]


def main() -> None:
    for page, name, make in TABLES:
        before, _, after = shown(page, name)
        (ROOT / page).write_text(f"{before}{make()}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
