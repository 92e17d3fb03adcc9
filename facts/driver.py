"""The NVIDIA driver: module in the kernel, libraries on disk, what a .run installer left, device nodes.

Sources: /sys/module, /proc/driver/nvidia/version (`NVRM version:` line), ldconfig(8), dpkg-query(1) `--search`.
"""

from __future__ import annotations

import re

from deploys.plan.machine import Driver
from facts.base import SubjectFact
from facts.packages import MANAGER
from facts.subject import Subject
from facts.text import Tagged, version_in, version_key

# Libraries are looked for beside the loader's list, because a damaged installation may have left that list behind.
_SCRIPT = (
    MANAGER
    + r"""
[ -d /sys/module ] && echo modules-readable
for m in nvidia nvidia_current; do
  [ -d "/sys/module/$m" ] || continue
  echo "module $m"
  [ -r "/sys/module/$m/version" ] && tag loaded <"/sys/module/$m/version"
done
[ -r /run/gpu-host/load-tried ] && head -c 100 /run/gpu-host/load-tried | tag tried
[ -r /run/gpu-host/reload-tried ] && head -c 100 /run/gpu-host/reload-tried | tag retried
[ -r /proc/driver/nvidia/version ] && grep NVRM /proc/driver/nvidia/version | tag nvrm
set --
for f in /dev/nvidia*; do
  [ -e "$f" ] || continue
  echo "node $f"
  [ -c "$f" ] && set -- "$@" "$f"
done
[ $# -eq 0 ] || stat -c '0x%t 0x%T %n' "$@" | while read -r major minor f; do
  [ -e "/dev/char/$((major)):$((minor))" ] || echo "unlinked $f"
done
libraries=$(
  { ldconfig -p | sed -nE 's/.*(libcuda|libnvidia-ml)\.so\.1 .* => (.*)/\2/p'
    for d in /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu /usr/lib64 /usr/lib /usr/local/lib /lib64; do
      for f in "$d"/libcuda.so.[0-9]*.* "$d"/libnvidia-ml.so.[0-9]*.* "$d"/nvidia/*/libcuda.so.[0-9]*.* \
        "$d"/nvidia/*/libnvidia-ml.so.[0-9]*.*; do
        [ -e "$f" ] && echo "$f"
      done
    done
  } | sort -u | xargs -r readlink -f 2>/dev/null | sort -u | head -n 40)
echo searched
programs=
for f in /usr/bin/nvidia-uninstall /usr/bin/nvidia-installer; do [ -e "$f" ] && programs="$programs $f"; done
[ -z "$libraries" ] || printf 'library %s\n' $libraries
[ -z "$programs" ] || printf 'installer %s\n' $programs
[ -r /var/log/nvidia-installer.log ] && head -n 20 /var/log/nvidia-installer.log | grep -i version | tag log
set -- $libraries $programs
[ $# -gt 0 ] || { echo asked; exit 0; }
case $(manager) in
  apt)
    for f in "$@"; do case $f in /usr/lib*) set -- "$@" "${f#/usr}" ;; esac; done
    dpkg-query -S "$@" | tag dpkg; echo asked ;;
  pacman) for f in "$@"; do pacman -Qoq "$f" >/dev/null && echo "owned $f"; done; echo asked ;;
  '') ;;
  *) for f in "$@"; do rpm -qf "$f" >/dev/null && echo "owned $f"; done; echo asked ;;
esac
exit 0
"""
)

_LIBRARY = re.compile(r".*/lib(?:cuda|nvidia-ml)\.so\.(\d+(?:\.\d+)+)", flags=re.ASCII)


def parse(text: str) -> Driver:
    """The driver without DKMS and holders, which are subjects of their own."""
    tagged = Tagged(text)
    loaded, flavour = _loaded(tagged)
    libraries = sorted({path for path in tagged.all("library") if path.startswith("/")})
    installers = sorted({path for path in tagged.all("installer") if path.startswith("/")})
    owned = _owned(tagged)
    asked = "asked" in tagged
    versions = {path: found.group(1) for path in libraries if (found := _LIBRARY.fullmatch(path))}
    newest = max(versions.values(), key=version_key, default="")
    return Driver(
        loaded=loaded,
        loaded_flavour=flavour,
        load_tried=tagged.first("tried") or ("" if "modules-readable" in tagged else None),
        reload_tried=tagged.first("retried") or "",
        user_space=newest if "searched" in tagged else None,
        runfile=_runfile(tagged, [p for p in installers if _merged(p) not in owned], versions, owned)
        if asked
        else None,
        unowned=tuple(sorted(path for path in versions if _merged(path) not in owned)) if asked else (),
        unlinked=tuple(sorted({path for path in tagged.all("unlinked") if path.startswith("/dev/")})),
        device_nodes=tuple(sorted({path for path in tagged.all("node") if path.startswith("/dev/")})),
    )


def _loaded(tagged: Tagged) -> tuple[str | None, str | None]:
    """Version and flavour of the module in the kernel; ("", "") when there is none."""
    line = tagged.first("nvrm")
    if "module" not in tagged and not line:
        return ("", "") if "modules-readable" in tagged else (None, None)
    version = version_in(tagged.first("loaded")) or version_in(line, r"\s(\d{2,4}(?:\.\d+)+)\s")
    if not line:
        return version, None
    return version, "open" if "Open Kernel Module" in line else "proprietary"


def _owned(tagged: Tagged) -> set[str]:
    """Paths that a package owns, in merged-/usr spelling. dpkg prints `package[, package]: path`."""
    paths = set(tagged.all("owned"))
    for line in tagged.all("dpkg"):
        owner, separator, path = line.partition(": ")
        if separator and not owner.startswith("diversion by"):
            paths.add(path)
    return {_merged(path) for path in paths}


def _merged(path: str) -> str:
    path = path.strip()
    return f"/usr{path}" if re.match(r"/(?:lib\d*|bin|sbin)/", path) else path


def _runfile(tagged: Tagged, installers: list[str], versions: dict[str, str], owned: set[str]) -> str:
    """An installer that no package owns is the proof; a log alone is left behind by every removal."""
    if not installers:
        return ""
    loose = [version for path, version in versions.items() if _merged(path) not in owned]
    return max(loose, key=version_key, default=None) or version_in(tagged.first("log")) or "unknown"


SUBJECT = Subject("driver", _SCRIPT, parse, Driver(), seconds=60, slow=True)


class NvidiaDriver(SubjectFact[Driver]):
    """Driver in the kernel and on disk, files that no package owns, device nodes."""

    subject = SUBJECT
