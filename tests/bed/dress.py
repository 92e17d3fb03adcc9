"""Turns a fresh Debian root into another distribution's: names, package manager, package database, kernel, boot image."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bed.families import Family
from tests.bed.pack import Package, build_arch, build_deb, build_rpm
from tests.bed.shell import run

PROGRAMS = Path(__file__).with_name("programs")
UNDER = "opt/under"  # where Debian's own package tools wait, off every path
MODULES = "usr/lib/modules"
# A generic image takes half a minute and 40 MB; this one a second. A host-only image takes /etc/modprobe.d along.
QUICK_DRACUT = (
    'hostonly="yes"\nhostonly_mode="sloppy"\nearly_microcode="no"\ncompress="zstd -1"\n'
    'dracutmodules+=" base kernel-modules "\ndrivers+=" virtio_blk virtio_net ext4 "\n'
)
MKINITCPIO_CONF = (
    "MODULES=()\nBINARIES=()\nFILES=()\n"
    "HOOKS=(base systemd autodetect microcode modconf {kms}keyboard sd-vconsole block filesystems fsck)\n"
)
PRESET = """# mkinitcpio preset file for the 'linux' package
ALL_kver="/boot/vmlinuz-linux"
PRESETS=('default')
default_image="/boot/initramfs-linux.img"
"""


def inside(root: Path, *command: str | Path, check: bool = True) -> str:
    """Run a command in the root as in a machine that does not run (with /proc, /sys and /dev). Raises BedError."""
    start = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--private-network"]
    words = [*start, "--resolv-conf=off", "--timezone=off", f"--directory={root}", *map(str, command)]
    return run(words, timeout=900, check=check).stdout


def put(root: Path, files: Mapping[str, str], links: Mapping[str, str]) -> None:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(text)
    for path, points_at in links.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(points_at)


def hide_debian(root: Path) -> None:
    """Move apt, dpkg and their data off every path that a program looks at."""
    under = root / UNDER
    under.mkdir(parents=True)
    for folder in ("usr/bin", "usr/sbin"):
        for pattern in ("apt*", "dpkg*", "update-alternatives", "update-initramfs", "deb-systemd-*"):
            for program in (root / folder).glob(pattern):
                program.rename(under / program.name)
    for folder in ("var/lib/dpkg", "var/lib/apt"):
        (root / folder).rename(under / folder.replace("/", "-"))
    for folder in (
        "etc/apt",
        "etc/dpkg",
        "usr/lib/apt",
        "usr/lib/dpkg",
        "var/cache/apt",
        "etc/kernel",
        "etc/dracut.conf.d",
    ):
        shutil.rmtree(root / folder, ignore_errors=True)
    for path in ("etc/debian_version", "etc/alternatives/README", "usr/lib/dracut/dracut.conf.d/01-debian.conf"):
        (root / path).unlink(missing_ok=True)
    (root / "etc/dracut.conf.d").mkdir()


def rename_kernel(root: Path, family: Family) -> None:
    """Debian's kernel under the distribution's name. The modules keep Debian's vermagic: nothing here loads them."""
    (old,) = (path.name for path in (root / MODULES).iterdir())
    boot = root / "boot"
    modules = root / MODULES / family.release
    (root / MODULES / old).rename(modules)
    for path in (*boot.glob("initr*"), *boot.glob("vmlinuz.old"), *root.glob("initrd.img*"), *root.glob("vmlinuz*")):
        path.unlink()
    for name in ("System.map", "config"):
        if (boot / f"{name}-{old}").exists():
            (boot / f"{name}-{old}").rename(boot / f"{name}-{family.release}")
    kernel = root / family.image.kernel.format(release=family.release)
    (boot / f"vmlinuz-{old}").rename(kernel)
    for link in ("build", "source"):
        (modules / link).unlink(missing_ok=True)
    if family.manager != "apt" and not (modules / "vmlinuz").exists():  # Debian testing has it there too
        shutil.copyfile(kernel, modules / "vmlinuz")
    if family.manager == "pacman":
        (modules / "pkgbase").write_text("linux\n")


