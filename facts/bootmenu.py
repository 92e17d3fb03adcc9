"""Which kernel the next boot would start, as far as the boot loader's own files tell.

Sources: GRUB manual (`default`, `savedefault`), loader.conf(5), systemd-boot(7), the Boot Loader Specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from deploys.knowledge.paths import KERNEL_GATE_GRUB, PIN_RECORD, TRIAL_RECORD
from deploys.plan.machine import BootLoader
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, integer, version_key

# A GRUB whose environment block it cannot write boots a "once" entry for ever: what lies below it decides (source: GRUB manual,
# "The GRUB environment block"). Settings are read as grub-mkconfig reads them, without our own file.
_SCRIPT = (
    f"gate={KERNEL_GATE_GRUB}\nfor f in {PIN_RECORD} {TRIAL_RECORD}; do\n"
    r"""[ -r "$f" ] && head -c 300 "$f" | head -n 2 | tag "${f##*/}"
done
for f in /boot/vmlinuz-[0-9]*; do [ -e "$f" ] && echo "image ${f#/boot/vmlinuz-}"; done
for d in /etc/kernel/postinst.d /etc/kernel/install.d; do [ -d "$d" ] && echo "hooks $d"; done
have kernel-install && echo 'hooks /etc/kernel/install.d'
below() {
  at=$(awk -v p="$1/" '{ m = $5 == "/" ? "/" : $5 "/"; if (index(p, m) == 1 && length(m) >= n) { n = length(m); for (i = 7; $i != "-"; i++); l = $3 " " $(i + 1) } } END { print l }' /proc/self/mountinfo)
  echo "mount $at"
  b=/sys/dev/block/${at%% *}
  for k in dm md; do for f in "$b/$k" "$b/../$k"; do [ -d "$f" ] && echo "stacked $k $(cat "$f/uuid")" && break; done; done
}
for d in /boot/grub /boot/grub2; do
  [ -e "$d/grub.cfg" ] || continue
  echo "grub $d"
  below "$d"
  [ -r "$d/grubenv" ] && grep -aE '^(saved_entry|next_entry)=' "$d/grubenv" | tag env
  [ -r "$d/grub.cfg" ] || continue
  echo "readable $d"
  grep -E '^[[:space:]]*(set default=|menuentry |submenu |linux(16|efi)?[[:space:]]|blscfg|\})' "$d/grub.cfg" |
    cut -c 1-400 | head -n 300 | tag menu
done
grep -qs 'grub\.d/\*\.cfg' "$(command -v grub-mkconfig || command -v grub2-mkconfig)" && echo dropins
for f in /etc/default/grub /etc/default/grub.d/*.cfg; do
  [ "$f" != "$gate" ] && [ -r "$f" ] && grep -E '^[[:space:]]*GRUB_DEFAULT=' "$f" | tag option
done
for d in /boot /efi /boot/efi; do
  for f in "$d"/loader/entries/*.conf; do
    [ -r "$f" ] && f=${f##*/} && echo "entry ${f%.conf} $(sed -n 's/^version[[:space:]]*//p' "$d/loader/entries/$f" | head -n 1)"
  done
  [ -r "$d/loader/loader.conf" ] && sed -n 's/^default[[:space:]]*/preferred /p' "$d/loader/loader.conf"
done
e=/sys/firmware/efi/efivars
v=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
for n in Info EntryDefault; do
  [ -r "$e/Loader$n-$v" ] && echo "Loader$n $(tail -c +5 "$e/Loader$n-$v" | tr -d '\0')"
