"""One booted test host."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed import cgroups, packages
from tests.bed.cache import throw_away
from tests.bed.furnish import COMMAND_LOG
from tests.bed.keys import Keys
from tests.bed.network import Network
from tests.bed.processes import Process, start_detached
from tests.bed.shell import REPOSITORY, BedError, run, run_python, wait_for
from tests.bed.spec import OnReboot, Spec, load_spec, save

BOOT_LIMIT = 300  # seconds until the first SSH command works
PATHS = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Host:
    """A test host: `folder` holds root/, pci/, packages/ and its state files."""

    name: str
    number: int
    folder: Path
    network: Network
    keys: Keys

    @property
    def root(self) -> Path:
        """The host's root as a folder of this machine. Mounts made inside the host do not show here."""
        return self.folder / "root"

    @property
    def spec(self) -> Spec:
        return load_spec(self.folder / "spec.json")

    @property
    def address(self) -> str:
        return self.network.address(self.number)

    # -- processes

    @property
    def supervisor(self) -> Process | None:
        return self._process("supervisor.json")

    @property
    def nspawn(self) -> Process | None:
        return self._process("nspawn.json")

    @property
    def leader(self) -> Process | None:
        """The host's init, as this machine sees it."""
        nspawn = self.nspawn
        children = nspawn.children() if nspawn else []
        return children[0] if children else None

    def _process(self, name: str) -> Process | None:
        try:
            found = Process.from_json(json.loads((self.folder / name).read_text()))
        except (OSError, ValueError, KeyError):
            return None
        return found if found.alive else None

    @property
    def machine(self) -> str:
        """What the whole machine calls this host."""
        return f"{self.network.namespace(self.number)}-{self.name}"

    def start(self) -> None:
        """Boot, and wait until SSH answers. Raises BedError with the end of the console when it does not."""
        save(self.folder / "start.json", {"namespace": self.network.namespace(self.number), "machine": self.machine})
        words = run_python("tests.bed.supervise", self.folder)
        supervisor = start_detached(words, self.folder / "console.log", REPOSITORY)
        save(self.folder / "supervisor.json", supervisor.to_json())
        self.wait_ssh()

    def wait_ssh(self, seconds: float = BOOT_LIMIT) -> None:
        try:
            wait_for(self.answers, seconds, f"SSH on {self.name} ({self.address})")
        except BedError as error:
            console = (self.folder / "console.log").read_text(errors="replace")[-1500:]
            raise BedError(f"{error}\nits console ends with:\n{console}") from error

    def answers(self) -> bool:
        """True when an SSH command works now."""
        with suppress(BedError):
            return self.ssh("true", check=False, timeout=6).returncode == 0
        return False

    def stop(self) -> None:
        """Pull the plug. The supervisor goes first, so that it does not start the host again."""
        if (supervisor := self.supervisor) is not None:
            supervisor.end()
        leader, nspawn = self.leader, self.nspawn
        if leader is not None:
            leader.end()
        if nspawn is not None:
            with suppress(BedError):
                wait_for(lambda: not nspawn.alive, 5, f"systemd-nspawn of {self.name}", pause=0.02)
            nspawn.end()

    def remove(self) -> None:
        """Stop, unplug, keep downloaded packages, delete. Harmless for a host that is half made or half gone."""
        self.stop()
        cgroups.remove(self.machine)
        self.network.unplug(self.number)
        suite = load_spec(self.folder / "spec.json").suite if (self.folder / "spec.json").exists() else ""
        if suite and (self.folder / "packages").is_dir():
            packages.collect(suite, self.folder / "packages")
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        inside = [mount for mount in mounts if mount.startswith(f"{self.folder}/")]
        for mount in sorted(inside, reverse=True):
            run(["umount", "-l", mount], check=False)
        if self.folder.exists():
            thrown = throw_away(self.folder)
            start_detached(["rm", "-rf", thrown], Path("/dev/null"), Path("/"))

    # -- commands

    def ssh_options(self) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.keys.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "ServerAliveInterval": "10",
            "LogLevel": "ERROR",
        }
        words = ["-F", "/dev/null", "-i", str(self.keys.private)]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        return words

    def ssh(
        self, command: str, *, check: bool = True, timeout: float = 120, text_in: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root over SSH (it is counted among the host's remote commands)."""
        words = ["ssh", *self.ssh_options(), f"root@{self.address}", command]
        return run(words, check=check, timeout=timeout, text_in=text_in)

    def nsenter(
        self, command: str, *, check: bool = True, timeout: float = 120, text_in: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root inside the host without SSH: works with the link cut, and is not counted."""
        leader = self.leader
        if leader is None:
            raise BedError(f"{self.name} is not running")
        enter = ["nsenter", "-t", str(leader.pid), "-m", "-u", "-i", "-n", "-p", "-r", "-w"]
        words = [*enter, "env", "-i", PATHS, "HOME=/root", "LC_ALL=C.UTF-8", "sh", "-c", command]
        return run(words, check=check, timeout=timeout, text_in=text_in)

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside the host (not counted as a remote command)."""
        quoted = shlex.quote(path)
        script = f'mkdir -p "$(dirname {quoted})" && cat > {quoted} && chmod {mode:o} {quoted}'
        self.nsenter(script, text_in=text)

    def commands(self) -> list[str]:
        """Every remote command that sshd has run so far, oldest first: "SECONDS FIRST-300-CHARACTERS"."""
        return (self.root / COMMAND_LOG).read_text(errors="replace").splitlines()

    def count_commands(self) -> int:
        """How many remote commands sshd has run so far."""
        return len(self.commands())

    def inventory_data(self) -> dict[str, Any]:
        """pyinfra's data for reaching this host."""
        return {
            "ssh_hostname": self.address,
            "ssh_user": "root",
            "ssh_key": str(self.keys.private),
            "ssh_known_hosts_file": str(self.keys.known_hosts),
            "ssh_strict_host_key_checking": "yes",
        }

    # -- what happens to it

    def boot_id(self) -> str:
        return self.nsenter("cat /proc/sys/kernel/random/boot_id").stdout.strip()

    def on_reboot(self, *, returns: bool = True, delay: float = 0, release: str = "") -> None:
        """Say what the coming reboots lead to: never back, back after `delay` seconds, back with another kernel."""
        save(self.folder / "on-reboot.json", OnReboot(returns=returns, delay=delay, release=release))

    def reboot(self, seconds: float = BOOT_LIMIT) -> None:
        """Reboot from inside and wait for SSH in the next boot."""
        before = self.nspawn
        self.nsenter("systemctl reboot --no-block", check=False)
        wait_for(lambda: before is None or not before.alive, seconds, f"{self.name} to go down")
        self.wait_ssh(seconds)

    def cut(self) -> None:
        """Pull the network cable."""
        run(["ip", "link", "set", self.network.link(self.number), "down"])

    def mend(self) -> None:
        """Put the cable back."""
        run(["ip", "link", "set", self.network.link(self.number), "up"])

    def _reject(self, action: str) -> None:
        inside = ["ip", "netns", "exec", self.network.namespace(self.number), "iptables", "-w"]
        rule = ["INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT", "--reject-with", "tcp-reset"]
        run([*inside, action, *rule])

    def refuse_ssh(self) -> None:
        """Answer every connection to the SSH port with a reset."""
        self._reject("-I")

    def accept_ssh(self) -> None:
        self._reject("-D")

    def power_off(self) -> None:
        """Ask init to power off; the host stays down."""
        leader = self.leader
        if leader is not None:
            leader.signal(signal.SIGRTMIN + 4)
            wait_for(lambda: self.nspawn is None, 30, f"{self.name} to power off")
