"""Whole files of ours: written atomically, compared by digest, content never on a command line."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation

from deploys.plan.plan import FileChange, digest
from deploys.support.context import this_host
from deploys.support.guard import guarded
from deploys.support.world import changing, machine

Commands = Generator[Any, None, None]


def write(change: FileChange) -> StringCommand:
    """One command that replaces a file as a whole: temporary name in the same folder, then rename.

    The content travels on standard input, so that no process list shows it. An existing file keeps owner and mode
    unless it is ours.
    """
    path = shlex.quote(change.path)
    temporary = shlex.quote(f"{change.path}.gpu-host-new")
    folder = shlex.quote(change.path.rsplit("/", 1)[0])
    script = (
        f"umask 077; mkdir -p -m 755 {folder} && cat >{temporary} && chown root:root {temporary} && chmod {change.mode} {temporary} && "
        f"sync {temporary} && mv -f {temporary} {path} || {{ rm -f {temporary}; exit 1; }}"
    )
    return StringCommand(script, _stdin=change.content)


@operation()
@guarded
@changing
def owned(files: Sequence[FileChange]) -> Commands:
    """Files of ours exist with exactly this content.

    + files: whole files, each with path, content and mode
    """
    known = machine().files
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
            yield write(change)
