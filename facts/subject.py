"""A subject of the probe, and the one shell command that asks for any number of them.

Each section runs in a shell of its own, under a time limit and an output cap, with everything but printable ASCII
filtered out. Its lines travel behind `|`, so nothing that a host prints can be taken for a marker; the line that
ends a section carries the exit status. The command reads only: it writes no file, not even a temporary one.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)

PROBE = "gpu-host-probe"

# Exit status of a fragment whose tool or file is not there; it prints `missing NAME` before (EX_UNAVAILABLE).
MISSING = 69


@dataclass(frozen=True)
class Subject(Generic[T_co]):
    """One section. `script` is a POSIX shell fragment, `parse` a pure and total function of its output.

    `unknown` stands in when the section failed; `seconds` and `limit` (bytes) bound the section on the host. A `slow` one runs
    beside the others.
    """

    name: str
    script: str
    parse: Callable[[str], T_co]
    unknown: T_co
    seconds: int = 30
    limit: int = 64_000
    slow: bool = False


# Functions that fragments may use.
PRELUDE = r"""
HOME=/nonexistent LC_ALL=C LANGUAGE=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME LC_ALL LANGUAGE PATH
have() { command -v "$1" >/dev/null 2>&1; }
need() { have "$1" || { echo "missing $1"; exit 69; }; }
tag() { sed "s|^|$1 |"; }
real() { readlink -f "$1" 2>/dev/null; }
show() {
  [ -e "$1" ] || return 0
  size=$(wc -c <"$1") && size=$((size)) && [ "$size" -le "$2" ] || { echo "nocontent $1"; return 0; }
  if [ "$(tr -d '\11\12\40-\176' <"$1" | wc -c)" -eq 0 ]; then
    echo "file $1 $size plain"; sed 's/^/> /' "$1"; [ -z "$(tail -c 1 "$1")" ] || echo
  else
    echo "file $1 $size base64"; base64 "$1" | sed 's/^/> /'
  fi
}
"""

_RUNNER = r"""
LC_ALL=C; export LC_ALL
exec 4>&1
if timeout -k 1 5 true 2>/dev/null; then limit() { timeout -k 2 "$@"; }
elif timeout 5 true 2>/dev/null; then limit() { timeout "$@"; }
else limit() { echo 'missing timeout'; return 69; }
fi
section() {
  printf '\n### %s begin %s\n' "$1" "$3"
  code=$( {
    { limit "$2" sh -c "$prelude$4" </dev/null 2>/dev/null 3>&- 4>&-; echo "$?" >&3; } |
      tr -cd '\11\12\40-\176' | head -c "$3" | sed 's/^/|/' >&4
  } 3>&1 )
  printf '\n### %s end %s\n' "$1" "$code"
}
beside() { exec 4>&1; section "$@"; }
"""


def build_command(subjects: Sequence[Subject[object]]) -> str:
    """The shell command that asks for these subjects: slow ones at the same time, the others in this order, before them."""
    slow = [s for s in subjects if s.slow] if len(subjects) > 1 else []
    calls = "\n".join(f"section {_words(s)}" for s in subjects if s not in slow)
    for subject in slow:
        # Its answer waits in the pipe until those before it are through: no file, and no line of one within another.
        calls = f"beside {_words(subject)} | {{\n{calls}\ncat\n}}"
    lines = [
        f"prelude={shlex.quote(PRELUDE.lstrip())}",
        _RUNNER.strip(),
        f"printf '\\n### {PROBE} begin 1\\n'",
        calls,
        f"printf '\\n### {PROBE} end 0\\n'",
    ]
    return "\n".join(lines)


def _words(subject: Subject[object]) -> str:
    return f"{subject.name} {subject.seconds} {subject.limit} {shlex.quote(subject.script.strip())}"
