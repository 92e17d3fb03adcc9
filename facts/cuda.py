"""CUDA toolkits, by the compilers that are there (source: `nvcc --version`)."""

from __future__ import annotations

from pathlib import PurePosixPath

from deploys.plan.machine import CudaToolkit
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, version_in

# /usr/local/cuda is a link to one of its neighbours, which is listed under its own name.
_SCRIPT = r"""
echo looked
seen=:
for f in /usr/local/cuda-*/bin/nvcc /usr/local/cuda*/bin/nvcc /opt/cuda*/bin/nvcc /usr/bin/nvcc; do
  [ -x "$f" ] || continue
  target=$(real "$f")
  case $seen in *:"$target":*) continue ;; esac
  seen=$seen$target:
  echo "nvcc $f"
  timeout 5 "$f" --version 2>&1 | grep release | tag release
done
exit 0
"""


def parse(text: str) -> tuple[CudaToolkit, ...] | None:
    """Toolkits by folder; the version is None for an nvcc that does not say one. None when nothing was looked at."""
    tagged = Tagged(text)
    if "looked" not in tagged:
        return None
    found: dict[str, str | None] = {}
    current = ""
    for tag, rest in tagged.lines:
        if tag == "nvcc" and rest.startswith("/"):
            current = str(PurePosixPath(rest.strip()).parent.parent)
            found[current] = None
        elif tag == "release" and current:
            found[current] = found[current] or version_in(rest, r"release (\d+(?:\.\d+)+)")
    return tuple(CudaToolkit(path, version) for path, version in sorted(found.items()))


SUBJECT = Subject[tuple[CudaToolkit, ...] | None]("cuda", _SCRIPT, parse, None, seconds=60, limit=16_000)


class CudaToolkits(SubjectFact[tuple[CudaToolkit, ...] | None]):
    """CUDA toolkits on this host."""

    subject = SUBJECT
