"""The rule twice: what the probe and `gate` make of a root folder, and what the script on the host makes of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploys.knowledge import paths
from deploys.plan.kernel_gate import gate
from deploys.plan.kernel_gate_files import gate_files, gate_script
from deploys.plan.machine import BootLoader, Driver, Kernels, Machine
from deploys.plan.proven import ProvenSet, read_proven
from facts import bootmenu, driver, initramfs, kernels
from tests.parse.host import _HOST_PATH, SHELLS, cpio, program, read_root, write
from tests.plan.test_kernel_gate import host

VERSION = "550.163.01"
OLD, NOW, NEW = "6.12.9-amd64", "6.12.10-amd64", "6.12.11-amd64"
UUID = "2c1f6f0e"
STATE = "/var/lib/gpu-host"
PROGRAMS = {
    "uname": f"echo {NOW}",
    "modinfo": 'if [ "$1" = -F ]; then sed -n "s/^$2=//p" "$3"; else sed "s/=/: /" "$1"; fi',
    "ldconfig": ":",
    "grub-mkconfig": ": reads /etc/default/grub.d/*.cfg",
}
# What grub-editenv and bootctl do to the files that they keep.
EDITENV = 'f=$1 v=${3%%=*}; sed -i "/^$v=/d" "$f"; [ "$2" = unset ] || echo "$3" >>"$f"'
BOOTCTL = """case $1 in set-default) n=LoaderEntryDefault ;; *) n=LoaderEntryOneShot ;; esac
f=EFIVARS/$n-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f; if [ -n "$2" ]; then printf '    %s' "$2" >"$f"; else rm -f "$f"; fi"""


def make_kernel(root: Path, release: str, **more: str | None) -> None:
    """A kernel that is fit; `version`, `vermagic` and `initrd` (None: none) differ as given."""
    known: dict[str, str | None] = {
        "version": VERSION,
        "vermagic": f"{release} SMP mod_unload ",
        "initrd": "whole",
        **more,
    }
    write(root, f"/boot/vmlinuz-{release}")
    write(root, f"/lib/modules/{release}/modules.dep")
    if known["version"] is not None:
        text = f"version={known['version']}\nvermagic={known['vermagic']}\nsigner=DKMS\n"
        write(root, f"/lib/modules/{release}/updates/dkms/nvidia.ko", text)
        write(root, f"/lib/modules/{release}/updates/dkms/nvidia-uvm.ko", "version=1\n")
    if known["initrd"]:
        image = cpio({"init": b"#!/bin/sh\n"})
        write(root, f"/boot/initrd.img-{release}", image if known["initrd"] == "whole" else image[:200])


def menu(*releases: str) -> str:
    inner = "".join(
        f"\tmenuentry 'Linux {r}{mode}' --class os $menuentry_id_option 'gnulinux-{r}-{kind}-{UUID}' {{\n"
        f"\t\tlinux\t/boot/vmlinuz-{r} root=/dev/vda1 ro\n\t}}\n"
        for r in releases
        for mode, kind in (("", "advanced"), (" (recovery mode)", "recovery"))
    )
    return (
        'set default="0"\n'
        f"menuentry 'Linux' $menuentry_id_option 'gnulinux-simple-{UUID}' {{\n\tlinux\t/boot/vmlinuz-{releases[0]} ro\n}}\n"
        f"submenu 'More' $menuentry_id_option 'gnulinux-advanced-{UUID}' {{\n{inner}}}\n"
    )


def entry(release: str) -> str:
    return f"gnulinux-advanced-{UUID}>gnulinux-{release}-advanced-{UUID}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three kernels, all fit; GRUB, and no choice of anybody's."""
    for release in (OLD, NOW, NEW):
        make_kernel(tmp_path, release)
    write(tmp_path, f"/usr/lib/x86_64-linux-gnu/libcuda.so.{VERSION}")
    write(tmp_path, "/boot/grub/grub.cfg", menu(NEW, NOW, OLD))
    write(tmp_path, "/etc/default/grub", "GRUB_DEFAULT=0\n")
    write(tmp_path, "/proc/sys/kernel/random/boot_id", "this boot\n")
    for name, body in {**PROGRAMS, "grub-editenv": EDITENV, "bootctl": BOOTCTL}.items():
        program(tmp_path, name, body.replace("EFIVARS", f"{tmp_path}/sys/firmware/efi/efivars"))
    return tmp_path


