"""Digest, mode and owner of the files that this toolkit owns, so that no operation has to ask the host again."""

from __future__ import annotations

import re

from deploys.knowledge.paths import DAEMON_JSON, OWNED_FILES
from deploys.plan.machine import FileState
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

PATHS = (*OWNED_FILES, DAEMON_JSON)

_SCRIPT = (
    "need sha256sum; need stat\n"
    f"for f in {' '.join(PATHS)}; do\n"
    r"""
  if [ -f "$f" ]; then
    digest=$(sha256sum <"$f") && echo "state $f ${digest%% *} $(stat -L -c '%a %U:%G' "$f")"
    case $f in *.asc) show "$f" 20000 ;; esac
  elif [ -e "$f" ] || [ -L "$f" ]; then echo "strange $f"
  elif [ -x "${f%/*}" ] || [ ! -e "${f%/*}" ]; then echo "absent $f"
  fi
done
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
