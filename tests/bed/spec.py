"""What a test host shall be: plain data, kept as JSON beside the host so that its supervisor reads it at each boot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Spec:
    """A test host.

    `gpus` is a key of `pci.SCENARIOS`. `disguise`: hide that it is a container and answer with a Debian kernel.
    `release`, `version`, `machine`: what uname says ("" takes the newest Debian kernel installed in the host).
    `nouveau`: "absent", "loaded" (whatever modprobe.d says), or "udev" (loaded at boot for an NVIDIA display device
    unless modprobe.d or the kernel command line blocks it). `gpu_driver` is bound to the GPUs ("" = nouveau while that
    is loaded, else none). `nouveau_in_initramfs`: its images hold the module. `refuse`: kernel module -> errno that
    loading it gives; by default the NVIDIA module finds no usable device. `stand_ins`: path below /proc or /sys ->
    text; `hidden`: such paths made absent; `on_load`: kernel module -> stand-ins that appear when it is loaded.
    """

    name: str
    suite: str
    gpus: str = "t4"
    disguise: bool = True
    release: str = ""
    version: str = ""
    machine: str = ""
    nouveau: str = "udev"
    gpu_driver: str = ""
    nouveau_in_initramfs: bool = False
    refuse: Mapping[str, int] = field(default_factory=lambda: {"nvidia": 19})
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    on_load: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    kernel_arguments: str = "ro quiet"


@dataclass(frozen=True)
class OnReboot:
    """What a reboot of the host leads to. `delay` is in seconds; `release` is the kernel of the next boots."""

    returns: bool = True
    delay: float = 0
    release: str = ""


def save(path: Path, value: Spec | OnReboot | dict[str, Any]) -> None:
    """Write JSON so that a reader sees the old or the new content, never a part."""
    data = value if isinstance(value, dict) else asdict(value)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(data, indent=1))
    new.replace(path)


def load_spec(path: Path) -> Spec:
    data = json.loads(path.read_text())
    return replace(Spec(**data), hidden=tuple(data["hidden"]))


def load_on_reboot(path: Path) -> OnReboot:
    return OnReboot(**json.loads(path.read_text())) if path.exists() else OnReboot()
