"""Packages that somebody keeps at their versions, and whose holds these are.

Ours are known by the ledger (apt, whose holds have no owner) or by our words in the manager's own file. Sources: dpkg-query(1), dnf
versionlock, zypper(8) locks, pacman.conf(5).
"""

from __future__ import annotations

import re

from deploys.knowledge.managers import HOLD_MARK, HOLD_PATTERN_END, IGNORE_MARK
from deploys.knowledge.paths import HOLDS_LEDGER
from deploys.plan.machine import Hold
from facts.base import SubjectFact
from facts.packages import MANAGER
from facts.subject import Subject
from facts.text import Tagged

_SCRIPT = (
    MANAGER
    + f"ledger={HOLDS_LEDGER} mark='{HOLD_MARK}' ignore='{IGNORE_MARK}'\n"
    + r"""
m=$(manager)
[ -n "$m" ] || { echo 'missing package manager'; exit 69; }
echo looked
[ -r "$ledger" ] && grep -v '^#' "$ledger" | tag ledger
case $m in
  apt) dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '$1 ~ /^h/ { print "hold " $2 }' ;;
  pacman)
    awk -v mark="$ignore" '$0 == mark { ours = 1; next }
      /^[[:space:]]*IgnorePkg[[:space:]]*=/ { sub(/^[^=]*=/, ""); n = split($0, a, " "); for (i = 1; i <= n; i++) print (ours ? "ours " : "other ") a[i] }
      { ours = 0 }' /etc/pacman.conf ;;
  *)
    for f in /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list; do
      [ -r "$f" ] && grep -v '^[[:space:]]*\(#\|$\)' "$f" | tag pattern
    done
    [ -r /etc/dnf/versionlock.toml ] && awk -v mark="\"$mark\"" '
      function flush() { if (name != "") print (ours ? "ours " : "other ") name; name = ""; ours = 0 }
      /^\[\[packages\]\]/ { flush() }
      /^[ \t]*name[ \t]*=/ { name = $0; sub(/^[^"]*"/, "", name); sub(/".*/, "", name) }
      /^[ \t]*comment[ \t]*=/ && index($0, mark) { ours = 1 }
      END { flush() }' /etc/dnf/versionlock.toml
    [ -r /etc/zypp/locks ] && awk -v mark="comment: $mark" '
      function flush() { if (name != "") print (ours ? "ours " : "other ") name; name = ""; ours = 0 }
      /^[ \t]*$/ { flush(); next }
      /^solvable_name:/ { name = $2 }
      index($0, mark) == 1 { ours = 1 }
      END { flush() }' /etc/zypp/locks ;;
esac
exit 0
"""
)

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# NAME-EPOCH:VERSION-RELEASE, as the list of dnf 4 has it; a "!" before it excludes that version.
_PATTERN = re.compile(r"!?(?P<name>\S+?)(-\d+:[^\s-]+-\S+|-[^\s-]+-[^\s-]+)?")


def parse(text: str) -> tuple[Hold, ...]:
    """By name. A package that both we and others hold is there twice."""
    tagged = Tagged(text)
    ledger = {words[0]: (*words[1:3], "", "")[:2] for line in tagged.all("ledger") if (words := line.split())}
    found = {Hold(name, ours=name in ledger, **_since(ledger, name)) for name in _names(tagged, "hold")}
    found |= {Hold(name, ours=True, **_since(ledger, name)) for name in _names(tagged, "ours")}
    found |= {Hold(name) for name in _names(tagged, "other")}
    for line in tagged.all("pattern"):
        if match := _PATTERN.fullmatch(line.strip()):
            name, ours = match["name"], line.strip().endswith(HOLD_PATTERN_END)
            found.add(Hold(name, ours=ours, **(_since(ledger, name) if ours else {})))
    return tuple(sorted(found, key=lambda hold: (hold.name, hold.ours)))


def _names(tagged: Tagged, tag: str) -> list[str]:
    return [name.strip() for name in tagged.all(tag) if name.strip()]


def _since(ledger: dict[str, tuple[str, ...]], name: str) -> dict[str, str]:
    version, since = ledger.get(name, ("", ""))
    return {"version": version, "since": since if _DATE.fullmatch(since) else ""}


_NONE: tuple[Hold, ...] = ()
SUBJECT = Subject("holds", _SCRIPT, parse, _NONE)


class PackageHolds(SubjectFact[tuple[Hold, ...]]):
    """Packages that are kept at their versions, and by whom."""

    subject = SUBJECT
