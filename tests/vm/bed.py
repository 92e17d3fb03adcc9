"""The VM bed of one test run: a lock, the network, the base image, the guests; nothing of it stays behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tests.vm import image, mirrors, network
from tests.vm.commands import VmError, ensure_tools, run, wait_until
from tests.vm.machine import Disk, Vm
from tests.vm.recipe import Recipe

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

LOCK = Path("/run/lock/gpu-host-vm.lock")
LOCK_WAIT = 3600.0  # seconds; another run of this tier may be at work


class VmBed:
    """`with VmBed() as bed: vm = bed.new_vm("one")`. One bed at a time on a machine; a second one waits."""

    def __init__(self) -> None:
        self.work = image.cache_folder() / "vm-work"
        self._vms: list[Vm] = []
        self._lock: TextIO | None = None
        self._bases: dict[str, image.BaseImage] = {}

    def __enter__(self) -> Self:
        ensure_tools()
        self._lock = _take_lock()
        try:
            clean_folder(self.work)
            self.work.mkdir(parents=True)
            network.up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the guests, remove network and work folder, let the next run in."""
        try:
            for guest in self._vms:
                guest.kill()
            clean_folder(self.work)
        finally:
            network.down()
            if self._lock:
                self._lock.close()

    def base_image(self, variant: str = "") -> image.BaseImage:
        """The base image, made on first use (minutes; with the driver a quarter of an hour) or cached. Variants: see `Recipe`."""
        if variant not in self._bases:
            folder = self.work / "build"
            clean_folder(folder)  # an attempt that failed before
            wanted = Recipe(mirrors.this_machine(), mirrors.nameservers(), variant)
            self._bases[variant] = image.base_image(wanted, folder)
            clean_folder(folder)
        return self._bases[variant]

    def new_vm(self, name: str, variant: str = "", *, seed: str = "") -> Vm:
        """A guest on a fresh overlay of the base image, started and answering. `seed`: where cloud-init finds its data."""
        base = self.base_image(variant)
        used = {guest.slot for guest in self._vms if guest.running}
        slot = next((n for n in network.SLOTS if n not in used), None)
        if slot is None:
            raise VmError(f"all {len(network.SLOTS)} guest slots are in use; power one off first")
        overlay = self.work / f"{name}.qcow2"
        if overlay.exists():
            raise VmError(f"a guest named {name} exists; choose another name or discard it first")
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base.disk), str(overlay))
        guest = Vm(name, slot, Disk(overlay), self.work, key=base.key, host_key=base.host_key, seed=seed)
        self._vms.append(guest)
        try:
            guest.start()
        except VmError:
            self.discard(guest)
            raise
        return guest

    def discard(self, guest: Vm) -> None:
        """Take a guest and its disk away."""
        guest.kill()
        guest.disk.path.unlink(missing_ok=True)


def _take_lock() -> TextIO:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    lock = LOCK.open("w")

    def taken() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if not wait_until(taken, LOCK_WAIT, pause=1):
        lock.close()
        raise VmError(f"another run holds {LOCK} for more than {LOCK_WAIT:g} s; find it with: fuser {LOCK}")
    return lock


def clean_folder(folder: Path) -> None:
    """Remove a work folder with what a killed run left in it: QEMU processes, then mounts, then files."""
    for pid_file in sorted(folder.rglob("*.pid")):
        _kill_qemu(pid_file)
    for mount in reversed(_mounts_below(folder)):
        run("umount", "-l", mount)
    if folder.exists():
        shutil.rmtree(folder)


def _kill_qemu(pid_file: Path) -> None:
    """Kill the recorded process if it still is the QEMU that wrote this pid file."""
    pid = pid_file.read_text().strip()
    command = Path(f"/proc/{pid}/cmdline")
    if (
        pid.isdigit()
        and command.exists()
        and str(pid_file) in command.read_bytes().decode(errors="replace").split("\0")
    ):
        os.kill(int(pid), signal.SIGKILL)


def _mounts_below(folder: Path) -> list[str]:
    """Mount points in or below the folder, outer ones first (source: proc_pid_mountinfo(5), field 5)."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(folder)]
