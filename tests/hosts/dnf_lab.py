"""A host with dnf, the repositories that it installs from, and plans for it made by hand."""

from __future__ import annotations

import base64
import gzip
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deploys.operations import packages as operation
from deploys.plan.capabilities import Capability
from deploys.plan.files import FileChange
from deploys.plan.machine import Kernels, Machine, Package
from deploys.plan.plan import PackagePlan, Plan, make_plan
from deploys.plan.settings import Settings
from deploys.support.logged import start_command
from tests.bed import rpms
from tests.bed.host import Host
from tests.bed.rpms import DISTRO, OWNER, Rpm, RpmRepositories
from tests.bed.shell import run
from tests.plan.hosts import changed, debian_12_bare, distro_of

KEY, SOURCE = "/etc/pki/rpm-gpg/gpu-host-cuda.asc", "/etc/yum.repos.d/gpu-host-cuda.repo"
DRIVER = ("kmod-nvidia-open-dkms", "nvidia-driver-cuda", "nvidia-driver-cuda-libs", "nvidia-persistenced")
OTHER_FLAVOUR = ("kmod-nvidia-latest-dkms", *DRIVER[1:])
VERSIONS = ("580.126.09", "580.159.03", "595.45.04")
LIMIT = 300
# What DKMS does for the running kernel: the module of that version (base64 of it, packed) is built, installed and noted.
BUILD = """k=$(uname -r) d=/var/lib/dkms/nvidia/{version}/$k/x86_64
mkdir -p /usr/src/nvidia-{version} $d/module /lib/modules/$k/extra
echo 'BUILT_MODULE_NAME[0]=nvidia' >/usr/src/nvidia-{version}/dkms.conf
echo {module} | base64 -d | gzip -dc >$d/module/nvidia.ko
cp $d/module/nvidia.ko /lib/modules/$k/extra/"""
MODULE = 'const char i[] __attribute__((section(".modinfo"), used)) = "version={version}\\0vermagic=6.1 SMP";'
# What a careless package does: starts its service, builds a boot image.
SCRIPTLET = "systemctl enable --now stand-in.service || :\ndracut --force || :"


def module(version: str) -> str:
    """A kernel module that says nothing but its version, packed, as base64."""
    with TemporaryDirectory() as folder:
        run(["gcc", "-x", "c", "-c", "-", "-o", f"{folder}/nvidia.ko"], text_in=MODULE.format(version=version))
        return base64.b64encode(gzip.compress(Path(f"{folder}/nvidia.ko").read_bytes())).decode()


def driver(version: str) -> list[Rpm]:
    """A driver of one version in the shape of NVIDIA's, epoch and all."""
    full = f"3:{version}-1.el9"
    post = {"kmod-nvidia-open-dkms": BUILD.format(version=version, module=module(version))}
    kmods = ("kmod-nvidia-open-dkms", "kmod-nvidia-latest-dkms")
    return [
        *(
            Rpm(name, full, (f"Provides: nvidia-kmod = {full}", f"Conflicts: {other}"), post.get(name, ""))
            for name, other in (kmods, kmods[::-1])
        ),
        Rpm("nvidia-driver-cuda", full, (f"Requires: nvidia-driver-cuda-libs = {full}", "Requires: nvidia-kmod")),
        Rpm("nvidia-driver-cuda-libs", full, ("Recommends: recommended",)),
        Rpm("nvidia-persistenced", full, post=SCRIPTLET),
    ]


BASE = [
    Rpm("bash", "5.1.8-9.el9", ("Provides: /bin/sh",)),
    Rpm("openssh-server", "8.7p1-43.el9"),
    Rpm("kernel-core", "5.14.0-503.el9"),
    Rpm("tool", "1.0-1.el9"),
]
MORE = [
    Rpm("kernel-core", "9.0-1.el9"),
    Rpm("tool", "2.0-1.el9"),
    Rpm("recommended", "1-1.el9"),
    Rpm("removes-ssh", "1-1.el9", ("Conflicts: openssh-server",)),
    Rpm("needs-new-kernel", "1-1.el9", ("Requires: kernel-core = 9.0-1.el9",)),
    Rpm("slow", "1-1.el9", post="sleep 12"),
    Rpm("python3-dnf-plugin-versionlock", "4.3-1.el9", ("Provides: dnf-command(versionlock)",)),
]


