"""DKMS modules and their states.

`dkms status` writes a temporary file, so the same lines are made from its tree: MODULE/VERSION/KERNEL/ARCH/module is
a build, the link MODULE/kernel-KERNEL-ARCH an installation (source: dkms(8)). The parser reads the output of dkms itself too.
"""

from __future__ import annotations

import re

from deploys.plan.machine import DkmsEntry
from facts.base import SubjectFact
from facts.subject import Subject

_SCRIPT = r"""
[ -d /var/lib/dkms ] || exit 0
[ -r /var/lib/dkms ] || { echo 'missing right to read /var/lib/dkms'; exit 69; }
cd /var/lib/dkms || exit 69
for v in */*/; do
  v=${v%/}; m=${v%%/*}
  { [ -e "$v/source" ] || [ -L "$v/source" ]; } && [ ! -L "$v" ] || continue
  built=
  for b in "$v"/[0-9]*/*/module; do
    [ -d "$b" ] || continue
    built=1 b=${b%/module}; ka=${b#"$v"/}
    state=built
    [ "$(real "$m/kernel-${ka%/*}-${ka#*/}")" = "$(real "$b")" ] && state=installed
    echo "$v, ${ka%/*}, ${ka#*/}: $state"
  done
  [ -n "$built" ] || echo "$v: added"
done
exit 0
"""

# 3.x: `name/version, kernel, arch: state`; 2.8: `name, version, kernel, arch: state`; `added` has no kernel.
_LINE = re.compile(
    r"(?P<module>[^/,:\s]+)(?:/|,\s*)(?P<version>[^/,:\s]+)(?:,\s*(?P<kernel>[^,:\s]+))?(?:,\s*[^,:\s]+)?"
    r"\s*:\s*(?P<state>[a-z][a-z-]*)\b.*"
)


def parse(text: str) -> tuple[DkmsEntry, ...]:
    """One entry a line of `dkms status`; remarks behind the state are dropped."""
    found: set[tuple[str, str, str, str]] = set()
    for line in text.split("\n"):
        if match := _LINE.fullmatch(line.strip()):
            found.add((match["module"], match["version"], match["kernel"] or "", match["state"]))
    return tuple(DkmsEntry(*entry) for entry in sorted(found))


_NONE: tuple[DkmsEntry, ...] = ()
SUBJECT = Subject("dkms", _SCRIPT, parse, _NONE)


class DkmsStatus(SubjectFact[tuple[DkmsEntry, ...]]):
    """What `dkms status` would say."""

    subject = SUBJECT