def run_gate(root: Path, *words: str, shell: str = "sh") -> str:
    script = _HOST_PATH.sub(lambda found: f"{root}/{found.group(1)}", gate_script())
    command = [shell, *(["sh"] if shell == "busybox" else []), "-c", script, "kernel-gate", *words]
    env = {**os.environ, "PATH": f"{root}/stubs:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def record(root: Path) -> Machine:
    """What the probe reads of it, as far as the rule asks."""
    path = f"{root}/stubs:{os.environ['PATH']}"
    found: Kernels = read_root(kernels.SUBJECT, root, path)
    images = read_root(initramfs.SUBJECT, root, path)
    loader: BootLoader = read_root(bootmenu.SUBJECT, root, path)
    libraries: Driver = read_root(driver.SUBJECT, root, path)
    installed = tuple(replace(k, initramfs=images.get(k.release)) for k in found.installed)
    known = replace(found, default=loader.default, installed=installed, loader=loader)
    note = root / STATE[1:] / "proven.json"
    return Machine(kernels=known, driver=libraries, proven=read_proven(note.read_text()) if note.exists() else None)


CASES: list[tuple[str, Mapping[str, Mapping[str, str | None]], Mapping[str, str], str]] = [
    ("all fit", {}, {}, ""),
    ("nothing was built", {NEW: {"version": None}}, {}, NOW),
    ("nothing was built for two", {NEW: {"version": None}, NOW: {"version": None}}, {}, OLD),
    ("the proven one first", {NEW: {"version": None}, NOW: {"version": None}}, {"proven.json": ProvenSet("2026-11-27T20:41:34Z", kernel="6.12.8-amd64").text()}, "6.12.8-amd64"),
    ("nothing was built for any", {r: {"version": None} for r in (OLD, NOW, NEW)}, {}, ""),
    ("another version", {NEW: {"version": "550.90.07"}}, {}, NOW),
    ("an empty module", {NEW: {"version": ""}}, {}, NOW),
    ("for another kernel", {NEW: {"vermagic": f"{NOW} SMP "}}, {}, NOW),
    ("no boot image", {NEW: {"initrd": None}}, {}, NOW),
    ("half a boot image", {NEW: {"initrd": "half"}}, {}, NOW),
    ("nobody has a boot image", {r: {"initrd": None} for r in (OLD, NOW, NEW)}, {}, ""),
    ("on trial", {}, {"kernel-trial": f"{NEW}\nthe boot before\n"}, NOW),
    ("another one was on trial", {}, {"kernel-trial": "6.12.8-amd64\nthe boot before\n"}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("why", "differ", "notes", "pin"), CASES, ids=[c[0] for c in CASES])
def test_script_and_rule_agree(
    root: Path, why: str, differ: Mapping[str, Mapping[str, str | None]], notes: Mapping[str, str], pin: str
) -> None:
    for release, more in differ.items():
        for path in (*root.glob(f"lib/modules/{release}/updates/dkms/*"), *root.glob(f"boot/initrd.img-{release}")):
            path.unlink()
        make_kernel(root, release, **more)
    if "proven.json" in notes:
        make_kernel(root, "6.12.8-amd64")
        write(root, "/boot/grub/grub.cfg", menu(NEW, NOW, OLD, "6.12.8-amd64"))
    for name, text in notes.items():
        write(root, f"{STATE}/{name}", text)
    assert gate(record(root)).pin == pin, why
    for shell in SHELLS:
        assert run_gate(root, "pin", "0", shell=shell) == (entry(pin) if pin else ""), shell
    log = root / "var/log/gpu-host/kernel-gate.log"
    assert (
        (f"{pin} is held as default" in log.read_text()) if pin else not (root / STATE[1:] / "pinned-kernel").exists()
    )


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("0", NOW),
        ("1>0", NOW),
        ("saved", NOW),
        (entry(OLD), ""),
        (f"More>Linux {OLD}", ""),
        (entry(NEW), NOW),
        ("7", ""),
    ],
)
def test_choice_of_the_owner_stands_where_it_is_fit(root: Path, asked: str, held: str) -> None:
    make_kernel(root, NEW, version="1.2")
    assert run_gate(root, "pin", asked) == (entry(held) if held else "")