@dataclass
class Lab:
    """A host of one family, and the repositories that it installs from; `modular`: the driver comes in streams."""

    host: Host
    manager: str
    repos: RpmRepositories

    @property
    def dnf(self) -> str:
        return "dnf" if self.manager == "dnf4" else "dnf5"

    @property
    def vendor(self) -> str:
        return "cuda-modular" if self.manager == "dnf4" else "cuda"

    def plan(self, wanted: PackagePlan) -> Plan:
        """A plan for this manager with these packages."""
        bare = debian_12_bare()
        plan = make_plan(bare, Settings(), distro_of(bare))
        distro = replace(plan.distro, manager=self.manager)
        return replace(plan, distro=distro, packages=wanted, capabilities=(Capability("headers"),))

    def now(self) -> Machine:
        listed = self.host.nsenter("rpm -qa --qf '%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE}\\n'").stdout.split("\n")
        rows = [line.replace("(none):", "").split() for line in listed if line]
        installed = {name: Package(name, version) for name, version in rows}
        kernels = Kernels(running=self.host.nsenter("uname -r").stdout.strip())
        return changed(debian_12_bare(), packages__installed=installed, kernels=kernels)

    def files(self, key: str | None, repo: str = "") -> list[FileChange]:
        text = f"[gpu-host-cuda]\nname=cuda (gpu-host)\nbaseurl={self.repos.url(repo or self.vendor)}\nenabled=1\n"
        text += f"gpgcheck=1\nrepo_gpgcheck=1\nskip_if_unavailable=1\ngpgkey=file://{KEY}\n"
        keys = [FileChange(KEY, self.repos.key(key), "")] if key else []
        return [*keys, FileChange(SOURCE, text, "")]

    def run(self, step: str, wanted: PackagePlan, files: Sequence[FileChange] = ()) -> subprocess.CompletedProcess[str]:
        """One step of the road: its script in its unit."""
        script = operation.script(self.plan(wanted), step, self.now(), files)
        name = {"rehearse": "rehearsal", "install": "transaction"}[step]
        command = start_command(name, LIMIT, may_stop=step == "rehearse")
        return self.host.ssh(command, text_in=script, check=False, timeout=LIMIT + 60)

    def both(self, wanted: PackagePlan, **options: str) -> None:
        """Rehearse and install; both must succeed."""
        files = self.files(options.get("key", OWNER))
        rehearsed = self.run("rehearse", wanted, files)
        assert rehearsed.returncode == 0, rehearsed.stderr
        for file in files:
            self.host.put(file.path, file.content)
        installed = self.run("install", wanted)
        assert installed.returncode == 0, installed.stderr

    def transactions(self) -> int:
        lines = self.host.nsenter(f"{self.dnf} history list").stdout.splitlines()
        return len([line for line in lines if line.split()[0].isdigit()])

    def locks(self) -> str:
        """The file with the locks of versions."""
        path = {"dnf4": "/etc/dnf/plugins/versionlock.list", "dnf5": "/etc/dnf/versionlock.toml"}[self.manager]
        return self.host.nsenter(f"cat {path}").stdout

    def packages(self) -> list[str]:
        return sorted(self.host.nsenter("rpm -qa").stdout.split())

    def state(self) -> Mapping[str, str]:
        """What a refusal must leave alone: packages and trusted keys, streams, locks, history, sources, key files."""
        files = "/etc/dnf /etc/yum.repos.d /etc/pki /var/lib/dnf/history* /boot"
        listed = self.host.nsenter(f"find {files} -type f 2>/dev/null | sort | xargs -r sha256sum").stdout
        lines = [line for line in listed.splitlines() if "-shm" not in line and "-wal" not in line]
        left = self.host.nsenter(
            "ls -A /var/lib/gpu-host 2>/dev/null; grep -c gpu-host-trial /proc/mounts", check=False
        )
        return {"packages": "\n".join(self.packages()), "files": "\n".join(lines), "left": left.stdout}


def driver_plan(branch: str, lab: Lab, names: tuple[str, ...] = DRIVER) -> PackagePlan:
    """The driver of a branch ("580") or version, held and, where there are streams, from its stream."""
    flavour = "open" if "kmod-nvidia-open-dkms" in names else "dkms"
    return PackagePlan(
        wanted=names,
        versions=dict.fromkeys(names, branch),
        same_version=names[:2],
        modules=names[:1] if flavour == "open" else (),
        stream=f"nvidia-driver:{branch[:3]}-{flavour}" if lab.manager == "dnf4" else "",
        holds=names,
    )


def stock(repos: RpmRepositories) -> None:
    """Build and sign everything: the vendor's repository with and without streams, and the distribution's own."""
    everything = [package for version in VERSIONS for package in driver(version)]
    streams = ""
    for branch in ("580", "595"):
        for flavour, other in (("open", "latest"), ("dkms", "open")):
            rows = [p for p in everything if f":{branch}." in p.version and f"nvidia-{other}-dkms" not in p.name]
            streams += rpms.stream("nvidia-driver", f"{branch}-{flavour}", rows)
    for name in ("cuda", "cuda-modular"):
        repos.build(name, everything, OWNER)
        repos.sign(name, OWNER, streams if name == "cuda-modular" else "")
    repos.build("base", [*BASE, *MORE], DISTRO)
    repos.sign("base", DISTRO)
