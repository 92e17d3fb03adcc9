"""Whole files of ours: written atomically, compared by digest, content never on a command line."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.knowledge.paths import EDITS_RECORD, STATE_DIR
from deploys.plan.edits import text_edits
from deploys.plan.files import KEEP, FileChange, digest
from deploys.plan.settings_proxy import Proxy
from deploys.support.context import this_host
from deploys.support.fetch import with_keys
from deploys.support.guard import guarded
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def write(change: FileChange, judge: str = ":") -> StringCommand:
    """One command that replaces a file as a whole: temporary name in the same folder, then rename.

    `judge`: a shell command that fails where the new file, "$n", must not take the place of "$f".

    The content travels on standard input, so that no process list shows it. With mode KEEP an existing file keeps its
    mode and owner, and a link stays a link: the file that it leads to is replaced.
    """
    owner = f'chown root:root "$n" && chmod {change.mode or "644"} "$n"'
    follow = ":"
    if change.mode == KEEP:
        owner = f'if [ -e "$f" ]; then chown --reference="$f" "$n" && chmod --reference="$f" "$n"; else {owner}; fi'
        follow = 'if [ -L "$f" ]; then f=$(readlink -f "$f"); fi'
    script = "\n".join(
        [
            f"umask 077; f={shlex.quote(change.path)}",
            follow,
            'n=$f.gpu-host-new; (umask 022; mkdir -p "${f%/*}")',
            f'{{ cat >"$n" && {owner}; }} && {{ {judge}; }} && sync "$n" && mv -f "$n" "$f" || {{ rm -f "$n"; exit 1; }}',
        ]
    )
    return StringCommand(script, _stdin=change.content)


@operation()
@guarded
@changing
def owned(files: Sequence[FileChange], proxy: Proxy | None = None) -> Commands:
    """Files of ours exist with exactly this content.

    + files: whole files, each with path, content and mode
    + proxy: the way to keys that are fetched
    """
    known = machine().files
    files = with_keys(files, proxy)
    for change in files:
        state = known.get(change.path)
        if state is not None and state.sha256 == digest(change.content) and state.mode == change.mode:
            continue
        yield write(change)
    if all(c.path in known and known[c.path].sha256 == digest(c.content) for c in files):
        this_host().noop("all files are as wanted")


@operation()
@guarded
@changing
def edited(files: Sequence[FileChange]) -> Commands:
    """The host's own files with our edit in them. The plan lists only files that differ; here they are compared again.

    + files: the edited files with their whole new text
    """
    now = {source.path: source.content for source in machine().packages.sources}
    for change in files:
        if now.get(change.path) != change.content:
            yield note_edits(text_edits(change.path, now.get(change.path) or "", change.content))
            yield write(change)


def note_edits(lines: Sequence[str]) -> StringCommand:
    """Written down before the edit itself, so that each edit can be taken back; standard input, because a source may hold a login."""
    script = f"umask 077; mkdir -p -m 700 {STATE_DIR} && cat >>{EDITS_RECORD} && sync {EDITS_RECORD}"
    return StringCommand(script, _stdin="".join(f"{line}\n" for line in lines))
