"""dnf's and zypper's hosts, and the repositories that they install from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from deploys.knowledge.paths import repository_files
from deploys.knowledge.vendors.keys import CUDA_RPM_2022
from deploys.knowledge.vendors.nvidia import repository
from deploys.plan.files import FileChange
from deploys.plan.plan import PackagePlan
from deploys.plan.repositories import source_text
from tests.bed import rpms
from tests.bed.host import Host
from tests.bed.rpms import DISTRO, OWNER, Rpm, RpmRepositories
from tests.hosts.lab import Lab, Tool, build

DISTRO_KEY = "/etc/pki/rpm-gpg/distro"
DRIVER = ("kmod-nvidia-open-dkms", "nvidia-driver-cuda", "nvidia-driver-cuda-libs", "nvidia-persistenced")
OTHER_FLAVOUR = ("kmod-nvidia-latest-dkms", *DRIVER[1:])
VERSIONS = ("580.126.09", "580.159.03", "595.45.04")
# What a careless package does: starts its service, builds a boot image.
SCRIPTLET = "systemctl enable --now stand-in.service || :\ndracut --force || :"


def driver(version: str) -> list[Rpm]:
    """A driver of one version in the shape of NVIDIA's, epoch and all."""
    full = f"3:{version}-1.el9"
    post = {"kmod-nvidia-open-dkms": build(version)}
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
    # A tool of the plan with two libraries, and what an administrator adds: a tool on a library of ours, and one on the tool itself.
    Rpm("gpu-tool", "1.0-1.el9", ("Requires: gpu-library", "Requires: gpu-shared")),
    Rpm("gpu-library", "1.0-1.el9"),
    Rpm("gpu-shared", "1.0-1.el9"),
    Rpm("admins-tool", "1.0-1.el9", ("Requires: gpu-shared",)),
    Rpm("admins-script", "1.0-1.el9", ("Requires: gpu-tool",)),
    Rpm("python3-dnf-plugin-versionlock", "4.3-1.el9", ("Provides: dnf-command(versionlock)",)),
]


_RPM = "rpm -qa --qf '%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE}\\n'"
_FILES = "/etc/dnf /etc/yum.repos.d /etc/zypp /etc/pki /var/lib/dnf/history*"
TOOLS = {
    "rocky": Tool(
        "dnf4", "dnf -y", _RPM, "/etc/yum.repos.d", "/etc/dnf/plugins/versionlock.list",
        "dnf history list | grep -c '^ *[0-9]'", _FILES, "dnf versionlock add", "dnf versionlock delete",
    ),
    "fedora": Tool(
        "dnf5", "dnf5 -y", _RPM, "/etc/yum.repos.d", "/etc/dnf/versionlock.toml",
        "dnf5 history list | grep -c '^ *[0-9]'", _FILES, "dnf5 versionlock add", "dnf5 versionlock delete",
    ),
    "leap": Tool(
        "zypper", "zypper --non-interactive", _RPM, "/etc/zypp/repos.d", "/etc/zypp/locks",
        "grep -c '|command|' /var/log/zypp/history", _FILES, "zypper addlock", "zypper removelock",
    ),
}  # fmt: skip


@dataclass
class RpmLab(Lab):
    """A host of the family, and its repositories."""

    repos: RpmRepositories

    @property
    def vendor(self) -> str:
        return "cuda-modular" if self.manager == "dnf4" else "cuda"

    def files(self, key: str | None, repo: str = "") -> list[FileChange]:
        """Key and source of the vendor as the product writes them; the index is signed as well."""
        vendor = replace(repository("rhel9", CUDA_RPM_2022, kind="rpm"), signed_index=True)
        place, source = repository_files(self.manager, vendor.name)
        text = source_text(self.manager, vendor, self.repos.url(repo or self.vendor), place)
        keys = [FileChange(place, self.repos.key(key), "")] if key else []
        return [*keys, FileChange(source, f"{text}skip_if_unavailable=1\n" if self.manager != "zypper" else text, "")]

    @contextmanager
    def away(self) -> Iterator[None]:
        """The vendor's repository is not there."""
        folder = self.repos.folder / "www" / self.vendor
        elsewhere = folder.rename(folder.with_name("away"))
        try:
            yield
        finally:
            elsewhere.rename(folder)

    @contextmanager
    def unsigned(self, file: str, package: Rpm) -> Iterator[None]:
        """A kept file gives way to one of the same name and version that nobody has signed."""
        place = self.host.root / "var/lib/gpu-host/kept" / file
        good = place.read_bytes()
        place.write_bytes(rpms.build(package, self.repos.folder).read_bytes())
        try:
            yield
        finally:
            place.write_bytes(good)


def start(host: Host, tool: Tool, repos: RpmRepositories) -> RpmLab:
    """The host takes its packages from our repositories; what DKMS and the builder of boot images do is noted, not done."""
    lab = RpmLab(host, tool, repos)
    host.nsenter(f"rm -f {tool.sources}/*.repo; mkdir -p /etc/pki/rpm-gpg")
    # A plugin that Debian's dnf brings along; it needs createrepo_c on the host.
    host.nsenter("sed -i 's/^enabled *=.*/enabled = 0/' /etc/dnf/*plugins/local.conf", check=False)
    host.put(DISTRO_KEY, repos.key(DISTRO))
    host.nsenter(f"rpm --import {DISTRO_KEY}")
    text = f"[base]\nname=base\nbaseurl={repos.url('base')}\nenabled=1\ngpgcheck=1\ngpgkey=file://{DISTRO_KEY}\n"
    host.put(f"{tool.sources}/base.repo", text)
    unit = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
    host.put("/usr/lib/systemd/system/stand-in.service", unit)
    host.put("/usr/sbin/dkms", "#!/bin/sh\necho 'nvidia, x86_64: installed'\n", 0o755)
    host.put("/usr/bin/dracut", '#!/bin/sh\necho "$*" >>/boot/images\n', 0o755)
    glue = "=" if lab.manager == "zypper" else "-"
    lacking = [p for p in BASE if host.nsenter(f"rpm -q {p.name}", check=False).returncode]
    host.nsenter("systemctl daemon-reload")
    lab.type("install " + " ".join(f"{p.name}{glue}{p.version}" for p in lacking))
    return lab


def driver_plan(branch: str, lab: RpmLab, names: tuple[str, ...] = DRIVER) -> PackagePlan:
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
