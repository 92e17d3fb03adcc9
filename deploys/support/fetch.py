"""Keys that are pinned and not shipped: fetched by the host from the repository itself, and judged here before any use."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from pyinfra.api.command import StringCommand

from deploys.plan.files import FileChange
from deploys.plan.openpgp import fingerprint, is_pinned, trouble
from deploys.plan.settings_proxy import Proxy
from deploys.support.context import is_executing, this_host

LIMIT = 100_000  # bytes; a key has a few thousand

# Texts by host and path: a key is fetched once per run.
_FETCHED: dict[tuple[str, str], str] = {}

# Reads only. Of the programs that a bare host may have, the first that is there.
_SCRIPT = f"""
if command -v curl >/dev/null; then curl -fsSL --max-time 60 --max-filesize {LIMIT} "$u"
elif command -v wget >/dev/null; then wget -q -O - --timeout=60 --tries=2 "$u"
elif [ -x /usr/lib/apt/apt-helper ]; then
    d=$(mktemp -d) && trap 'rm -rf "$d"' EXIT && /usr/lib/apt/apt-helper -qq download-file "$u" "$d/key" >&2 && cat "$d/key"
elif command -v python3 >/dev/null; then
    python3 -c 'import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1], timeout=60).read({LIMIT}))' "$u"
else echo 'none of curl, wget, python3 is there' >&2; exit 69
fi
"""


class WrongKeyError(Exception):
    """The key could not be fetched, or is not the pinned one."""


def with_keys(files: Sequence[FileChange], proxy: Proxy | None = None) -> tuple[FileChange, ...]:
    """The files, with the text of each key that has to be fetched; as they are while changes are only detected.

    Raises `WrongKeyError` where a key cannot be fetched, is not the pinned one, or has ended.
    """
    if not is_executing():
        return tuple(files)
    return tuple(replace(f, content=_key(f, proxy)) if f.fetch and not f.content else f for f in files)


def _key(change: FileChange, proxy: Proxy | None) -> str:
    host, fetch = this_host(), change.fetch
    if fetch is None:
        return change.content
    name = (host.name, change.path)
    if name not in _FETCHED:
        variables = proxy.variables().items() if proxy else ()
        script = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in variables)
        script += f"u={shlex.quote(fetch.url)}{_SCRIPT}"
        arguments: dict[str, Any] = dict(host.current_op_global_arguments or {})
        sudo = {k: v for k, v in arguments.items() if k in ("_sudo", "_sudo_user", "_sudo_password")}
        done, output = host.run_shell_command(StringCommand("sh -s"), _stdin=script, _timeout=180, **sudo)
        text = output.stdout[:LIMIT] + "\n"
        if not done:
            raise WrongKeyError(f"{fetch.url} could not be fetched: {output.stderr.strip()[-300:] or 'no answer'}")
        if not is_pinned(text, fetch.fingerprint):
            found = fingerprint(text)
            said = f"a key with fingerprint {found}" if found else "no armoured OpenPGP key"
            raise WrongKeyError(
                f"{fetch.url} holds {said}; pinned is {fetch.fingerprint}. Compare both with what the vendor publishes; "
                "where the key has been rotated, bring the new one with gpu_mirrors"
            )
        if wrong := trouble(text, datetime.now(timezone.utc).date().isoformat()):
            raise WrongKeyError(f"{fetch.url}: {wrong}; bring the vendor's present key with gpu_mirrors")
        _FETCHED[name] = text
    return _FETCHED[name]
