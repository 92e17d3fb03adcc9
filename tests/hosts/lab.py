"""A host with a package manager of its own, and plans for it made by hand: what the scripts of every manager are tried on."""

from __future__ import annotations

import base64
import gzip
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deploys.operations import packages as operation
from deploys.operations import removal
from deploys.operations.holds import script as hold_script
from deploys.plan.capabilities import Capability
from deploys.plan.files import FileChange
from deploys.plan.machine import Footprint, Kernels, Machine, Package, ProvenSet
from deploys.plan.plan import PackagePlan, Plan, make_plan
from deploys.plan.rollback import way_back
from deploys.plan.settings import Settings
from deploys.support.logged import start_command
from facts import holds
from facts.footprint import SUBJECT as FOOTPRINT
from facts.sections import split_sections
from facts.subject import build_command
from tests.bed.host import Host
from tests.bed.shell import run
from tests.plan.hosts import changed, debian_12_bare, distro_of

LIMIT = 300
# What DKMS does for the running kernel: the module of that version (base64 of it, packed) is built, installed and noted.
BUILD = """k=$(uname -r) d=/var/lib/dkms/nvidia/{version}/$k/x86_64
mkdir -p /usr/src/nvidia-{version} $d/module /lib/modules/$k/extra
echo 'BUILT_MODULE_NAME[0]=nvidia' >/usr/src/nvidia-{version}/dkms.conf
echo {module} | base64 -d | gzip -dc >$d/module/nvidia.ko
cp $d/module/nvidia.ko /lib/modules/$k/extra/"""
MODULE = 'const char i[] __attribute__((section(".modinfo"), used)) = "version={version}\\0vermagic=6.1 SMP";'


def build(version: str) -> str:
    """A scriptlet that brings a kernel module which says nothing but its version."""
    with TemporaryDirectory() as folder:
        run(["gcc", "-x", "c", "-c", "-", "-o", f"{folder}/nvidia.ko"], text_in=MODULE.format(version=version))
        module = base64.b64encode(gzip.compress(Path(f"{folder}/nvidia.ko").read_bytes())).decode()
    return BUILD.format(version=version, module=module)


@dataclass(frozen=True)
class Tool:
    """What a person types to a manager. `database`: lines "NAME VERSION" of all packages. `sources`: the folder of its sources.

    `locks` is the file with the locks of versions, `lock` and `unlock` change it; `history` counts the transactions so
    far; `files` are those that a refusal must leave alone, beside /boot.
    """

    manager: str
    cli: str
    database: str
    sources: str
    locks: str
    history: str
    files: str
    lock: str = ""
    unlock: str = ""


