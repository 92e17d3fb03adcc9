"""Which kernel the next boot would start, as far as GRUB's own files tell (source: GRUB manual, `default`, `savedefault`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, integer, version_key

_SCRIPT = r"""
for f in /boot/vmlinuz-[0-9]*; do [ -e "$f" ] && echo "image ${f#/boot/vmlinuz-}"; done
for d in /boot/grub /boot/grub2; do
  [ -e "$d/grub.cfg" ] || continue
  echo "grub $d"
  [ -r "$d/grubenv" ] && grep -aE '^(saved_entry|next_entry)=' "$d/grubenv" | tag env
  [ -r "$d/grub.cfg" ] || continue
  echo "readable $d"
  grep -E '^[[:space:]]*(set default=|menuentry |submenu |linux(16|efi)?[[:space:]]|blscfg|\})' "$d/grub.cfg" |
    cut -c 1-400 | head -n 300 | tag menu
done
[ -r /etc/default/grub ] && grep -E '^[[:space:]]*GRUB_DEFAULT=' /etc/default/grub | tag option
exit 0
"""

_RELEASE = r"(\d+\.\d+[^\s/'\"]*)"


@dataclass
class _Entry:
    """One menu entry: `path` holds (title, id) of its submenu and of itself; `index` their places."""

    path: tuple[tuple[str, str], ...]
    index: tuple[int, ...]
    release: str | None = None


def parse(text: str) -> str | None:
    """The release of the default entry; None when GRUB is not there or its choice cannot be told."""
    tagged = Tagged(text)
    if "grub" not in tagged:
        return None
    images = sorted({r for r in tagged.all("image") if re.fullmatch(_RELEASE, r)}, key=version_key)
    environment = dict(line.split("=", 1) for line in tagged.all("env") if "=" in line)
    menu = tagged.all("menu")
    wanted = _wanted(menu, environment)
    if wanted is not None and (release := _resolve(_entries(menu), images, wanted)):
        return release
    option = (tagged.first("option") or "").partition("=")[2].strip("\"' ")
    return images[-1] if images and option == "0" and not menu else None


def _wanted(menu: list[str], environment: dict[str, str]) -> str | None:
    """The entry that is asked for: the one-time choice first, then what `set default` names or reads."""
    if environment.get("next_entry"):
        return environment["next_entry"]
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
    return next((release for release in reversed(images) if wanted.endswith(f"-{release}")), None)


SUBJECT = Subject[str | None]("bootmenu", _SCRIPT, parse, None)


class DefaultKernel(SubjectFact[str | None]):
    """The release that the next boot would start, None when it cannot be told."""

    subject = SUBJECT
