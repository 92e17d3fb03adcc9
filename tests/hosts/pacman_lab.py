"""An Arch host, and the signed repository that it installs from: a folder on the host itself, as a mirror's copy would be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.bed import repository
from tests.bed.host import Host
from tests.bed.pack import Package, build_arch
from tests.bed.rpms import DISTRO, STRANGER
from tests.bed.shell import run
from tests.hosts.lab import Lab, Tool, build

REPOSITORY = "srv/extra"
CONF = "/etc/pacman.conf"
PACMAN = Tool(
    manager="pacman",
    cli="pacman --noconfirm",
    database="pacman -Q",
    sources="/etc",
    locks=CONF,
    history="grep -c 'transaction started' /var/log/pacman.log",
    files=f"{CONF} /etc/pacman.d/mirrorlist /var/lib/pacman/sync /var/log/pacman.log",
)
# What a careless package does: starts its service, builds a boot image.
SCRIPTLET = "systemctl enable --now stand-in.service || :\nmkinitcpio -P || :"


def driver(version: str, modules: str = "nvidia-open-dkms") -> list[Package]:
    """A driver of one version in the shape of Arch's: modules and libraries."""
    series = f"-{version.split('.', maxsplit=1)[0]}xx" if "xx" in modules else ""
    utils = f"nvidia{series}-utils"
    legacy = ("nvidia-utils",) if series else ()
    other = ("NVIDIA-MODULE",)
    return [
        Package(modules, f"{version}-1", (f"{utils}={version}",), other, other, post=build(version)),
        Package(utils, f"{version}-1", provides=legacy, conflicts=legacy, post=SCRIPTLET),
    ]


MORE = [
    Package("linux-lts", "6.12.60-1"),
    Package("needs-another-kernel", "1-1", ("linux-lts",)),
    Package("removes-ssh", "1-1", conflicts=("openssh",)),
    Package("tool", "1.0-1"),
    Package("slow", "1-1", post="sleep 12"),
    Package("needs-driver", "1-1", ("nvidia-580xx-utils",)),
]


@dataclass
class PacmanLab(Lab):
    """The host and the keys of its repository, in a GnuPG home of the tests' own."""

    home: Path

    def offer(self, packages: Iterable[Package], signer: str = DISTRO) -> None:
        """Put packages into the repository, in place of older ones of that name; the host has not seen its index yet."""
        folder = self.host.root / REPOSITORY
        folder.mkdir(parents=True, exist_ok=True)
        made = [build_arch(package, folder) for package in packages]
        for path in made:
            repository.gpg(self.home, "--local-user", f"={signer}", "--detach-sign", "--output", f"{path}.sig", path)
        names = " ".join(path.name for path in made)
        self.host.nsenter(f"cd /{REPOSITORY} && repo-add -q -R extra.db.tar.gz {names}")

    def sign(self, name: str, signer: str) -> None:
        """Put the signature of `signer` under the package of that name."""
        (path,) = (p for p in (self.host.root / REPOSITORY).glob(f"{name}-[0-9]*.gz"))
        repository.gpg(self.home, "--local-user", f"={signer}", "--detach-sign", "--output", f"{path}.sig", path)


def trust(host: Host) -> PacmanLab:
    """Make the keys, trust the distribution's, and name its repository, which is empty yet."""
    home = Path(mkdtemp(prefix="bed-gpg-"))
    for owner in (DISTRO, STRANGER):
        repository.gpg(home, "--passphrase", "", "--quick-gen-key", owner, "rsa2048", "sign", "never")
    host.put("/root/distro.asc", repository.gpg(home, "--armor", "--export", f"={DISTRO}"))
    key = repository.fingerprint(home, DISTRO)
    host.nsenter(f"pacman-key --init && pacman-key --add /root/distro.asc && pacman-key --lsign-key {key}", timeout=300)
    host.nsenter(f"printf '[extra]\\nServer = file:///{REPOSITORY}\\n' >>{CONF}")
    return PacmanLab(host, PACMAN, home)


def start(host: Host) -> PacmanLab:
    """A host whose repository has two drivers; what DKMS and the builder of boot images do is noted, not done."""
    lab = trust(host)
    installed = [Package(name, version) for name, version in lab.packages()]
    lab.offer([*installed, *driver("615.71.09"), *driver("580.159.03", "nvidia-580xx-dkms"), *MORE])
    host.put(
        "/usr/lib/systemd/system/stand-in.service",
        "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
    )
    host.put("/usr/bin/dkms", "#!/bin/sh\necho 'nvidia, x86_64: installed'\n", 0o755)
    host.put("/usr/bin/mkinitcpio", '#!/bin/sh\necho "$*" >>/boot/images\n', 0o755)
    host.nsenter("systemctl daemon-reload")
    return lab


def stop(lab: PacmanLab) -> None:
    """End the keys' agent and delete them."""
    run(["gpgconf", "--homedir", lab.home, "--kill", "all"], check=False)
    run(["rm", "-rf", lab.home])
