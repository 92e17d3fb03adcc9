"""A Compose network of the user's own on the host: which content it was made from, how its services are, and what it says when it is resolved.

Sources: docker compose(1), `config` and `ps`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from typing_extensions import override

from facts.base import SubjectFact
from facts.subject import Subject, build_command
from facts.text import Tagged

_SCRIPT = r"""
engine() { timeout 60 docker -H unix:///var/run/docker.sock "$@"; }
there=$(engine ps -a -q --filter "label=com.docker.compose.project=$project") && echo asked
[ -z "$there" ] || echo there
[ -d "$folder" ] && cd "$folder" || exit 0
[ -r .gpu-host ] && head -c 200 .gpu-host | tag digest
run() { engine compose -p "$project" "$@"; }
run ps -a --format '{{.State}} {{.ExitCode}}' 2>/dev/null | tag state
if text=$(run config --format json 2>/dev/null); then printf '%s' "$text" | tr '\n' ' ' | tag config; echo; else run config 2>&1 | tail -n 5 | tag error; fi
exit 0
"""


@dataclass(frozen=True)
class ComposeNetwork:
    """`digest` of the content it was made from ("" none), `states` of its containers ("running 0": and exit code), `document` as Compose resolves it,

    or its `error`. `asked`: the engine answered. `there`: containers of a project of that name exist.
    """

    asked: bool = False
    there: bool = False
    digest: str = ""
    states: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def parse(text: str) -> ComposeNetwork:
    """What the host said."""
    tagged = Tagged(text)
    try:
        document = json.loads(tagged.first("config") or "{}")
    except ValueError:
        document = {}
    return ComposeNetwork(
        asked="asked" in tagged,
        there="there" in tagged,
        digest=tagged.first("digest") or "",
        states=tuple(s.strip() for s in tagged.all("state") if s.strip()),
        document=document if isinstance(document, dict) else {},
        error="\n".join(tagged.all("error")),
    )


SUBJECT = Subject("compose", _SCRIPT, parse, ComposeNetwork(), seconds=150, limit=1_000_000)


class ComposeState(SubjectFact[ComposeNetwork]):
    """The network of that name in that folder."""

    subject = SUBJECT

    @override
    def command(self, folder: str = "", project: str = "") -> str:
        asked = f"folder={shlex.quote(folder)} project={shlex.quote(project)}\n"
        return build_command([replace(self.subject, script=asked + self.subject.script)])