def test_held_kernel_is_read_back_as_ours(root: Path) -> None:
    """The owner's choice stays known beside the pin, so that headers and modules still come for it."""
    make_kernel(root, NEW, version="1.2")
    chosen = run_gate(root, "pin", "0")
    write(root, "/boot/grub/grub.cfg", menu(NEW, NOW, OLD).replace('"0"', f'"{chosen}"'))
    loader = record(root).kernels.loader
    assert (loader.kind, loader.default, loader.natural, loader.pinned) == ("grub", NOW, NEW, NOW)
    assert gate(record(root)).pin == NOW


@pytest.fixture
def entries(root: Path) -> Path:
    """GRUB with entry files: the newest, unless a variable says otherwise."""
    write(root, "/boot/grub/grub.cfg", 'set default="${saved_entry}"\nblscfg\n')
    write(root, "/boot/grub/grubenv", "# GRUB Environment Block\n")
    for release in (OLD, NOW, NEW):
        write(root, f"/boot/loader/entries/4f1c-{release}.conf", f"title Linux\nversion {release}\n")
    return root


def environment(root: Path) -> str:
    return (root / "boot/grub/grubenv").read_text().removeprefix("# GRUB Environment Block\n")


@pytest.mark.parametrize("former", ["", f"saved_entry=4f1c-{NEW}\n"], ids=["no choice", "the newest by name"])
def test_saved_entry_is_held_and_what_stood_there_comes_back(entries: Path, former: str) -> None:
    write(entries, "/boot/grub/grubenv", f"# GRUB Environment Block\n{former}")
    run_gate(entries, "apply")
    assert environment(entries) == former
    make_kernel(entries, NEW, version="1.2")
    for _ in range(2):
        run_gate(entries, "apply")
        assert environment(entries) == f"saved_entry=4f1c-{NOW}\n"
    loader = record(entries).kernels.loader
    assert (loader.kind, loader.default, loader.natural, loader.pinned) == ("bls", NOW, NEW, NOW)
    make_kernel(entries, NEW)
    run_gate(entries, "apply")
    assert environment(entries) == former
    assert not (entries / STATE[1:] / "pinned-kernel").exists()


def test_kernel_that_makes_itself_the_default_is_judged_like_any(entries: Path) -> None:
    """What installs a kernel may write the variable; that is then what comes back."""
    newer = "6.12.12-amd64"
    make_kernel(entries, NEW, version="1.2")
    run_gate(entries, "apply")
    make_kernel(entries, newer, version="1.2")
    write(entries, f"/boot/loader/entries/4f1c-{newer}.conf", f"version {newer}\n")
    write(entries, "/boot/grub/grubenv", f"saved_entry=4f1c-{newer}\n")
    run_gate(entries, "hook")
    assert environment(entries) == f"saved_entry=4f1c-{NOW}\n"
    make_kernel(entries, newer)
    run_gate(entries, "hook")
    assert environment(entries) == f"saved_entry=4f1c-{newer}\n"


