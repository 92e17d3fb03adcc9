"""The base image: made once from packages, kept outside the repository, never written to again."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm import driver, kernels, recipe
from tests.vm.commands import VmError, run
from tests.vm.machine import Disk, Vm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.vm.recipe import Recipe

MAX_AGE = 7 * 24 * 3600  # seconds; the archive's kernel moves on
DISK_MIB = 20 * 1024
PARTITION_OFFSET = 1024 * 1024  # bytes
COMPRESSION = "compression_type=zstd"


@dataclass(frozen=True)
class BaseImage:
    """A finished image. Its folder holds disk.qcow2, root's login key, the guest's public host key and fakepci.ko."""

    folder: Path

    @property
    def release(self) -> str:
        """Kernel release in the image; modules for `Vm.install_modules` are built for this one."""
        return (self.folder / "release").read_text().strip()

    @property
    def disk(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def key(self) -> Path:
        return self.folder / "login_key"

    @property
    def host_key(self) -> str:
        """Type and base64 of the host's public key, as known_hosts wants them."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    @property
    def fakepci(self) -> Path:
        return self.folder / "fakepci.ko"


def cache_folder() -> Path:
    """GPU_HOST_TEST_CACHE, or ~/.cache/gpu-host-tests."""
    chosen = os.environ.get("GPU_HOST_TEST_CACHE")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "gpu-host-tests"


def base_image(wanted: Recipe, work: Path) -> BaseImage:
    """The cached image of this recipe if it is young enough, else a new one, made in `work` (a folder beside it)."""
    cache = cache_folder()
    prefix = f"vm-{recipe.SUITE}-"
    for folder in sorted(cache.glob(f"{prefix}*")):
        if time.time() - (folder / "disk.qcow2").stat().st_mtime > MAX_AGE:
            shutil.rmtree(folder)
        elif folder.name.startswith(f"{prefix}{wanted.key()}-"):
            return BaseImage(folder)
    made = Builder(wanted, work).build()
    final = cache / f"{prefix}{wanted.key()}{wanted.variant and f'-{wanted.variant}'}-{made.release}"
    made.folder.rename(final)
    return BaseImage(final)


