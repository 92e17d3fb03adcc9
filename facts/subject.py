"""A subject of the probe, and the one shell command that asks for any number of them.

Each section runs in a shell of its own, under a time limit and an output cap, with everything but printable ASCII
filtered out. Markers begin with a random word until one filter for all has put every other line behind `|`, so nothing that a
host prints can be taken for one; the line that ends a section carries the exit status. Each process that is not started counts: a converged host
costs this and little else. The command reads only: it writes no file, not even a temporary one.
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
  need awk; most=$1; shift
  for f; do
    shift
    if [ -f "$f" ]; then set -- "$@" "$f"; elif [ -e "$f" ]; then echo "nocontent $f"; fi
  done
  [ $# -gt 0 ] || return 0
  { printf '%s\n' "$@"; echo sizes; wc -c "$@"; echo plain; grep -aL '[^[:print:][:blank:]]' "$@"; } | awk -v most="$most" '
    !/^\// && ($0 == "sizes" || $0 == "plain") { stage = $0; next }
    !stage { paths[++n] = $0; next }
    stage == "sizes" { bytes = $1; sub(/^ *[0-9]+ /, ""); size[$0] = bytes; next }
    { plain[$0] = 1 }
    END {
      for (i = 1; i <= n; i++) {
        f = q = paths[i]
        if (!(f in size) || size[f] + 0 > most) { print "nocontent " f; continue }
        print "file " f " " size[f] (f in plain ? " plain" : " base64")
        if (f in plain) { while ((getline line <f) > 0) print "> " line; close(f); continue }
        gsub(/\047/, "\047\\\047\047", q); command = "base64 \047" q "\047"
        while ((command | getline line) > 0) print "> " line
        close(command)
      }
    }'
}
"""

_RUNNER = r"""
LC_ALL=C; export LC_ALL
mark=; read -r mark </proc/sys/kernel/random/uuid || mark=mark-$$
if timeout -k 1 5 true 2>/dev/null; then limit() { timeout -k 2 "$@"; }
elif timeout 5 true 2>/dev/null; then limit() { timeout "$@"; }
else limit() { echo 'missing timeout'; return 69; }
fi
section() {
  printf '\n%s %s begin %s\n' "$mark" "$1" "$3"
  { limit "$2" sh -c "$prelude$4" </dev/null 2>/dev/null; printf '\n%s %s end %s\n' "$mark" "$1" "$?"; } | head -c "$(($3 + 80))"
}
framed() {
  tr -cd '\11\12\40-\176' | sed "
    /^\$/ {
      \$! N
      /^\n$mark / { s//### /; b
      }
      s/^/|/; P; D
    }
    /^$mark / { s//### /; b
    }
    s/^/|/"
}
"""


def build_command(subjects: Sequence[Subject[object]]) -> str:
    """The shell command that asks for these subjects: slow ones at the same time, the others in this order, before them."""
    slow = [s for s in subjects if s.slow] if len(subjects) > 1 else []
    calls = "\n".join(f"section {_words(s)}" for s in subjects if s not in slow)
    for subject in slow:
        # Its answer waits in the pipe until those before it are through: no file, and no line of one within another.
        calls = f"section {_words(subject)} | {{\n{calls}\ncat\n}}"
    lines = [
        f"prelude={shlex.quote(PRELUDE.lstrip())}",
        _RUNNER.strip(),
        f'{{\necho "$mark {PROBE} begin 1"',
        calls,
        f"printf '\\n%s {PROBE} end 0\\n' \"$mark\"\n}} | framed",
    ]
    return "\n".join(lines)


def _words(subject: Subject[object]) -> str:
    return f"{subject.name} {subject.seconds} {subject.limit} {shlex.quote(subject.script.strip())}"
