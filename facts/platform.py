"""What kind of machine this is: virtual, container, WSL, immutable, EFI, Secure Boot, lockdown, cgroups, init."""

from __future__ import annotations

import re

from deploys.plan.machine import Platform
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, integer

# The first four bytes of an EFI variable file are its attributes; the value of SecureBoot is the last one. The kernel
# also takes Secure Boot as off when the owner told shim so (source: Linux, drivers/firmware/efi/libstub/secureboot.c).
_SCRIPT = r"""
set -- $(uname -sm)
echo "system $1"
echo "architecture $2"
echo "uid $(id -u)"
have systemd-detect-virt && echo "virtualisation $(systemd-detect-virt --vm)"
for f in /run/systemd/container /run/host/container-manager; do
  line=; [ -r "$f" ] && read -r line <"$f"
  [ -n "$line" ] && echo "container $line"
done
[ -e /.dockerenv ] && echo 'container docker'
[ -e /run/.containerenv ] && echo 'container podman'
if [ -r /proc/1/environ ] && environ=$(tr '\0' '\n' </proc/1/environ); then
  echo environ-readable
  printf '%s\n' "$environ" | sed -n 's/^container=/container /p'
fi
[ -d /run/systemd/system ] && echo systemd-booted
[ -r /proc/1/cgroup ] && while read -r line; do
  for word in docker lxc kubepods containerd libpod; do case $line in */$word*) echo "container $word" ;; esac; done
done </proc/1/cgroup
read -r release </proc/sys/kernel/osrelease
case $release in *[Mm]icrosoft*) echo 'wsl release' ;; esac
for f in /dev/dxg /usr/lib/wsl; do [ -e "$f" ] && echo "wsl $f"; done
[ -e /run/ostree-booted ] && echo 'immutable ostree'
have transactional-update && echo 'immutable transactional-update'
[ -r /etc/os-release ] && while IFS='="' read -r key first second; do
  case $key:$first$second in
    ID:flatcar|*ID:*coreos|ID:talos|ID:nixos|ID:bottlerocket|ID:cos|*ID:silverblue|*ID:kinoite|*ID:iot) echo "immutable $first$second" ;;
  esac
done </etc/os-release
while read -r device at kind options rest; do case $at in /|/usr) echo "mount $at $options" ;; esac; done </proc/mounts
[ -d /sys/firmware/efi ] && echo efi
[ -d /sys/firmware ] && echo firmware-known
e=/sys/firmware/efi/efivars
f=$e/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
[ -r "$f" ] && od -An -v -tu1 "$f" | tag secure-boot
f=$e/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23
[ -r "$f" ] && od -An -v -tu1 "$f" | tag shim-off
# The answer is in the words: the exit status differs from release to release (source: mokutil(1)).
[ -r /var/lib/dkms/mok.pub ] && have mokutil && mokutil --test-key /var/lib/dkms/mok.pub 2>&1 | head -n 2 | tag dkms-key
[ -r /sys/kernel/security/lockdown ] && read -r line </sys/kernel/security/lockdown && echo "lockdown $line"
echo "cgroup $(stat -f -c '%T %t' /sys/fs/cgroup)"
[ -r /proc/1/comm ] && read -r line </proc/1/comm && echo "init $line"
overlay=; while read -r line; do case $line in overlay|*[[:space:]]overlay) overlay=1 ;; esac; done </proc/filesystems
if [ -n "$overlay" ]; then echo 'overlayfs yes'
elif have modprobe; then modprobe -n -q overlay && echo 'overlayfs yes' || echo 'overlayfs no'; fi
exit 0
"""


def parse(text: str) -> Platform:
    """The platform; `container` and `immutable` are "" only where every place that would say otherwise was read."""
    tagged = Tagged(text)
    if "system" not in tagged:
        return Platform()
    efi = "efi" in tagged if "efi" in tagged or "firmware-known" in tagged else None
    return Platform(
        system=tagged.first("system"),
        architecture=tagged.first("architecture"),
        virtualisation=tagged.first("virtualisation"),
        container=_container(tagged),
        wsl="wsl" in tagged,
        immutable=_immutable(tagged),
        efi=efi,
        secure_boot=_secure_boot(tagged, efi=efi),
        lockdown=_lockdown(tagged.first("lockdown")),
        dkms_key_enrolled=_enrolled(" ".join(tagged.all("dkms-key"))),
        cgroup=_cgroup(tagged.first("cgroup")),
        init=tagged.first("init"),
        overlayfs={"yes": True, "no": False}.get(tagged.first("overlayfs") or ""),
        uid=integer(tagged.first("uid")),
    )


def _container(tagged: Tagged) -> str | None:
    """In every container that it boots, systemd writes /run/systemd/container, so its absence there means none.

    It also writes `wsl` there, which has a field of its own.
    """
    found = [name.strip() for name in tagged.all("container") if name.strip() not in ("", "wsl")]
    if found:
        return found[0]
    return "" if "environ-readable" in tagged or "systemd-booted" in tagged else None


def _immutable(tagged: Tagged) -> str | None:
    if found := tagged.first("immutable"):
        return found
    mounts = {path: options.split(",") for path, options in tagged.words("mount", 2)}
    options = mounts.get("/usr") or mounts.get("/")
    if options is None:
        return None
    return "read-only /usr" if "ro" in options else ""


def _secure_boot(tagged: Tagged, *, efi: bool | None) -> bool | None:
    if efi is False:
        return False
    value, off = (integer((tagged.first(tag) or "").rpartition(" ")[2]) for tag in ("secure-boot", "shim-off"))
    return None if value is None else value == 1 and off != 1


def _enrolled(words: str) -> bool | None:
    """A key that waits for the console at the next boot ("enrollment request") is not enrolled yet."""
    if "already enrolled" in words:
        return True
    return False if "not enrolled" in words or "enrollment request" in words else None


def _lockdown(line: str | None) -> str | None:
    chosen = re.search(r"\[([a-z]+)\]", line or "")
    return chosen.group(1) if chosen else None


def _cgroup(line: str | None) -> int | None:
    """Version 2 only where the root of the tree is cgroup2; a tmpfs there is version 1 or the hybrid layout."""
    words = (line or "").split()
    if {"cgroup2fs", "63677270"} & set(words):
        return 2
    return 1 if {"tmpfs", "cgroupfs", "1021994", "27e0eb"} & set(words) else None


SUBJECT = Subject("platform", _SCRIPT, parse, Platform(), limit=16_000)


class MachinePlatform(SubjectFact[Platform]):
    """Architecture, virtualisation, container, Secure Boot and the like."""

    subject = SUBJECT
