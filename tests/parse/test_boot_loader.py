"""The boot loader: what it can forget, what it would start without us, and what programs wait for new kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploys.plan.machine import BootLoader
from facts import bootmenu, kernels
from tests.parse.host import link, program, read_root, write

GRUB = "image 6.1.0-9-amd64\nimage 6.1.0-50-amd64\ngrub /boot/grub\ndropins\noption GRUB_DEFAULT=0\n"


@pytest.mark.parametrize(
    ("lines", "one_shot", "words"),
    [
        ("mount 259:2 ext4", True, ""),
        ("mount 8:1 xfs", True, ""),
        ("mount 253:0 ext4\nstacked dm LVM-abc", False, "LVM"),
        ("mount 253:0 ext4\nstacked dm CRYPT-LUKS2-abc", False, "mapped device"),
        ("mount 253:3 ext4\nstacked dm part2-mpath-3600", True, ""),
        ("mount 9:0 ext4\nstacked md ", False, "software RAID"),
        ("mount 0:31 btrfs", False, "btrfs"),
        ("mount 0:40 zfs", False, "zfs"),
        ("", None, ""),
    ],
)
def test_where_grub_can_forget(lines: str, one_shot: bool | None, words: str) -> None:
    found = bootmenu.parse(f"{GRUB}{lines}\n")
    assert (found.kind, found.one_shot) == ("grub", one_shot)
    assert words in found.obstacle


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (GRUB, "grub"),
        (GRUB.replace("dropins\n", ""), ""),
        (GRUB.replace("dropins\n", "").replace("=0", "=saved"), "saved"),
        ('grub /boot/grub2\nmenu blscfg\nentry 4f1c-6.1.0-9 6.1.0-9\noption GRUB_DEFAULT="saved"', "bls"),
        ("LoaderInfo systemd-boot 257.9", "systemd-boot"),
        ("LoaderInfo rEFInd", ""),
        ("", ""),
    ],
)
def test_kind(text: str, kind: str) -> None:
    assert bootmenu.parse(text).kind == kind


@pytest.mark.parametrize(
    ("option", "saved", "expected"),
    [
        ("0", "", "6.1.0-50-amd64"),
        ("", "", "6.1.0-50-amd64"),
        ("saved", "", "6.1.0-50-amd64"),
        ("saved", "x>gnulinux-6.1.0-9-amd64-advanced-y", "6.1.0-9-amd64"),
        ("More>Linux 6.1.0-9-amd64", "", "6.1.0-9-amd64"),
        ("3", "", None),
    ],
)
def test_owners_choice(option: str, saved: str, expected: str | None) -> None:
    assert bootmenu.chosen_by(option, {"saved_entry": saved}, ["6.1.0-9-amd64", "6.1.0-50-amd64"]) == expected


@pytest.mark.parametrize(
    ("chosen", "preferred", "expected"),
    [
        ("", "", "6.1.0-50"),
        ("a-6.1.0-9.conf", "", "6.1.0-9"),
        ("", "a-*", "6.1.0-50"),
        ("", "*-9", "6.1.0-9"),
        ("gone.conf", "", "6.1.0-50"),
    ],
)
def test_entries_of_systemd_boot(chosen: str, preferred: str, expected: str) -> None:
    lines = ["LoaderInfo systemd-boot 257", "entry a-6.1.0-50 6.1.0-50", "entry a-6.1.0-9 6.1.0-9"]
    lines += [f"LoaderEntryDefault {chosen}"] if chosen else []
    lines += [f"preferred {preferred}"] if preferred else []
    assert bootmenu.parse("\n".join(lines)).default == expected


def test_own_records() -> None:
    text = "pinned-kernel 6.1.0-9\npinned-kernel old\nkernel-trial 6.1.0-50\nkernel-trial boot\nhooks /etc/kernel/postinst.d\n"
    assert bootmenu.parse(text) == BootLoader(
        pinned="6.1.0-9", trial="6.1.0-50", trial_from="boot", hooks="/etc/kernel/postinst.d"
    )


MOUNTS = """22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw
30 22 259:2 / /boot rw,relatime shared:2 master:3 - xfs /dev/nvme0n1p2 rw
31 22 0:5 / /boot2 rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("mounts", "one_shot"), [(MOUNTS, True), (MOUNTS.splitlines()[0] + "\n", False)], ids=["own partition", "on LVM"]
)
def test_partition_of_the_environment(tmp_path: Path, mounts: str, one_shot: bool) -> None:
    """The file system that carries /boot/grub, not one whose name only begins so."""
    write(tmp_path, "/boot/grub/grub.cfg", 'set default="0"\n')
    # Paths of the stand-in root are longer than those of a host.
    write(tmp_path, "/proc/self/mountinfo", mounts.replace(" / /boot", f" / {tmp_path}/boot"))
    write(tmp_path, "/sys/dev/block/254:0/dm/uuid", "LVM-abc\n")
    write(tmp_path, "/sys/dev/block/259:2/partition", "2\n")
    mkconfig = program(tmp_path, "grub-mkconfig", "# /etc/default/grub.d/*.cfg")
    found = read_root(bootmenu.SUBJECT, tmp_path, mkconfig)
    assert (found.kind, found.one_shot) == ("grub", one_shot)


def test_module_says_what_it_was_built_for_and_who_signed_it(tmp_path: Path) -> None:
    release = "6.1.0-50-amd64"
    write(tmp_path, f"/lib/modules/{release}/updates/dkms/nvidia.ko")
    link(
        tmp_path, "/lib/modules/6.1.0-51-amd64/weak-updates/nvidia.ko", f"/lib/modules/{release}/updates/dkms/nvidia.ko"
    )
    body = f'printf "%-16s%s\\n" version: 550.163.01 signer: "DKMS module signing key" vermagic: "{release} SMP mod_unload" parm: "signer:a word"'
    found = read_root(kernels.SUBJECT, tmp_path, program(tmp_path, "modinfo", body))
    modules = [found.get(r).core_module for r in (release, "6.1.0-51-amd64")]
    assert [(m.version, m.built_for, m.signer) for m in modules] == [
        ("550.163.01", release, "DKMS module signing key")
    ] * 2


def test_unsigned_is_told_apart_from_unknown(tmp_path: Path) -> None:
    write(tmp_path, "/lib/modules/6.1.0-50-amd64/updates/nvidia.ko")
    body = "echo version: 550.163.01"
    found = read_root(kernels.SUBJECT, tmp_path, program(tmp_path, "modinfo", body))
    (known,) = found.installed[0].nvidia_modules
    (unknown,) = kernels.parse("modules 6.1\nmodule /lib/modules/6.1/nvidia.ko\n").installed[0].nvidia_modules
    assert (known.signer, unknown.signer) == ("", None)
