"""The package database: manager, health, and the packages that concern a GPU host.

Locks, holds, candidates and sources are subjects of their own. Sources: dpkg-query(1), dpkg(1) `--audit`, rpm(8), pacman(8).
"""

from __future__ import annotations

import re

from deploys.knowledge.paths import NOTES_DIR
from deploys.plan.machine import Package, Packages
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged

# Names that concern GPU, CUDA, containers, kernels and building; as an extended regular expression.
NAMES = (
    "nvidia|cuda|^libnv|^nvlsm|^infiniband-diags|^libcu(fft|rand|solver|sparse|pti|blas)|^libnccl|cudnn|nsight|nouveau|datacenter-gpu|^docker|^containerd|^runc|podman|^moby|"
    "^libxnvctrl|^linux[0-9]*($|-)|^kernel[0-9.]*($|-)|^kmod|^akmod|^dkms|^gcc|^cpp|^make$|^libc6-dev|^glibc-devel|^build-essential|"
    "^base-devel|^initramfs-tools|^dracut|^mkinitcpio|^mokutil|^shim|^grub|^glx-|^ubuntu-drivers|^firmware-nvidia|"
    "^egl-wayland|^switcheroo|^python3?$|^epel-release|^oracle-epel|^apt$|^dpkg$|^systemd$"
)

# The manager is the one whose database holds the base system: a Debian host may have rpm, a Fedora host dpkg.
MANAGER = r"""
manager() {
  if [ -e /var/lib/dpkg/info/base-files.list ] && have dpkg-query; then echo apt
  elif [ -d /var/lib/pacman/local ] && have pacman; then echo pacman
  elif have rpm; then
    if have zypper; then echo zypper
    elif have dnf5; then echo dnf5
    elif have dnf || have yum; then echo dnf4
    else echo rpm
    fi
  fi
}
"""

# All packages are read once; those in an unfinished state are listed whatever their name.
_SCRIPT = (
    MANAGER
    + f"names='{NAMES}'\n"
    + r"""
m=$(manager)
[ -n "$m" ] || { echo 'missing package manager'; exit 69; }
echo "manager $m"
"""
    + f"[ -d {NOTES_DIR} ] && echo cut-off\n"
    + r"""
case $m in
  apt)
    dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n' |
      awk -F '\t' -v names="$names" '
        $1 !~ /^.[inc]/ || $1 ~ /R/ { print "unfinished " $1 " " $2 " " $3 }
        $1 !~ /^.n/ && ($2 ~ names || $1 !~ /^.[inc]/) { print "package\t" $0 }
        END { print "listed " NR }'
    dpkg --audit 2>&1 | head -n 60 | tag audit
    echo "audited $?"
    for f in /var/lib/dpkg/updates/*; do [ -e "$f" ] && echo "update $f"; done ;;
  pacman)
    pacman -Q | awk -v names="$names" '$1 ~ names { print "package\tii \t" $1 "\t" $2 "\t" } END { print "listed " NR }'
    for d in /var/lib/pacman/local/*/; do [ -e "$d" ] && [ ! -s "$d/desc" ] && echo "update $d"; done
    echo audited ;;
  *)
    rpm -qa --qf 'package\tii \t%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\n' |
      awk -F '\t' -v names="$names" '$3 ~ names { print } END { print "listed " NR }'
    echo audited ;;
esac
exit 0
"""
)

_STATUS = re.compile(r"[uihrp][ncHUFWti][ R]?")


def parse(text: str) -> Packages:
    """Manager, packages and health. `healthy` is None where it could not be judged."""
    tagged = Tagged(text)
    manager = tagged.first("manager")
    problems = _problems(tagged)
    listed = tagged.first("listed") not in (None, "0") and "audited" in tagged
    return Packages(
        manager=manager,
        healthy=False if problems else (True if listed else None),
        problems=problems,
        cut_off="cut-off" in tagged,
        installed=_installed(text),
    )


def _problems(tagged: Tagged) -> tuple[str, ...]:
    """In the order found: unfinished packages, interrupted updates, what the audit says."""
    unfinished = [f"{name} {version} is in state {status}" for status, name, version in tagged.words("unfinished", 3)]
    updates = [f"an interrupted transaction left {path}" for path in tagged.all("update") if path.startswith("/")]
    audit = [line.strip() for line in tagged.all("audit") if line.strip() and not line.startswith("dpkg: warning")]
    return (*unfinished, *updates, *audit)


def _installed(text: str) -> dict[str, Package]:
    """By name. Of several architectures the first that is not a 32-bit one counts."""
    found: dict[str, Package] = {}
    for line in text.split("\n"):
        fields = line.split("\t")
        if len(fields) != 5 or fields[0] != "package" or not _STATUS.fullmatch(fields[1]) or not fields[2]:
            continue
        _, status, name, version, architecture = fields
        if name not in found or found[name].architecture in ("i386", "i686"):
            found[name] = Package(name=name, version=version, status=f"{status:<3}", architecture=architecture)
    return dict(sorted(found.items()))


SUBJECT = Subject("packages", _SCRIPT, parse, Packages(), seconds=60, limit=400_000)


class PackageDatabase(SubjectFact[Packages]):
    """Installed packages that concern a GPU host, and the health of the package database."""

    subject = SUBJECT
