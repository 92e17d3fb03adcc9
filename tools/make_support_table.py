"""The README's table of supported releases, made from the rooms. Rewrites it in place: `.venv/bin/python tools/make_support_table.py`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from deploys.knowledge.distros import DISTROS  # noqa: E402
from deploys.knowledge.records import Distro  # noqa: E402

BEGIN, END = "<!-- support table", "<!-- end of support table -->"
HEAD = (
    "| release | driver from | the archive's own | CUDA | Docker | Compose v2 | support until | proven by |\n"
    "|---|---|---|---|---|---|---|---|"
)


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


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    comment, _, rest = rest.partition("\n")
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}{comment}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
