"""The variant "with driver" of the base image: the packages that the plan names, from the archive, compiled natively.

DKMS would compile for more than an hour in an emulated guest. In a root folder on this machine it takes minutes, and
dkms builds for the kernels of that folder, whatever `uname -r` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploys.knowledge.distros.debian import DEBIAN_13
from deploys.plan.machine import Kernels, Machine
from deploys.plan.plan import make_plan
from deploys.plan.settings import Settings
from tests.vm.commands import VmError, run

if TYPE_CHECKING:
    from pathlib import Path

COMPONENTS = DEBIAN_13.components
# The kernel's release is known only when its package is there.
_UNKNOWN = "unknown-amd64"


def wanted(release: str) -> tuple[str, ...]:
    """All packages that the plan has for a guest that runs and will start kernel `release`, and gets the driver alone."""
    guest = Machine(kernels=Kernels(running=release, default=release))
    return make_plan(guest, Settings(profile="raw", cuda=None), DEBIAN_13).packages.wanted


# The headers of the very release come as a dependency of the package that follows the kernel's flavour.
PACKAGES = tuple(package for package in wanted(_UNKNOWN) if _UNKNOWN not in package)

# Debian's driver keeps nouveau out in two ways of its own: a block, and aliases that make udev choose nvidia alone.
# Without both, the guest is a host that has lost them: udev loads nouveau beside the driver.
BLOCK = "/etc/modprobe.d/nvidia-blacklists-nouveau.conf"
ALIASES = "/etc/modprobe.d/nvidia.conf"
_PREPARE = f"""
release=$(ls /lib/modules)
dkms autoinstall -k "$release"
rm {BLOCK}
sed -i "/^alias[[:space:]]*pci:/d" "$(readlink -e {ALIASES})"
if grep -rE "^[[:space:]]*(blacklist|install)[[:space:]]+nouveau" /etc/modprobe.d /usr/lib/modprobe.d; then exit 1; fi
update-initramfs -u -k "$release"
"""
HOOKS = (f"chroot \"$1\" sh -exc '{_PREPARE}'",)


def check(root: Path, release: str) -> None:
    """Raises VmError unless every wanted package is installed and the modules were compiled for `release`."""
    listing = run("chroot", str(root), "dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n").stdout
    installed = {line.split()[0] for line in listing.splitlines() if line.split()[1:] == ["ii"]}
    if lacking := sorted(set(wanted(release)) - installed):
        raise VmError(f"not installed in the image: {' '.join(lacking)}; look for them in the archive of the image")
    status = run("chroot", str(root), "dkms", "status", "-k", release).stdout
    name = "nvidia-current"
    built = [line for line in status.splitlines() if line.startswith(f"{name}/") and line.endswith(": installed")]
    modules = list((root / f"lib/modules/{release}/updates/dkms").glob("nvidia*.ko*"))
    if not built or not modules:
        logs = "\n".join(log.read_text(errors="replace")[-2000:] for log in (root / "var/lib/dkms").rglob("make.log"))
        raise VmError(
            f"dkms has no {name} for {release} in the image; `dkms status` says: {status or 'nothing'}\n{logs}"
        )