class Builder:
    """Makes one image: root by mmdebstrap, module, disk, GRUB from inside on the first boot, compressed copy."""

    def __init__(self, wanted: Recipe, work: Path) -> None:
        self.recipe = wanted
        self.root = work / "root"
        self.work = work
        self.image = BaseImage(work / "image")

    def build(self) -> BaseImage:
        self.image.folder.mkdir(parents=True)
        self._login_keys()
        self._make_root()
        release = _only((self.root / "boot").glob("vmlinuz-*")).name.removeprefix("vmlinuz-")
        (self.image.folder / "release").write_text(release + "\n")
        if self.recipe.has_driver:
            driver.check(self.root, release)
        self._add_fakepci(release)
        raw = self._make_disk()
        self._install_grub(raw, release)
        run("qemu-img", "convert", "-c", "-O", "qcow2", "-o", COMPRESSION, str(raw), str(self.image.disk), timeout=1800)
        raw.unlink()
        shutil.rmtree(self.root)
        return self.image

    def _login_keys(self) -> None:
        for name in ("login_key", "host_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.image.folder / name))

    def _make_root(self) -> None:
        files = self.work / "files"
        for name, content in self.recipe.files().items():
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            (files / name).write_text(content)
            (files / name).chmod(0o755 if name in recipe.EXECUTABLE else 0o644)
        _install(self.image.folder / "login_key.pub", files / "root/.ssh/authorized_keys", 0o600)
        (files / "root/.ssh").chmod(0o700)
        (files / "root").chmod(0o700)
        _install(self.image.folder / "host_key", files / "etc/ssh/ssh_host_ed25519_key", 0o600)
        _install(self.image.folder / "host_key.pub", files / "etc/ssh/ssh_host_ed25519_key.pub", 0o644)
        (self.image.folder / "host_key").unlink()
        copy = f"sync-in {files} /"
        hooks = [f"--essential-hook={hook}" for hook in (*recipe.EARLY_HOOKS, copy)]
        late = (*self._standins(), *self.recipe.late_hooks(), copy)
        hooks += [f"--customize-hook={hook}" for hook in late]
        self._mmdebstrap(self.root, ("--variant=minbase", *hooks), self.recipe.packages())

    def _standins(self) -> tuple[str, ...]:
        """Hooks that install what is made here; before the late hooks, which take the sources away."""
        if self.recipe.variant != "kernels":
            return ()
        folder = self.work / "standins"
        folder.mkdir()
        kernels.standins(folder, recipe.FAKEPCI)
        return kernels.hooks(folder)

    def _add_fakepci(self, release: str) -> None:
        """Build the module in a throw-away root with the same kernel's headers, then index it in the image's root."""
        source = "/usr/src/fakepci"
        hooks = (
            f'--customize-hook=mkdir -p "$1"{source}',
            f"--customize-hook=sync-in {recipe.FAKEPCI} {source}",
            f'--customize-hook=chroot "$1" make -C /lib/modules/{release}/build M={source} modules',
            f"--customize-hook=copy-out {source}/fakepci.ko {self.image.folder}",
        )
        packages = (f"linux-headers-{release}", "make")
        self._mmdebstrap(Path("/dev/null"), ("--variant=apt", "--format=null", *hooks), packages)
        _install(self.image.fakepci, self.root / f"lib/modules/{release}/updates/fakepci.ko", 0o644)
        run("chroot", str(self.root), "depmod", release)

    def _mmdebstrap(self, target: Path, options: tuple[str, ...], packages: tuple[str, ...]) -> None:
        sources = self.work / "image.sources"
        sources.write_text(self.recipe.sources())
        apt = [f'--aptopt={name} "{value}"' for name, value in self.recipe.mirrors.options]
        run(
            *("mmdebstrap", "--mode=root", '--aptopt=APT::Install-Recommends "false"', *apt, *options),
            *(f"--include={','.join(packages)}", recipe.SUITE, str(target), str(sources)),
            timeout=3600,
            env={"TMPDIR": str(self.work)},
        )

    def _make_disk(self) -> Path:
        """One ext4 partition, filled without mounting or loop devices."""
        raw = self.work / "disk.img"
        run("truncate", "-s", f"{DISK_MIB}M", str(raw))
        run("sfdisk", "-q", str(raw), stdin=f"label: dos\nstart={PARTITION_OFFSET // 512}, type=83, bootable\n")
        blocks = (DISK_MIB * 1024 * 1024 - PARTITION_OFFSET) // 1024
        options = f"offset={PARTITION_OFFSET},lazy_itable_init=1"
        run(
            *("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", str(self.root), "-E", options),
            *(str(raw), f"{blocks}k"),
            timeout=1800,
        )
        return raw

    def _install_grub(self, raw: Path, release: str) -> None:
        """Start the disk's own kernel directly, and let the guest install its boot loader.

        Done from outside, grub-install does not understand a partition that this machine's kernel does not show.
        """
        boot = self.root / "boot"
        disk = Disk(
            raw, "raw", boot / f"vmlinuz-{release}", boot / f"initrd.img-{release}", f"root=LABEL=root ro {_OPTIONS}"
        )
        guest = Vm("first-boot", 1, disk, self.work, key=self.image.key, host_key=self.image.host_key)
        try:
            guest.start()
            guest.ssh(_GRUB, timeout=600)
            guest.power_off()
        finally:
            guest.kill()


# The first boot needs no GPU, and loading the driver for one takes an emulated machine minutes beside other work.
_OPTIONS = f"{recipe.KERNEL_OPTIONS} systemd.mask=systemd-modules-load.service"
_GRUB = """set -e
echo 'grub-pc grub-pc/install_devices multiselect /dev/vda' | debconf-set-selections
grub-install /dev/vda
update-grub
sync
"""


def _install(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    target.chmod(mode)


def _only(found: Iterable[Path]) -> Path:
    entries = list(found)
    if len(entries) != 1:
        raise VmError(f"expected one kernel in the image, found {[entry.name for entry in entries]}")
    return entries[0]
