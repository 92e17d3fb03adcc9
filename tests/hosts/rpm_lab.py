"""dnf's and zypper's hosts, and the repositories that they install from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deploys.knowledge.paths import repository_files
from deploys.knowledge.vendors.keys import CUDA_RPM_2022
from deploys.knowledge.vendors.nvidia import repository
from deploys.plan.files import FileChange
from deploys.plan.plan import PackagePlan
from deploys.plan.repositories import source_text
from tests.bed import rpms
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