done
exit 0
"""
)

_RELEASE = r"(\d+\.\d+[^\s/'\"]*)"


@dataclass
class _Entry:
    """One menu entry: `path` holds (title, id) of its submenu and of itself; `index` their places."""

    path: tuple[tuple[str, str], ...]
    index: tuple[int, ...]
    release: str | None = None


def parse(text: str) -> BootLoader:
    """What starts kernels, and which; `default` is None where no known boot loader is there or its choice cannot be told."""
    tagged = Tagged(text)
    images = sorted({r for r in tagged.all("image") if re.fullmatch(_RELEASE, r)}, key=version_key)
    pin, trial = ([line.strip() for line in tagged.all(name)] for name in ("pinned-kernel", "kernel-trial"))
    found = BootLoader(
        hooks=tagged.first("hooks") or "",
        pinned=pin[0] if pin else "",
        trial=trial[0] if trial else "",
        trial_from=trial[1] if len(trial) > 1 else "",
    )
    if (tagged.first("LoaderInfo") or "").startswith("systemd-boot"):
        default, natural = _systemd_boot(tagged, found.pinned, pin[1] if len(pin) > 1 else "")
        return replace(found, kind="systemd-boot", default=default, natural=natural, one_shot=True)
    if "grub" not in tagged:
        return found
    entries = [words[1] for words in tagged.words("entry", 2)]
    bls = bool(entries) and any(line.strip().startswith("blscfg") for line in tagged.all("menu"))
    obstacle = _obstacle(tagged)
    default, natural = _grub(tagged, images, found.pinned, pin[1] if len(pin) > 1 else None)
    option = _option(tagged)
    return replace(
        found,
        kind="bls" if bls else "grub" if "dropins" in tagged else "saved" if option == "saved" else "",
        default=default,
        natural=natural,
        one_shot=None if obstacle is None else not obstacle,
        obstacle=obstacle or "",
    )


def _grub(tagged: Tagged, images: list[str], pinned: str, former: str | None) -> tuple[str | None, str | None]:
    """(what the next boot starts, what it would start without our pin)."""
    environment = dict(line.split("=", 1) for line in tagged.all("env") if "=" in line)
    menu = tagged.all("menu")
    option = _option(tagged)
    if not menu:
        newest = images[-1] if images and option == "0" else None
        return newest, newest

    def started(wanted: str | None) -> str | None:
        return None if wanted is None else _resolve(_entries(menu), images, wanted)

    lasting = started(_wanted(menu, {k: v for k, v in environment.items() if k != "next_entry"}))
    default = started(environment["next_entry"]) if environment.get("next_entry") else lasting
    if not pinned:
        return default, lasting
    # The menu says our pin; the choice of the distribution or of its owner stands beside it.
    return default, started(former or "0") if former is not None else chosen_by(option, environment, images)


def _option(tagged: Tagged) -> str:
    """GRUB_DEFAULT: the last one counts."""
    values = [line.partition("=")[2].strip("\"' ") for line in tagged.all("option")]
    return values[-1] if values else ""


def chosen_by(option: str, environment: Mapping[str, str], images: Sequence[str]) -> str | None:
    """The release that GRUB_DEFAULT asks for: the newest as first entry, or one that it names; None for any other."""
    wanted = environment.get("saved_entry") or "0" if option == "saved" else option or "0"
    if wanted in ("0", "1>0") or wanted.startswith("gnulinux-simple"):
        return images[-1] if images else None
    return max((r for r in images if r in wanted), key=len, default=None)


def _systemd_boot(tagged: Tagged, pinned: str, former: str) -> tuple[str | None, str | None]:
    """As `_grub`; the newest entry comes first unless a variable or loader.conf names another (source: loader.conf(5))."""
    entries = {name: release for name, release in tagged.words("entry", 2) if re.fullmatch(_RELEASE, release.strip())}
    newest = sorted(entries, key=lambda name: version_key(entries[name]))

    def first(*patterns: str) -> str | None:
        for pattern in filter(None, patterns):
            if found := [n for n in newest if fnmatchcase(n, pattern.removesuffix(".conf"))]:
                return entries[found[-1]].strip()
        return entries[newest[-1]].strip() if newest else None

    preferred, chosen = tagged.first("preferred") or "", tagged.first("LoaderEntryDefault") or ""
    return first(chosen, preferred), first(former if pinned else chosen, preferred)


# Where GRUB can write its environment block; "xfs" and the like have plain files (source: GRUB manual, as above).
_WRITABLE = ("ext2", "ext3", "ext4", "xfs", "vfat")


def _obstacle(tagged: Tagged) -> str | None:
    """Why GRUB cannot forget a choice that holds once; "" where it can, None unknown."""
    mounts = [words[1].strip() for words in tagged.words("mount", 2)]
    if not mounts:
        return None
    for kind, _, uuid in (line.partition(" ") for line in tagged.all("stacked")):
        if kind == "md":
            return "GRUB cannot write to software RAID (/boot)"
        if not re.match(r"(part\d+-)?mpath-", uuid):
            return "GRUB cannot write to LVM or another mapped device (/boot)"
    return "" if mounts[-1] in _WRITABLE else f"GRUB cannot write to {mounts[-1]} (/boot)"


def _wanted(menu: list[str], environment: Mapping[str, str]) -> str | None:
    """The lasting choice: what `set default` names or reads."""
    defaults = [m.group(1) for line in menu if (m := re.match(r"\s*set default=[\"']?([^\"']*)", line))]
    for default in reversed(defaults):
        if "saved_entry" in default:
            return environment.get("saved_entry") or "0"
        if "next_entry" not in default:
            return default
    return None


def _entries(menu: list[str]) -> list[_Entry]:
    entries: list[_Entry] = []
    submenu: tuple[tuple[str, str], int] | None = None
    top, inner, depth = 0, 0, 0
    for line in menu:
        word = line.split(None, 1)[0] if line.strip() else ""
        if word == "submenu":
            submenu, inner, depth = (_names(line), top), 0, 1
            top += 1
        elif word == "menuentry":
            if submenu:
                entries.append(_Entry((submenu[0], _names(line)), (submenu[1], inner)))
                inner, depth = inner + 1, depth + 1
            else:
                entries.append(_Entry((_names(line),), (top,)))
                top, depth = top + 1, depth + 1
        elif word.startswith("linux") and entries and (found := re.search(rf"(?:vmlinu[xz]|linux)-{_RELEASE}", line)):
            entries[-1].release = entries[-1].release or found.group(1)
        elif word.startswith("}"):
            depth = max(depth - 1, 0)
            submenu = submenu if depth else None
    return entries


def _names(line: str) -> tuple[str, str]:
    """Title and id of `menuentry 'title' ... $menuentry_id_option 'id' {`."""
    title = re.search(r"(?:menuentry|submenu)\s+(['\"])(.*?)\1", line)
    identity = re.search(r"(?:\$menuentry_id_option|--id)\s+['\"]?([^'\"\s]+)", line)
    return (title.group(2) if title else "", identity.group(1) if identity else "")


def _resolve(entries: list[_Entry], images: list[str], wanted: str) -> str | None:
    """`wanted` is an index, a title, an id or `submenu>entry` of these; with BLS files its end is the release."""
    steps = wanted.split(">")
    for entry in entries:
        if len(entry.path) == len(steps) and all(
            step in names or integer(step) == place
            for step, names, place in zip(steps, entry.path, entry.index, strict=False)
        ):
            return entry.release
    if wanted == "0" and not entries:
        return images[-1] if images else None
    return next((release for release in reversed(images) if wanted.endswith(f"-{release}")), None)


SUBJECT = Subject("bootmenu", _SCRIPT, parse, BootLoader())


class NextKernel(SubjectFact[BootLoader]):
    """The boot loader, the release that it starts next, and whether it can start another one once."""

    subject = SUBJECT
