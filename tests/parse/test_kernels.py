"""Kernels, the boot menu, boot images and DKMS: stand-in roots and recorded outputs."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deploys.knowledge.paths import BOOT_IMAGES
from deploys.plan.machine import DkmsEntry, Initramfs, Kernel, Kernels, Machine, is_core_module
from deploys.plan.remember import boot_image_notes
from facts import bootmenu, dkms, initramfs, kernels
from facts.text import version_key
from tests.parse.host import cpio, link, program, read_root, recording, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

R = "6.1.0-50-amd64"


def test_kernels_of_a_root(tmp_path: Path) -> None:
    for release in ("6.1.0-9-amd64", R):
        write(tmp_path, f"/lib/modules/{release}/modules.dep")
    write(tmp_path, f"/boot/vmlinuz-{R}")
    write(tmp_path, "/boot/vmlinuz-6.12.9")
    write(tmp_path, "/boot/vmlinuz-0-rescue-4f1c")
    write(tmp_path, f"/usr/src/headers-{R}/Makefile")
    link(tmp_path, f"/lib/modules/{R}/build", f"/usr/src/headers-{R}")
    link(tmp_path, "/lib/modules/6.1.0-9-amd64/build", "/usr/src/gone")
    write(tmp_path, f"/lib/modules/{R}/updates/dkms/nvidia-current.ko.xz")
    write(tmp_path, f"/lib/modules/{R}/updates/dkms/nvidia-current-uvm.ko.xz")
    write(tmp_path, f"/lib/modules/{R}/kernel/drivers/video/fbdev/nvidia/nvidiafb.ko")
    write(tmp_path, f"/lib/modules/{R}/kernel/drivers/platform/x86/nvidia-wmi-ec-backlight.ko")
    found = read_root(kernels.SUBJECT, tmp_path, program(tmp_path, "modinfo", "echo version: 535.261.03"))
    assert [k.release for k in found.installed] == ["6.1.0-9-amd64", R, "6.12.9"]
    assert [(k.image, k.headers) for k in found.installed] == [(False, False), (True, True), (True, False)]
    kernel = found.get(R)
    assert kernel.nvidia_version == "535.261.03"
    assert [m.stem for m in kernel.nvidia_modules] == ["nvidia-current-uvm", "nvidia-current"]
    assert kernel.nvidia_modules[0].version is None


@pytest.mark.parametrize(
    ("text", "compiler"),
    [
        ('CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"', "gcc 12.2.0"),
        ('CONFIG_CC_VERSION_TEXT="gcc (GCC) 14.2.1 20240801 (Red Hat 14.2.1-1)"', "gcc 14.2.1"),
        ('CONFIG_CC_VERSION_TEXT="x86_64-linux-gnu-gcc-13 (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0"', "gcc 13.3.0"),
        ('CONFIG_CC_VERSION_TEXT="clang version 18.1.8"', "clang 18.1.8"),
        (
            "Linux version 6.1.0-50-amd64 (x@debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils) 2.40) #1",
            "gcc 12.2.0",
        ),
        ("Linux version 6.6.0 (a@b) (clang version 17.0.6, LLD 17.0.6) #1 SMP", "clang 17.0.6"),
        ("Linux version 6.6.0 (a@b) (tcc) #1", None),
    ],
)
def test_compiler_of_a_kernel(text: str, compiler: str | None) -> None:
    found = kernels.parse(f"running {R}\nmodules {R}\ncompiler {R} {text}\ngcc 12.2.0\n")
    assert (found.installed[0].compiler, found.gcc) == (compiler, "12.2.0")


def test_host_without_a_compiler() -> None:
    assert kernels.parse(f"running {R}\ngcc none\n").gcc == ""
    assert kernels.parse(f"running {R}\n").gcc is None


def test_images_are_unknown_where_boot_cannot_be_read() -> None:
    (kernel,) = kernels.parse(f"running {R}\nmodules {R}\n").installed
    assert kernel.image is None


def test_kernels_own_modules_are_not_the_driver() -> None:
    assert is_core_module("nvidia-current-open")
    assert not is_core_module("nvidia-wmi-ec-backlight")
    assert not is_core_module("nvidiafb")


def test_version_key_orders_kernels_as_people_do() -> None:
    releases = ["6.1.0-9-amd64", "6.1.0-10-amd64", "6.12.107+deb13-amd64", "6.13.0-rc2", "6.13.0"]
    reversed_order = releases[::-1]
    assert sorted(reversed_order, key=version_key) == releases


MENU = recording("debian-13-converged").split("### bootmenu begin")[1].split("### bootmenu end")[0].replace("\n|", "\n")


def _menu(default: str, *more: str) -> str:
    lines = MENU.replace("6.12.107+deb13-amd64", "6.12.9-amd64").split("\n")
    entries = [line for line in lines if line.startswith("menu ") and "set default" not in line]
    older = [line.replace("6.12.9-amd64", "6.12.8-amd64") for line in entries]
    inner = next(i for i, line in enumerate(entries) if "submenu" in line)
    tree = [*entries[:-1], *older[inner + 1 : -1], entries[-1]]
    return "\n".join(
        ["image 6.12.8-amd64", "image 6.12.9-amd64", "grub /boot/grub", f"menu set default={default}", *tree, *more]
    )


U = "9b6f1f2a-0d55-4a0c-8f0f-3c0a5c2e7d42"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_menu('"0"'), "6.12.9-amd64"),
        (_menu('"1>0"'), "6.12.9-amd64"),
        (_menu('"1>2"'), "6.12.8-amd64"),
        (_menu(f'"gnulinux-advanced-{U}>gnulinux-6.12.8-amd64-advanced-{U}"'), "6.12.8-amd64"),
        (_menu('"Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.12.8-amd64"'), "6.12.8-amd64"),
        (_menu('"${saved_entry}"', "env saved_entry=1>2"), "6.12.8-amd64"),
        (_menu('"${saved_entry}"'), "6.12.9-amd64"),
        (_menu('"0"', "env next_entry=1>2"), "6.12.8-amd64"),
        (_menu('"7"'), None),
        (
            'image 5.14.0-503.el9.x86_64\ngrub /boot/grub2\nenv saved_entry=4f1c-5.14.0-503.el9.x86_64\nmenu set default="${saved_entry}"\nmenu blscfg',
            "5.14.0-503.el9.x86_64",
        ),
        ("image 6.1.0-9-amd64\nimage 6.1.0-10-amd64\ngrub /boot/grub\noption GRUB_DEFAULT=0", "6.1.0-10-amd64"),
        ("image 6.1.0-9-amd64\ngrub /boot/grub\noption GRUB_DEFAULT=saved", None),
        ("image 6.1.0-9-amd64\noption GRUB_DEFAULT=0", None),
    ],
    ids=[
        "first",
        "submenu first",
        "submenu third",
        "ids",
        "titles",
        "saved",
        "saved but empty",
        "once",
        "no such entry",
        "BLS",
        "unreadable menu",
        "unreadable saved",
        "no GRUB",
    ],
)
def test_default_kernel(text: str, expected: str | None) -> None:
    assert bootmenu.parse(text).default == expected


def test_default_kernel_of_a_recorded_menu() -> None:
    assert bootmenu.parse(MENU).default == "6.12.107+deb13-amd64"


NOUVEAU_KO = f"usr/lib/modules/{R}/kernel/drivers/gpu/drm/nouveau/nouveau.ko.xz"
BLOCK = "etc/modprobe.d/gpu-host-nouveau.conf"
# Linux lists all its modules in there, so the words alone prove nothing.
ORDER = {
    f"usr/lib/modules/{R}/modules.order": b"kernel/drivers/gpu/drm/nouveau/nouveau.ko\netc/modprobe.d/blacklist-nouveau.conf\n"
}


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


def _xz(data: bytes) -> bytes:
    return lzma.compress(data, check=lzma.CHECK_CRC32)


PACKERS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, _xz, *([_zstd] if shutil.which("zstd") else [])]


@pytest.mark.parametrize("pack", PACKERS, ids=lambda pack: pack.__name__)
@pytest.mark.parametrize(
    "early", [b"", cpio({"kernel/x86/microcode/GenuineIntel.bin": b"\x01TRAILER!!!" * 99})], ids=["", "microcode"]
)
@pytest.mark.parametrize(
    ("files", "inside"),
    [
        ({**ORDER, "init": b"#!/bin/sh\n"}, (False, False)),
        ({**ORDER, NOUVEAU_KO: bytes(range(256)) * 50}, (True, False)),
        ({**ORDER, BLOCK: b"blacklist nouveau\n"}, (False, True)),
        ({NOUVEAU_KO: b"x", "etc/modprobe.d/nvidia-blacklists-nouveau.conf": b"x\n"}, (True, True)),
    ],
    ids=["neither", "nouveau", "blocked", "both"],
)
def test_boot_images(
    tmp_path: Path, pack: Callable[[bytes], bytes], early: bytes, files: dict[str, bytes], inside: tuple[bool, bool]
) -> None:
    (tmp_path / f"lib/modules/{R}").mkdir(parents=True)
    write(tmp_path, f"/boot/initrd.img-{R}", early + pack(cpio(files)))
    image = read_root(initramfs.SUBJECT, tmp_path)[R]
    assert image == Initramfs(f"/boot/initrd.img-{R}", True, inside[0], inside[1], image.identity)


def test_boot_image_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    """Same size, same name, same time of modification: the notes are of another image all the same."""
    (tmp_path / f"lib/modules/{R}").mkdir(parents=True)
    file = write(tmp_path, f"/boot/initrd.img-{R}", cpio({NOUVEAU_KO: b"x"}))
    found = read_root(initramfs.SUBJECT, tmp_path)[R]
    assert (found.nouveau, found.blocked, found.remembered) == (True, False, False)
    host = Machine(kernels=Kernels(installed=(Kernel(R, initramfs=found),)))
    write(tmp_path, BOOT_IMAGES, f"1:2:3:4.5 - blocked /boot/other\n{boot_image_notes(host)}")
    noted = read_root(initramfs.SUBJECT, tmp_path)[R]
    assert noted == replace(found, remembered=True)
    assert boot_image_notes(Machine(kernels=Kernels(installed=(Kernel(R, initramfs=noted),)))) == ""
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"nouveau.ko", b"noveau2.ko"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = read_root(initramfs.SUBJECT, tmp_path)[R]
    assert (changed.nouveau, changed.remembered, file.stat().st_size) == (False, False, before.st_size)


def test_boot_image_that_cannot_be_read_is_not_noted() -> None:
    images = [Initramfs("/boot/a", False, identity="1:1:1:1.0"), Initramfs("/boot/b", True, False, True)]
    assert (
        boot_image_notes(
            Machine(kernels=Kernels(installed=tuple(Kernel(str(i), initramfs=image) for i, image in enumerate(images))))
        )
        == ""
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        gzip.compress(cpio({NOUVEAU_KO: b"x" * 4000}))[:-900],
        cpio({"early": b""}) + b"\x99\x98\x97\x96",
        cpio({NOUVEAU_KO: b""})[:300],
    ],
    ids=["empty", "garbage", "cut", "unknown compression", "cut archive"],
)
def test_an_image_that_cannot_be_read_to_its_end_is_unknown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"lib/modules/{R}").mkdir(parents=True)
    write(tmp_path, f"/boot/initramfs-{R}.img", content)
    (image,) = read_root(initramfs.SUBJECT, tmp_path).values()
    assert image == Initramfs(f"/boot/initramfs-{R}.img", readable=False, identity=image.identity)


def test_boot_images_of_arch_are_found_by_package_base(tmp_path: Path) -> None:
    write(tmp_path, "/lib/modules/6.9.7-arch1-1/pkgbase", "linux\n")
    write(tmp_path, "/boot/initramfs-linux.img", _xz(cpio({"init": b""})))
    assert list(read_root(initramfs.SUBJECT, tmp_path)) == ["6.9.7-arch1-1"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "nvidia-current, 470.256.02, 5.10.0-32-amd64, x86_64: installed",
            DkmsEntry("nvidia-current", "470.256.02", "5.10.0-32-amd64", "installed"),
        ),
        (
            f"nvidia-current/535.261.03, {R}, x86_64: installed",
            DkmsEntry("nvidia-current", "535.261.03", R, "installed"),
        ),
        (
            f"nvidia/550.54, {R}, x86_64: installed (WARNING! Diff between built and installed module!)",
            DkmsEntry("nvidia", "550.54", R, "installed"),
        ),
        (f"nvidia/550.54, {R}, x86_64: installed-weak from 5.14.0", DkmsEntry("nvidia", "550.54", R, "installed-weak")),
        ("nvidia/550.163.01: added", DkmsEntry("nvidia", "550.163.01", "", "added")),
        ("nvidia, 470.1: added", DkmsEntry("nvidia", "470.1", "", "added")),
    ],
)
def test_dkms_status_of_every_version(line: str, expected: DkmsEntry) -> None:
    assert dkms.parse(f"{line}\nError! Could not locate dkms.conf file.\n") == (expected,)


def test_dkms_states_come_from_its_tree(tmp_path: Path) -> None:
    tree = "/var/lib/dkms"
    write(tmp_path, f"{tree}/nvidia-current/535.261.03/source/dkms.conf")
    write(tmp_path, f"{tree}/nvidia-current/535.261.03/{R}/x86_64/module/nvidia-current.ko")
    write(tmp_path, f"{tree}/nvidia-current/535.261.03/6.1.0-9-amd64/x86_64/module/nvidia-current.ko")
    link(tmp_path, f"{tree}/nvidia-current/kernel-{R}-x86_64", f"{tree}/nvidia-current/535.261.03/{R}/x86_64")
    write(tmp_path, f"{tree}/nvidia-current/550.163.01/source/dkms.conf")
    write(tmp_path, f"{tree}/nvidia-current/550.163.01/build/make.log")
    assert read_root(dkms.SUBJECT, tmp_path) == (
        DkmsEntry("nvidia-current", "535.261.03", R, "installed"),
        DkmsEntry("nvidia-current", "535.261.03", "6.1.0-9-amd64", "built"),
        DkmsEntry("nvidia-current", "550.163.01", "", "added"),
    )


def test_no_dkms_is_no_entry(tmp_path: Path) -> None:
    assert read_root(dkms.SUBJECT, tmp_path) == ()
