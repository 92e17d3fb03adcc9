"""NVIDIA PCI functions, from sysfs alone (source: Linux, Documentation/ABI/testing/sysfs-bus-pci).

The switches of NVLink 5 are reached through InfiniBand functions whose vital product data says SW_MNG (source: github
NVIDIA/gpu-driver-container pull request 246, start scripts). They are looked for beside GPUs of that kind only.
"""

from __future__ import annotations

import re
from dataclasses import replace

from deploys.plan.machine import NVIDIA_VENDOR, PciDevice
from facts.base import SubjectFact
from facts.subject import Subject
from facts.text import Tagged, integer

# `read` is built into the shell: no process per device, which counts on hosts with hundreds of functions.
_SCRIPT = r"""
[ -d /sys/bus ] || { echo 'missing /sys/bus'; exit 69; }
echo looked
for d in /sys/bus/pci/devices/*; do
  vendor=; [ -r "$d/vendor" ] && read -r vendor <"$d/vendor"
  [ "$vendor" = 0x10de ] || continue
  device=? class=? sv=? sd=? driver=
  read -r device <"$d/device"; read -r class <"$d/class"
  [ -r "$d/subsystem_vendor" ] && read -r sv <"$d/subsystem_vendor"
  [ -r "$d/subsystem_device" ] && read -r sd <"$d/subsystem_device"
  [ -e "$d/driver" ] && driver=$(real "$d/driver")
  echo "pci ${d##*/} $vendor $device $class $sv $sd ${driver##*/}"
  case $class$device in 0x03*0x29*|0x03*0x31*|0x03*0x32*) nvlink5=1 ;; esac
  case $class in 0x03*) [ -r "$d/config" ] && od -An -v -tx1 -w256 -N 256 "$d/config" | tag "config ${d##*/}" ;; esac
done
[ -n "${nvlink5-}" ] || exit 0
for d in /sys/bus/pci/devices/*; do
  vendor= class=; [ -r "$d/vendor" ] && read -r vendor <"$d/vendor"
  [ "$vendor" = 0x15b3 ] || continue
  read -r class <"$d/class"
  case $class in 0x0207*) ;; *) continue ;; esac
  case $(timeout 1 head -c 4096 "$d/vpd" | tr -cd '\40-\176') in *SW_MNG*) echo 'bridge yes'; break ;; '') echo 'bridge unknown' ;; *) echo 'bridge no' ;; esac
done
echo bridges-looked
exit 0
"""

# Chips whose NVLink 5 switches hide behind InfiniBand functions: their ids begin like this.
_NVLINK5 = (0x29, 0x31, 0x32)


def parse(text: str) -> tuple[PciDevice, ...] | None:
    """NVIDIA functions by address; None when the bus could not be looked at or one of its lines is damaged."""
    tagged = Tagged(text)
    if "looked" not in tagged:
        return None
    virtual = {words[0] for line in tagged.all("config") if is_vgpu("".join((words := line.split())[1:]))}
    devices = [_device(line.split(), virtual) for line in tagged.all("pci")]
    switched = _switched(tagged)
    known = [replace(d, switched=switched) if d.device >> 8 in _NVLINK5 and d.is_gpu else d for d in devices if d]
    return tuple(sorted(known, key=lambda device: device.address)) if len(known) == len(devices) else None


def _switched(tagged: Tagged) -> bool | None:
    """Are functions of NVLink 5 switches on the bus? None: nobody looked, or one of them did not answer."""
    answers = set(tagged.all("bridge"))
    if "yes" in answers:
        return True
    return False if "bridges-looked" in tagged and answers <= {"no"} else None


def is_vgpu(config: str) -> bool:
    """Does this configuration space (hexadecimal digits) say that a hypervisor shares the GPU?

    A capability of the vendor's own (PCI id 9) then holds the letters VF behind its head (source: github NVIDIA/go-nvlib
    and k8s-device-plugin, vgpu; PCI Local Bus Specification 3.0, 6.7, for the list).
    """
    try:
        space = bytes.fromhex(config)
    except ValueError:
        return False
    at, seen = space[0x34] if len(space) == 256 and space[0x06] & 0x10 else 0, set[int]()
    while 0x40 <= at <= 0xFB and at not in seen:
        seen.add(at)
        if space[at] == 0x09 and space[at + 3 : at + 5] == b"VF":
            return True
        at = space[at + 1]
    return False


def _device(words: list[str], virtual: set[str]) -> PciDevice | None:
    if len(words) < 6 or not re.fullmatch(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]", words[0]):
        return None
    vendor, device, class_code, *subsystem = (integer(word, 16) for word in words[1:6])
    if vendor != NVIDIA_VENDOR or device is None or class_code is None:
        return None
    return PciDevice(
        address=words[0],
        vendor=vendor,
        device=device,
        class_code=class_code,
        subsystem_vendor=subsystem[0] or 0,
        subsystem_device=subsystem[1] or 0,
        driver=words[6] if len(words) > 6 else "",
        vgpu=words[0] in virtual,
    )


SUBJECT = Subject[tuple[PciDevice, ...] | None]("pci", _SCRIPT, parse, None)


class NvidiaDevices(SubjectFact[tuple[PciDevice, ...] | None]):
    """Every NVIDIA function on the PCI bus: GPUs, their audio and USB functions, NVSwitches."""

    subject = SUBJECT
