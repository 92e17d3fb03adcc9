"""Digest, mode and owner of the files that this toolkit owns, so that no operation has to ask the host again."""

from __future__ import annotations

import re

from deploys.knowledge.paths import DAEMON_JSON, OWNED_FILES
from deploys.plan.machine import FileState
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

PATHS = (*OWNED_FILES, DAEMON_JSON)

# One process for all digests and one for all modes, not two for each file.
_SCRIPT = (
    "need sha256sum; need stat; need awk\nset --\n"
    f"for f in {' '.join(PATHS)}; do\n"
    r"""
  if [ -f "$f" ]; then set -- "$@" "$f"
  elif [ -e "$f" ] || [ -L "$f" ]; then echo "strange $f"
  elif [ -x "${f%/*}" ] || [ ! -e "${f%/*}" ]; then echo "absent $f"
  fi
done
[ $# -gt 0 ] || exit 0
{ stat -L -c 'mode %a %U:%G %n' "$@"; sha256sum "$@"; } | awk '
  $1 == "mode" { mode[$4] = $2 " " $3; next }
  $2 in mode { print "state " $2 " " $1 " " mode[$2] }'
for f; do shift; case $f in *.asc) set -- "$@" "$f" ;; esac; done
show 20000 "$@"
exit 0
"""
)


def parse(text: str) -> dict[str, FileState]:
    """Files by path; one that could not be read, or that is no file, is left out: it is unknown."""
    tagged = Tagged(text)
    found = {path: FileState(path=path, sha256="") for path in map(str.strip, tagged.all("absent")) if path in PATHS}
    texts = {file.path: file.content or "" for file in tagged.files()}
    for path, digest, mode, owner in tagged.words("state", 4):
        if path in PATHS and re.fullmatch(r"[0-9a-f]{64}", digest) and re.fullmatch(r"[0-7]{1,4}", mode):
            found[path] = FileState(path, digest, mode, owner.strip(), texts.get(path, ""))
    return dict(sorted(found.items()))


_NONE: dict[str, FileState] = {}
SUBJECT = Subject("files", _SCRIPT, parse, _NONE, limit=200_000)


class OwnedFiles(SubjectFact[dict[str, FileState]]):
    """State of each file that this toolkit owns."""

    subject = SUBJECT