def base_packages(root: Path, family: Family) -> list[Package]:
    """The base with the kernel's image in the hands of its package."""
    owned = [family.image.kernel.format(release=family.release)]
    if family.manager != "apt":
        owned.append(f"{MODULES}/{family.release}/vmlinuz")
    if family.manager == "pacman":
        owned = [f"{MODULES}/{family.release}/vmlinuz", f"{MODULES}/{family.release}/pkgbase"]
    files = {f"/{path}": (root / path).read_bytes() for path in owned}
    return [replace(row, files=files) if row.name == family.kernel_package else row for row in family.base]


def fill_database(root: Path, family: Family) -> None:
    """Install the base packages: into the database alone, what they own is there already."""
    build = {"apt": build_deb, "pacman": build_arch}.get(family.manager, build_rpm)
    with TemporaryDirectory(dir=root / "opt") as name:
        folder = Path(name)
        files = [f"/opt/{folder.name}/{build(package, folder).name}" for package in base_packages(root, family)]
        if family.manager == "apt":
            inside(root, "dpkg", "--install", *files)
        elif family.manager == "pacman":
            inside(root, "useradd", "--system", "--home-dir", "/", "--shell", "/usr/bin/nologin", "alpm")
            inside(root, "pacman", "-U", "--dbonly", "--noconfirm", "--noprogressbar", *files)
        else:
            inside(root, "rpm", "--initdb")
            options = ["--justdb", "--nodeps", "--noscripts", "--notriggers", "--nosignature"]
            inside(root, "rpm", "--install", *options, *files)


def purge_debian_kernel(root: Path) -> None:
    """For a distribution that keeps dpkg: its database forgets Debian's kernel, whose files have been renamed."""
    listed = inside(root, "dpkg-query", "-W", "-f", "${Package}\n", "linux-image-*").split()
    inside(root, "dpkg", "--purge", "--force-depends", *listed)


def make_image(root: Path, family: Family) -> None:
    """The boot image, by the distribution's own tool where Debian has it."""
    image = f"/{family.image.initramfs.format(release=family.release)}"
    if family.image.tool == "initramfs-tools":
        inside(root, "update-initramfs", "-c", "-k", family.release)
    elif family.image.tool == "dracut":
        put(root, {"usr/lib/dracut/dracut.conf.d/90-quick.conf": QUICK_DRACUT}, {})
        inside(root, "dracut", "--force", image, family.release)
    else:
        for name in ("dracut", "lsinitrd"):
            (root / "usr/bin" / name).rename(root / UNDER / name)
        for name in ("mkinitcpio", "lsinitcpio"):
            shutil.copyfile(PROGRAMS / name, root / "usr/bin" / name)
            (root / "usr/bin" / name).chmod(0o755)
        put(
            root,
            {"etc/mkinitcpio.conf": MKINITCPIO_CONF.format(kms="kms "), "etc/mkinitcpio.d/linux.preset": PRESET},
            {},
        )
        inside(root, "mkinitcpio", "-P")


def hold_nouveau(root: Path, family: Family) -> None:
    """Have the boot images carry nouveau, and make them anew. Raises BedError."""
    path, line = {
        "initramfs-tools": ("etc/initramfs-tools/modules", "nouveau\n"),
        "dracut": ("etc/dracut.conf.d/nouveau.conf", 'add_drivers+=" nouveau "\n'),
        "mkinitcpio": ("etc/mkinitcpio.conf", "MODULES+=(nouveau)\n"),
    }[family.image.tool]
    with (root / path).open("a") as file:
        file.write(line)
    commands = {
        "initramfs-tools": ("update-initramfs", "-u", "-k", "all"),
        "dracut": ("dracut", "--force", f"/{family.image.initramfs.format(release=family.release)}", family.release),
        "mkinitcpio": ("mkinitcpio", "-P"),
    }
    inside(root, *commands[family.image.tool])


def dress(root: Path, family: Family) -> None:
    """Make the root the distribution's. Raises BedError."""
    rename_kernel(root, family)
    if family.manager == "apt":
        purge_debian_kernel(root)
    else:
        hide_debian(root)
    put(root, {"usr/lib/os-release": family.os_release, **family.files}, {"etc/os-release": "../usr/lib/os-release"})
    put(root, {}, family.links)
    fill_database(root, family)
    inside(root, "ldconfig")
    inside(root, "depmod", family.release)
    make_image(root, family)
