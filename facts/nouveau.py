"""nouveau: loaded, blocked on disk, blocked on the kernel command line (source: modprobe.d(5), kernel-parameters)."""

from __future__ import annotations

import re

from deploys.plan.machine import Nouveau
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

# A file hides those of the same name in the folders after its own.
_SCRIPT = r"""
if [ -r /proc/modules ]; then
  echo modules-readable
  while read -r m rest; do [ "$m" = nouveau ] && echo loaded; done </proc/modules
fi
if [ -d /sys/module ]; then
  echo modules-readable
  [ -d /sys/module/nouveau ] && echo loaded
fi
seen=:
set --
for d in /etc/modprobe.d /run/modprobe.d /usr/local/lib/modprobe.d /usr/lib/modprobe.d /lib/modprobe.d; do
  for f in "$d"/*.conf; do
    [ -e "$f" ] || [ -L "$f" ] || continue
    case $seen in *:"${f##*/}":*) continue ;; esac
    seen=$seen${f##*/}:
    [ -f "$f" ] && set -- "$@" "$f"
  done
done
[ $# -eq 0 ] ||
  grep -El '^[[:space:]]*(blacklist[[:space:]]+nouveau|install[[:space:]]+nouveau[[:space:]]+(/usr)?/bin/(true|false))[[:space:]]*(#.*)?$' "$@" | tag blocker
if [ -r /proc/cmdline ]; then
  echo cmdline-readable
  read -r words </proc/cmdline
  for word in $words; do case $word in *nouveau*) echo "cmdline $word" ;; esac; done
fi
exit 0
"""


def parse(text: str) -> Nouveau:
    """`loaded` and `cmdline` are None where the kernel's own list could not be read."""
    tagged = Tagged(text)
    loaded = "loaded" in tagged
    return Nouveau(
        loaded=loaded if loaded or "modules-readable" in tagged else None,
        blockers=tuple(sorted({path for path in tagged.all("blocker") if path.startswith("/")})),
        cmdline=any(map(_blocks, tagged.all("cmdline"))) if "cmdline-readable" in tagged else None,
    )


def _blocks(word: str) -> bool:
    """`rd.driver.blacklist` acts inside the boot image only, so it does not count."""
    match = re.fullmatch(r"(?:modprobe\.blacklist|module_blacklist)=(\S*)", word)
    return bool(match) and "nouveau" in match.group(1).split(",") if match else False


SUBJECT = Subject("nouveau", _SCRIPT, parse, Nouveau(), limit=16_000)


class NouveauState(SubjectFact[Nouveau]):
    """Whether nouveau is loaded and what blocks it."""

    subject = SUBJECT
