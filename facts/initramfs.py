"""What is inside each boot image: nouveau, and the modprobe.d files that block it.

The images are listed here without lsinitramfs or lsinitrd, because both of them write temporary files. An image is
one or more cpio archives: plain ones first, then usually a compressed one (source: Linux,
Documentation/driver-api/early-userspace/buffer-format.rst). Names are read from the cpio headers (six digits of
magic, 104 of fields). The name that ends an archive proves that it was read to its end. That costs a tenth of a second
and more for each; so what was found is kept on the host after a proof, and holds as long as the image is the same.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

from deploys.knowledge.boot_images import LIST_IMAGE
from deploys.knowledge.paths import BOOT_IMAGES, NOUVEAU_BLOCK
from deploys.plan.machine import Initramfs
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

_NOUVEAU = re.compile(r"(?:.*/)?nouveau\.ko(?:\.[a-z0-9]+)?")
# What vendors and people call the file that blocks nouveau; the driver packages of Ubuntu use the last name.
_BLOCKER = re.compile(
    r"(?:.*/)?modprobe\.d/(?:"
    + re.escape(PurePosixPath(NOUVEAU_BLOCK).stem)
    + r"|.*(?:black|block|deny)lists?.*nouveau.*|.*nouveau.*(?:black|block|deny)list.*|.*disable.*nouveau.*"
    r"|nvidia-graphics-drivers.*)\.conf"
)
# Notes that other rules have made are of no use.
_RULES = hashlib.sha256(f"{LIST_IMAGE}{_NOUVEAU.pattern}{_BLOCKER.pattern}".encode()).hexdigest()[:8]

_SCRIPT = (
    r"""
need grep; need od
"""
    + LIST_IMAGE
    + f"notes={BOOT_IMAGES} rules={_RULES}\n"
    + r"""exec 3>&1
known() {
  [ -n "$1" ] && [ -r "$notes" ] || return
  while read -r id flags; do [ "$id" = "$1" ] && echo "known $flags" && return; done <"$notes"
  return 1
}
echo looked
for d in /lib/modules/*/; do
  d=${d%/}; r=${d##*/} base=
  [ -r "$d/pkgbase" ] && read -r base <"$d/pkgbase"
  for f in "/boot/initrd.img-$r" "/boot/initramfs-$r.img" "/boot/initrd-$r" "/boot/initramfs-${base:-$r}.img"; do
    [ -f "$f" ] || continue
    echo "image $r $f"
    id=$(stat -L -c "%d:%i:%s:%.9Z:$rules" "$f") && echo "identity $id"
    known "$id" || { [ -r "$f" ] && list "$f"; }
    break
  done
done
exit 0
"""
)


def parse(text: str) -> dict[str, Initramfs]:
    """Boot images by kernel release. An image that could not be read to its end has only `readable=False`."""
    images: dict[str, Initramfs] = {}
    current: tuple[str, str] | None = None
    names: list[tuple[str, str]] = []
    for tag, rest in [*Tagged(text).lines, ("image", "")]:
        if tag != "image":
            names.append((tag, rest))
            continue
        if current:
            images.setdefault(current[0], _image(current[1], names))
        parts = rest.split(None, 1)
        current, names = ((parts[0], parts[1]) if len(parts) == 2 else None), []
    return images


def _image(path: str, names: list[tuple[str, str]]) -> Initramfs:
    said = dict(names)
    identity = said.get("identity", "")
    if (known := said.get("known", "").split())[2:]:
        return Initramfs(
            path,
            readable=True,
            nouveau=known[0] == "nouveau",
            blocked=known[1] == "blocked",
            identity=identity,
            remembered=True,
        )
    last = "plain" if ("whole", "") in names else "packed"
    if (last, "TRAILER!!!") not in names:
        return Initramfs(path=path, readable=False, identity=identity)
    inside = [name for tag, name in names if tag in ("plain", "packed")]
    return Initramfs(
        path=path,
        readable=True,
        nouveau=any(_NOUVEAU.fullmatch(name) for name in inside),
        blocked=any(_BLOCKER.fullmatch(name) for name in inside),
        identity=identity,
    )


_NOTHING: dict[str, Initramfs] = {}
SUBJECT = Subject("initramfs", _SCRIPT, parse, _NOTHING, seconds=60, slow=True)


class BootImages(SubjectFact[dict[str, Initramfs]]):
    """Boot images by kernel release, with nouveau and its blockers inside."""

    subject = SUBJECT