@dataclass
class Lab:
    """A host and its package manager."""

    host: Host
    tool: Tool
    proven: ProvenSet | None = field(default=None, kw_only=True)

    @property
    def manager(self) -> str:
        return self.tool.manager

    def type(self, words: str) -> str:
        """What a person types to the manager."""
        return self.host.nsenter(f"{self.tool.cli} {words}").stdout

    def plan(self, wanted: PackagePlan) -> Plan:
        """A plan for this manager with these packages."""
        bare = debian_12_bare()
        plan = make_plan(bare, Settings(), distro_of(bare))
        distro = replace(plan.distro, manager=self.manager)
        return replace(plan, distro=distro, packages=wanted, capabilities=(Capability("headers"),))

    def now(self) -> Machine:
        installed = {name: Package(name, version) for name, version in self.packages()}
        kernels = Kernels(running=self.host.nsenter("uname -r").stdout.strip())
        return changed(debian_12_bare(), packages__installed=installed, kernels=kernels, proven=self.proven)

    def run(self, step: str, wanted: PackagePlan, files: Sequence[FileChange] = ()) -> subprocess.CompletedProcess[str]:
        """One step of the road: its script in its unit."""
        script = operation.script(self.plan(wanted), step, self.now(), files)
        name = {"rehearse": "rehearsal", "install": "transaction"}[step]
        command = start_command(name, LIMIT, may_stop=step == "rehearse")
        return self.host.ssh(command, text_in=script, check=False, timeout=LIMIT + 60)

    def both(self, wanted: PackagePlan, files: Sequence[FileChange] = ()) -> None:
        """Rehearse and install; both must succeed."""
        rehearsed = self.run("rehearse", wanted, files)
        assert rehearsed.returncode == 0, rehearsed.stderr
        for file in files:
            self.host.put(file.path, file.content)
        installed = self.run("install", wanted)
        assert installed.returncode == 0, installed.stderr

    def refused(self, wanted: PackagePlan, files: Sequence[FileChange] = ()) -> str:
        """What the rehearsal says when it refuses; the host is as before."""
        before = self.state()
        done = self.run("rehearse", wanted, files)
        assert done.returncode == 1, done.stderr
        assert self.state() == before
        return done.stderr

    def hold(self, *names: str) -> None:
        """The script of holds, in its unit: these are ours afterwards, and no others."""
        done = self.host.ssh(start_command("holds", LIMIT), text_in=hold_script(self.manager, names), check=False)
        assert done.returncode == 0, done.stderr

    def holds(self) -> set[tuple[str, bool, str]]:
        """What the probe says of them: name, ours or not, since when."""
        text = self.host.ssh(build_command([holds.SUBJECT])).stdout
        return {(h.name, h.ours, h.since) for h in holds.parse(split_sections(text)["holds"].text)}

    def go_back(self) -> None:
        """To what was proven: rehearsed and installed."""
        for unit in ("rehearsal", "rollback"):
            done = self.back(unit)
            assert done.returncode == 0, done.stderr

    def back(self, unit: str) -> subprocess.CompletedProcess[str]:
        """One step of the way back to what was proven."""
        now = changed(self.now(), packages__manager=self.manager, docker__running=0)
        back = way_back(now, self.proven)
        assert back.why_not == ""
        text = operation.going_back(back, {"rehearsal": "rehearse", "rollback": "install"}[unit], now)
        return self.host.ssh(start_command(unit, LIMIT), text_in=text, check=False, timeout=LIMIT + 60)

    def footprint(self) -> Footprint:
        """What is ours on the host."""
        sections = split_sections(self.host.nsenter(build_command([FOOTPRINT])).stdout)
        return FOOTPRINT.parse(sections["footprint"].text)

    def remove(self, *, act: bool = True) -> subprocess.CompletedProcess[str]:
        """What came with us leaves, or it is only simulated."""
        script = removal.script(self.footprint(), self.manager, act=act)
        command = start_command("removal", LIMIT, may_stop=not act)
        return self.host.ssh(command, text_in=script, check=False, timeout=LIMIT + 60)

    def transactions(self) -> int:
        return int(self.host.nsenter(self.tool.history, check=False).stdout)

    def locks(self) -> str:
        """The text of the file with the locks of versions."""
        return self.host.nsenter(f"cat {self.tool.locks}").stdout

    def packages(self) -> list[tuple[str, str]]:
        """Name and version of every installed package, sorted."""
        rows = [
            line.replace("(none):", "").split() for line in self.host.nsenter(self.tool.database).stdout.splitlines()
        ]
        return sorted((name, version) for name, version in rows)

    def state(self) -> Mapping[str, str]:
        """What a refusal must leave alone: packages and trusted keys, streams, locks, history, sources, key files."""
        listed = self.host.nsenter(
            f"find {self.tool.files} /boot -type f 2>/dev/null | sort | xargs -r sha256sum"
        ).stdout
        lines = [line for line in listed.splitlines() if "-shm" not in line and "-wal" not in line]
        left = self.host.nsenter(
            "ls -A /var/lib/gpu-host 2>/dev/null; grep -c gpu-host-trial /proc/mounts", check=False
        )
        packages = "\n".join(f"{name} {version}" for name, version in self.packages())
        return {"packages": packages, "files": "\n".join(lines), "left": left.stdout}

    def refuses_to_take(self, package: str) -> None:
        """A removal that would take this package of somebody else is refused by its name, simulated or not, and changes nothing."""
        before = self.state()
        done = self.remove(act=False)
        assert done.returncode == 1
        assert f"packages that did not come with this toolkit need them and would leave too: {package}" in done.stderr
        assert self.remove().returncode == 1
        assert self.state() == before
