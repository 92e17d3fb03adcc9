"""Installed kernels with their headers and NVIDIA modules. Boot images and the boot menu are subjects of their own."""

from __future__ import annotations

import re

from deploys.plan.machine import Kernel, KernelModule, Kernels
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, version_in, version_key

# A kernel is known by its module folder or its image. `build` is a link into the headers, so its Makefile proves them.
# Debian calls the modules nvidia-current.ko and the like; modinfo is asked for the core module only.
_SCRIPT = r"""
running=$(uname -r)
echo "running $running"
[ -r /boot ] && echo boot-readable
for d in /lib/modules/*/; do
  [ -d "$d" ] || continue
  d=${d%/} r=; r=${d##*/}
  echo "modules $r"
  [ -f "$d/build/Makefile" ] && echo "headers $r"
  for f in "$d/vmlinuz" /boot/*/"$r"/linux /efi/*/"$r"/linux; do [ -e "$f" ] && echo "image $r"; done
done
for f in /boot/vmlinuz-[0-9]*; do [ -e "$f" ] && echo "image ${f#/boot/vmlinuz-}"; done
for f in /boot/config-[0-9]*; do
  [ -r "$f" ] && line=$(grep -m 1 '^CONFIG_CC_VERSION_TEXT=' "$f") && printf 'compiler %s %.300s\n' "${f#/boot/config-}" "$line"
done
[ -r /proc/version ] && read -r line </proc/version && printf 'compiler %s %.400s\n' "$running" "$line"
if have gcc; then echo "gcc $(timeout 10 gcc -dumpfullversion)"; else echo 'gcc none'; fi
[ -d /lib/modules ] || exit 0
find /lib/modules/ \( -type f -o -type l \) \( -name 'nvidia*.ko' -o -name 'nvidia*.ko.xz' -o -name 'nvidia*.ko.zst' -o \
  -name 'nvidia*.ko.gz' \) | sort | head -n 200 | while read -r f; do
  case ${f##*/} in
    nvidiafb.*|nvidia-wmi*) continue ;;
    *[-_]uvm.*|*[-_]drm.*|*[-_]modeset.*|*[-_]peermem.*|*[-_]fs.*|*[-_]vfio.*) echo "module $f" ;;
    nvidia.*|nvidia-*|nvidia_*)
      echo "module $f"
      have modinfo || continue
      timeout 8 modinfo "$f" | awk -v f="$f" '
        { key = $1; sub(/^[^:]*:[ \t]*/, ""); if (!(key in said)) said[key] = $0 }
        END { split(said["vermagic:"], magic, " "); print "version " said["version:"] " " f; print "magic " magic[1] " " f; print "signer " f " " said["signer:"] }' ;;
  esac
done
exit 0
"""

# Belongs to Linux itself, not to the driver.
_NOT_THE_DRIVER = re.compile(r"nvidiafb|nvidia-wmi-.*")
_RELEASE = re.compile(r"\d+\.\d+[^\s/]*", flags=re.ASCII)
_MODULE = re.compile(r"/(?:usr/)?lib/modules/(?P<release>[^/]+)/(?:.*/)?(?P<stem>[^/]+)\.ko(?:\.(?:xz|zst|gz))?")


def parse(text: str) -> Kernels:
    """Running and installed kernels, oldest first. `image` is None where /boot cannot be read."""
    tagged = Tagged(text)
    images, headers = _releases(tagged, "image"), _releases(tagged, "headers")
    modules, compilers = _modules(tagged), _compilers(tagged)
    no_image = False if "boot-readable" in tagged else None
    installed = [
        Kernel(
            release=release,
            image=True if release in images else no_image,
            headers=release in headers,
            nvidia_modules=tuple(modules.get(release, ())),
            compiler=compilers.get(release),
        )
        for release in sorted(images | _releases(tagged, "modules"), key=version_key)
    ]
    gcc = tagged.first("gcc")
    return Kernels(
        running=tagged.first("running"),
        installed=tuple(installed),
        gcc="" if gcc == "none" else version_in(gcc),
    )


def _compilers(tagged: Tagged) -> dict[str, str]:
    """Release -> what built it, "gcc 12.2.0" or "clang 18.1.8"; the kernel's configuration counts before /proc/version."""
    found: dict[str, str] = {}
    for release, text in tagged.words("compiler", 2):
        match = re.search(r"(gcc|clang).*", re.split(r", (?:GNU ld|LLD)", text)[0])
        versions = re.findall(r"\d+\.\d+(?:\.\d+)?", match[0], flags=re.ASCII) if match else []
        if match and versions:
            found.setdefault(release, f"{match[1]} {versions[0 if match[1] == 'clang' else -1]}")
    return found


def _releases(tagged: Tagged, tag: str) -> set[str]:
    """Rescue images and folders that carry no release are left out."""
    return {rest.strip() for rest in tagged.all(tag) if _RELEASE.fullmatch(rest.strip())}


def _modules(tagged: Tagged) -> dict[str, list[KernelModule]]:
    versions: dict[str, str] = {}
    for version, path in tagged.words("version", 2):
        if (known := version_in(version)) is not None:
            versions[path.strip()] = known
    magic = {path.strip(): release for release, path in tagged.words("magic", 2)}
    signer = {path: name for path, _, name in (line.partition(" ") for line in tagged.all("signer"))}
    found: dict[str, list[KernelModule]] = {}
    for rest in sorted(set(tagged.all("module"))):
        match = _MODULE.fullmatch(rest.strip())
        if match and not _NOT_THE_DRIVER.fullmatch(match["stem"].replace("_", "-")):
            path = match[0]
            module = KernelModule(match["stem"], path, versions.get(path), magic.get(path), signer.get(path))
            found.setdefault(match["release"], []).append(module)
    return found


SUBJECT = Subject("kernels", _SCRIPT, parse, Kernels(), seconds=60, slow=True)


class InstalledKernels(SubjectFact[Kernels]):
    """Running and installed kernels, their headers and NVIDIA modules (without boot images and the boot menu)."""

    subject = SUBJECT
