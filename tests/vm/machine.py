"""One virtual machine: start it, talk to it, reboot it, take it down."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.vm import network
from tests.vm.commands import VmError, run, tail, wait_until
from tests.vm.recipe import INITRAMFS_MODULES, NOUVEAU_INITRD

if TYPE_CHECKING:
    from pathlib import Path

# Seconds on a quiet two-core machine without KVM; every wait allows PATIENCE times as much.
BOOT = 40.0
REBOOT = 55.0
POWER_OFF = 8.0
COMMAND = 30.0
PATIENCE = float(os.environ.get("GPU_HOST_TEST_PATIENCE", "4"))
# "kvm" is much faster where the machine has it; emulation works everywhere.
ACCELERATOR = os.environ.get("GPU_HOST_TEST_ACCELERATOR", "tcg,thread=multi")


@dataclass(frozen=True)
class Disk:
    """The disk image, and a kernel with its boot image when the disk cannot start by itself yet."""

    path: Path
    format: str = "qcow2"
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""

    def arguments(self) -> list[str]:
        words = ["-drive", f"file={self.path},format={self.format},if=virtio,cache=unsafe,discard=unmap"]
        if self.kernel and self.initrd:
            words += ["-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", self.cmdline]
        return words


class Vm:
    """A guest on slot `slot` of the bridge. `folder` takes its console log and known_hosts; `key` opens root's login.

    QEMU dies with the thread that calls `start`, so start guests from the main thread.
    """

    def __init__(
        self, name: str, slot: int, disk: Disk, folder: Path, *, key: Path, host_key: str, seed: str = ""
    ) -> None:
        self.name = name
        self._seed = ["-smbios", f"type=1,serial=ds=nocloud;s={seed}"] if seed else []
        self.slot = slot
        self.disk = disk
        self.key = key
        self.address = network.address(slot)
        self.console = folder / f"{name}.console"
        self.pid_file = folder / f"{name}.pid"
        self.known_hosts = folder / f"{name}.known_hosts"
        self.known_hosts.write_text(f"{self.address} {host_key}\n")
        self._log = folder / f"{name}.qemu"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, memory: int = 2048) -> None:
        """Start QEMU (`memory` in MiB) and wait for SSH. Raises VmError with the console's end when it does not come."""
        tap = network.add_tap(self.slot)
        words = [
            *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-name", self.name, "-nodefaults"),
            *("-machine", "q35", "-cpu", "max,la57=off,svm=off", "-accel", ACCELERATOR, "-smp", "2", "-m", str(memory)),
            *("-display", "none", "-serial", f"file:{self.console}", "-pidfile", str(self.pid_file)),
            *("-netdev", f"tap,id=net,ifname={tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac={network.mac(self.slot)}", "-device", "virtio-rng-pci"),
            *self.disk.arguments(),
            *self._seed,
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.wait_for_ssh(BOOT * PATIENCE)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_for_ssh(self, seconds: float, other_than: str = "") -> None:
        """Wait until a boot other than `other_than` (a boot_id) answers twice; a guest just up may reset the first."""
        started = time.monotonic()

        def answers() -> bool:
            if not self.running:
                raise VmError(f"{self.name}: QEMU ended\n{tail(self._log.read_text())}\n{self.console_tail()}")
            return all(self._boot_id_now() not in {"", other_than} for _ in range(2))

        if not wait_until(answers, seconds, pause=1):
            waited = time.monotonic() - started
            raise VmError(f"{self.name}: no SSH after {waited:.0f} s; end of its console:\n{self.console_tail()}")

    def _boot_id_now(self) -> str:
        done = self._ssh("cat /proc/sys/kernel/random/boot_id", timeout=20)
        return done.stdout.strip() if done and done.returncode == 0 else ""

    def boot_id(self) -> str:
        return self.ssh("cat /proc/sys/kernel/random/boot_id").stdout.strip()

    def release(self) -> str:
        """The running kernel's release, e.g. 6.12.48+deb13-amd64."""
        return self.ssh("uname -r").stdout.strip()

    def ssh(self, command: str, *, check: bool = True, timeout: float = COMMAND * PATIENCE, stdin: str = "") -> Result:
        """Run a shell command as root (`timeout` in seconds). Raises VmError on no answer, and on failure if `check`."""
        done = self._ssh(command, timeout, stdin)
        if done is None:
            raise VmError(f"{self.name}: no end after {timeout:g} s: {command}\n{self.console_tail()}")
        if check and done.returncode:
            # 255 is ssh's own: what the guest is doing instead stands on its console.
            said = self.console_tail() if done.returncode == 255 else tail(done.stdout + done.stderr)
            raise VmError(f"{self.name}: exit status {done.returncode}: {command}\n{said}")
        return done

    def _ssh(self, command: str, timeout: float, stdin: str = "") -> Result | None:
        words = ["ssh", *self._ssh_options(), f"root@{self.address}", command]
        try:
            return subprocess.run(
                words, check=False, capture_output=True, text=True, errors="replace", timeout=timeout, input=stdin
            )
        except subprocess.TimeoutExpired:
            return None

    def _ssh_options(self) -> list[str]:
        options = {
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "8",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["-F", "none", "-q", "-i", str(self.key), *words]

    def put(self, local: Path, remote: str, timeout: float = 300 * PATIENCE) -> None:
        """Copy a file or a folder into the guest."""
        run("scp", "-r", *self._ssh_options(), str(local), f"root@{self.address}:{remote}", timeout=timeout)

    def write(self, remote: str, text: str) -> None:
        """Write a text file in the guest."""
        self.ssh(f"cat > {remote}", stdin=text)

    def reboot(self) -> None:
        """Reboot by systemd and wait until the next boot answers."""
        before = self.boot_id()
        self.ssh("systemctl --no-block reboot", check=False)
        self.wait_for_ssh(REBOOT * PATIENCE, other_than=before)

    def power_off(self) -> None:
        """Shut down in order; QEMU is killed when that takes too long or the guest does not answer."""
        if self.running:
            self._ssh("systemctl --no-block poweroff", timeout=COMMAND)
            wait_until(lambda: not self.running, POWER_OFF * PATIENCE)
        self.kill()

    def kill(self) -> None:
        """Pull the plug, and take the tap device away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        network.remove_tap(self.slot)
        self.pid_file.unlink(missing_ok=True)

    def console_tail(self) -> str:
        """The end of the serial console, escape sequences removed."""
        text = self.console.read_text(errors="replace") if self.console.exists() else "(no console output)"
        return tail(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))

    def inventory_data(self) -> dict[str, object]:
        """Host data with which pyinfra reaches this guest; the host key is known, nothing is learnt on first use."""
        return {
            "ssh_hostname": self.address,
            "ssh_user": "root",
            "ssh_key": str(self.key),
            "ssh_known_hosts_file": str(self.known_hosts),
            "ssh_strict_host_key_checking": "yes",
        }

    def loaded_modules(self) -> set[str]:
        """Names in /proc/modules."""
        return {line.split()[0] for line in self.ssh("cat /proc/modules").stdout.splitlines() if line}

    def put_nouveau_in_initramfs(self) -> None:
        """Make nouveau part of the boot image, and of every later one: listed in the modules file of initramfs-tools."""
        self.ssh(f'echo nouveau >> {INITRAMFS_MODULES} && cp {NOUVEAU_INITRD} "/boot/initrd.img-$(uname -r)" && sync')

    def install_modules(self, folder: Path) -> None:
        """Put the *.ko files of `folder` (built elsewhere for this kernel) where DKMS would, and index them.

        Raises VmError when one was built for another kernel release.
        """
        target = f"/lib/modules/{self.release()}/updates/dkms"
        names = sorted(path.name for path in folder.glob("*.ko*"))
        if not names:
            raise VmError(f"{folder}: no *.ko files; build the modules there first")
        self.ssh(f"mkdir -p {target}")
        for name in names:
            self.put(folder / name, f"{target}/{name}")
        self.ssh(_CHECK_AND_INDEX.format(target=target, names=" ".join(names)), timeout=COMMAND * 2 * PATIENCE)


Result = subprocess.CompletedProcess[str]

# Indexes modules only if the kernel would take every one of them; otherwise removes them and says why.
_CHECK_AND_INDEX = """cd {target} || exit
for name in {names}; do
    built_for=$(modinfo -F vermagic "./$name" | cut -d ' ' -f 1)
    [ "$built_for" = "$(uname -r)" ] && continue
    echo "$name was built for kernel $built_for, this guest runs $(uname -r): build it against this guest's headers"
    rm -f {names}
    exit 1
done
depmod
"""
