"""What the machine itself must have, and how it gets there."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.bed.shell import BedError, environment, require_root, run

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


# Tests of several processes begin at the same time, and apt-get waits for no other `update`.
LOCK = Path("/run/lock/gpu-host-test-tools.lock")


def missing_packages(programs: Mapping[str, str] = PROGRAMS, files: Mapping[str, str] = FILES) -> list[str]:
    """Debian packages that this machine lacks, sorted. Both arguments: what must be there -> the package that brings it."""
    path = environment()["PATH"]
    missing = {package for program, package in programs.items() if shutil.which(program, path=path) is None}
    missing |= {package for file, package in files.items() if not Path(file).exists()}
    return sorted(missing)


def ensure_tools(programs: Mapping[str, str] = PROGRAMS, files: Mapping[str, str] = FILES) -> None:
    """Install what is missing with apt-get; does nothing when all is there. Raises BedError."""
    require_root()
    if not missing_packages(programs, files):
        return
    if shutil.which("apt-get") is None:
        lacking = " ".join(missing_packages(programs, files))
        raise BedError(f"missing, and there is no apt-get here to install it with: {lacking}; install it by hand")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if missing := missing_packages(programs, files):
            run([*apt, "update"], timeout=300, env=quiet)
            run([*apt, "install", "--no-install-recommends", *missing], timeout=900, env=quiet)