def test_trial_holds_the_running_kernel_and_starts_the_new_one_once(entries: Path) -> None:
    run_gate(entries, "trial", NEW)
    assert environment(entries) == f"saved_entry=4f1c-{NOW}\nnext_entry=4f1c-{NEW}\n"
    loader = record(entries).kernels.loader
    assert (loader.default, loader.trial, loader.trial_from, loader.pinned) == (NEW, NEW, "this boot", NOW)
    run_gate(entries, "settle")
    assert environment(entries) == ""
    assert record(entries).kernels.loader.trial == ""


def test_trial_that_cannot_be_prepared_leaves_nothing(root: Path) -> None:
    """No entry is known for the kernel."""
    with pytest.raises(subprocess.CalledProcessError):
        run_gate(root, "trial", "6.99.0-amd64")
    assert not (root / STATE[1:] / "kernel-trial").exists()


def test_systemd_boot(entries: Path) -> None:
    efi, vendor = "/sys/firmware/efi/efivars", "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
    write(entries, f"{efi}/LoaderInfo-{vendor}", b"\x06\0\0\0" + "systemd-boot 257".encode("utf-16-le"))
    make_kernel(entries, NEW, version="1.2")
    run_gate(entries, "apply")
    chosen = entries / efi[1:] / f"LoaderEntryDefault-{vendor}"
    assert chosen.read_text().strip() == f"4f1c-{NOW}.conf"
    loader = record(entries).kernels.loader
    assert (loader.kind, loader.default, loader.natural, loader.one_shot) == ("systemd-boot", NOW, NEW, True)
    make_kernel(entries, NEW)
    run_gate(entries, "trial", NEW)
    assert (entries / efi[1:] / f"LoaderEntryOneShot-{vendor}").read_text().strip() == f"4f1c-{NEW}.conf"
    run_gate(entries, "settle")
    assert not chosen.exists()
    assert not (entries / efi[1:] / f"LoaderEntryOneShot-{vendor}").exists()


def test_release_takes_everything_back(entries: Path) -> None:
    run_gate(entries, "trial", NEW)
    assert "next_entry" in environment(entries)
    make_kernel(entries, NEW, version="1.2")
    run_gate(entries, "apply")
    run_gate(entries, "release")
    assert environment(entries) == ""
    assert not list((entries / STATE[1:]).iterdir())


def test_hook_never_fails(tmp_path: Path) -> None:
    """Not even where nothing is as the script expects it: it would end the installation of a kernel."""
    script = _HOST_PATH.sub(lambda found: f"{tmp_path}/{found.group(1)}", gate_script())
    done = subprocess.run(["sh", "-c", script, "x", "hook"], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize(
    ("loader", "expected"),
    [
        (BootLoader("grub", hooks="/etc/kernel/postinst.d"), ["KERNEL_GATE", "KERNEL_GATE_GRUB", "zzz-gpu-host"]),
        (BootLoader("bls", hooks="/etc/kernel/install.d"), ["KERNEL_GATE", "zzz-gpu-host.install"]),
        (BootLoader("systemd-boot"), ["KERNEL_GATE"]),
        (BootLoader(), []),
    ],
)
def test_files_by_boot_loader(loader: BootLoader, expected: list[str]) -> None:
    files: dict[str, Any] = {f.path: f for f in gate_files(host(loader=loader))}
    wanted = [
        getattr(paths, name, "") or next(p for p in paths.KERNEL_HOOKS.values() if p.endswith(name))
        for name in expected
    ]
    assert list(files) == wanted
    assert all(path in paths.OWNED_FILES for path in files)
    assert all(file.mode == ("755" if path in paths.KERNEL_HOOKS.values() else "644") for path, file in files.items())


def test_script_names_the_paths_of_the_toolkit() -> None:
    text = gate_script()
    for path in (paths.STATE_DIR, paths.KERNEL_GATE_LOG, paths.KERNEL_GATE_GRUB):
        assert path in text
    for record_path in (paths.PIN_RECORD, paths.TRIAL_RECORD, paths.PROVEN_RECORD):
        assert record_path.removeprefix(f"{paths.STATE_DIR}/") in text
