"""KNOW: kernels, their driver modules and boot images, and what starts them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploys.plan.record import Record


@dataclass(frozen=True)
class KernelModule(Record):
    """A kernel module file, e.g. `nvidia-current.ko.xz`: `stem` is `nvidia-current`, the rest comes from modinfo.

    `built_for` is the release in its vermagic, `signer` the name in its signature ("" unsigned).
    """

    stem: str
    path: str
    version: str | None = None
    built_for: str | None = None
    signer: str | None = None


@dataclass(frozen=True)
class Initramfs(Record):
    """One boot image. `nouveau`: the module is inside. `blocked`: a modprobe.d file that blocks it is inside.

    `identity`: device, inode, size in bytes and time of its last change in seconds (ctime, which nothing but a change sets), and what stands for the rules by which it was read.
    `remembered`: the host's own notes say this of an image with that identity, and it was not read again.
    """

    path: str
    readable: bool | None = None
    nouveau: bool | None = None
    blocked: bool | None = None
    identity: str = ""
    remembered: bool = False


@dataclass(frozen=True)
class Kernel(Record):
    """An installed kernel. `headers`: its build folder resolves to a Makefile. `compiler`: what built it ("gcc 12.2.0")."""

    release: str
    image: bool | None = None
    headers: bool | None = None
    nvidia_modules: tuple[KernelModule, ...] = ()
    compiler: str | None = None
    initramfs: Initramfs | None = None

    @property
    def core_module(self) -> KernelModule | None:
        """The driver's first module on disk. Debian names its file `nvidia-current` and the like."""
        return next((m for m in self.nvidia_modules if is_core_module(m.stem)), None)

    @property
    def nvidia_version(self) -> str | None:
        """Version of the core NVIDIA module on disk."""
        return self.core_module.version if self.core_module else None


def is_core_module(stem: str) -> bool:
    """True for `nvidia`, `nvidia-current`, `nvidia-tesla-535-current`, `nvidia-current-open`; not for -uvm, -drm ...

    Linux itself has `nvidia-wmi-ec-backlight`, which is no part of the driver.
    """
    name = stem.replace("_", "-")
    if name != "nvidia" and not name.startswith("nvidia-"):
        return False
    return not name.endswith(("-uvm", "-drm", "-modeset", "-peermem", "-fs", "-vgpu-vfio", "-backlight"))


def release_order(release: str) -> tuple[tuple[int, str], ...]:
    """Sort key: "6.1.0-9" before "6.1.0-50"."""
    return tuple((int(p), "") if p.isascii() and p.isdigit() else (-1, p) for p in re.split(r"(\d{1,18})", release))


@dataclass(frozen=True)
class BootLoader(Record):
    """What starts kernels: `kind` is "grub" (with settings in files of their own), "saved" (GRUB whose default is a variable), "bls" (that
    with entry files), "systemd-boot", or "" (none that is known).

    `default`: the release that the next boot starts; `natural`: the one that it would start without our pin. `one_shot`: an entry
    can be booted once, and `obstacle` says why not. `hooks`: the folder where programs wait for new kernels ("" none).
    `pinned` and `trial` are our own records: the release that we hold as default, and the one that is on trial (`trial_from`: the boot
    in which that was asked for).
    """

    kind: str = ""
    default: str | None = None
    natural: str | None = None
    one_shot: bool | None = None
    obstacle: str = ""
    hooks: str = ""
    pinned: str = ""
    trial: str = ""
    trial_from: str = ""


@dataclass(frozen=True)
class Kernels(Record):
    """Kernels of the host. `default` is the release that the next boot would start, as far as it can be told.

    `gcc`: version of the host's own compiler, "" when it has none.
    """

    running: str | None = None
    default: str | None = None
    installed: tuple[Kernel, ...] = ()
    gcc: str | None = None
    loader: BootLoader = BootLoader()

    @property
    def newest(self) -> str | None:
        """The newest release that has an image."""
        return max((k.release for k in self.installed if k.image), key=release_order, default=None)

    @property
    def booting(self) -> tuple[str, ...]:
        """The running kernel and the next one (the newest, where that is unknown)."""
        return tuple(dict.fromkeys(r for r in (self.running, self.default or self.newest) if r))

    @property
    def natural(self) -> str | None:
        """The release that would come next without a pin of ours."""
        return self.loader.natural if self.loader.pinned else self.default

    @property
    def served(self) -> tuple[str, ...]:
        """Releases that should have the driver: those that boot, and the one that would come next were it fit."""
        natural = [self.natural] if self.natural and self.get(self.natural) else []
        return tuple(dict.fromkeys((*self.booting, *natural)))

    def get(self, release: str | None) -> Kernel | None:
        """The installed kernel of that release, or None."""
        return next((k for k in self.installed if k.release == release), None)
