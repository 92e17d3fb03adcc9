"""What the machine itself must have, and how it gets there."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bed.shell import environment, require_root, run

# program -> Debian package that brings it
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "gcc": "gcc",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "apt-ftparchive": "apt-utils",
    "gpg": "gpg",
    "gpg-agent": "gpg-agent",
    "gpgconf": "gpgconf",
    "dpkg-deb": "dpkg",
    "rpmbuild": "rpm",
    "rpmsign": "rpm",
    "createrepo_c": "createrepo-c",
    "nsenter": "util-linux",
    "chromium": "chromium",
}
FILES = {
    "/usr/include/stdio.h": "libc6-dev",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def missing_packages() -> list[str]:
    """Debian packages that this machine lacks, sorted."""
    path = environment()["PATH"]
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None}
    missing |= {package for file, package in FILES.items() if not Path(file).exists()}
    return sorted(missing)


def ensure_tools() -> None:
    """Install what is missing with apt-get; does nothing when all is there. Raises BedError."""
    require_root()
    missing = missing_packages()
    if not missing:
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "-q", "update"], timeout=300, env=quiet)
    run(
        ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends", *missing],
        timeout=900,
        env=quiet,
    )
