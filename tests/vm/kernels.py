"""The variant "kernels" of the base image: a driver that is a stand-in, built by the real dkms, and a second kernel that waits.

The module named nvidia does what the toolkit looks at: it builds for a kernel, loads, and says its version. What NVIDIA's packages bring beside
it are packages of the same names, with the tests' CUDA in them. So a whole run ends with a proof that holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deploys.knowledge.paths import NOUVEAU_BLOCK
from deploys.plan.files import NOUVEAU_TEXT
from tests.bed.pack import Package, build_deb
from tests.bed.standins import _UNIT as UNIT
from tests.vm.commands import run

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "550.163.01"
# Both flavours are made from the same source, so the second one comes with the same version, and sorts behind the first.
PACKAGES = ("linux-headers-amd64", "dkms", "gcc", "make", "python3")
WAITING = "/var/lib/gpu-host-vm"
# Where this file is, the module does not build.
BROKEN = "/etc/gpu-host-vm-broken"
FILES = {NOUVEAU_BLOCK.lstrip("/"): NOUVEAU_TEXT}

_SOURCE = f"""\
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
static int show(struct seq_file *file, void *unused)
{{
    seq_puts(file, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {VERSION}  Tue Apr  8 12:41:17 UTC 2025\\n");
    return 0;
}}
static int __init start(void)
{{
    /* A folder per GPU: by their number the nodes are made. */
    if (!proc_mkdir("driver/nvidia", NULL) || !proc_mkdir("driver/nvidia/gpus", NULL) ||
        !proc_mkdir("driver/nvidia/gpus/0000:41:00.0", NULL) || !proc_mkdir("driver/nvidia/gpus/0000:41:01.0", NULL))
        return -ENOMEM;
    return proc_create_single("driver/nvidia/version", 0444, NULL, show) ? 0 : -ENOMEM;
}}
static void __exit stop(void) {{ remove_proc_subtree("driver/nvidia", NULL); }}
module_init(start);
module_exit(stop);
MODULE_LICENSE("GPL");
MODULE_VERSION("{VERSION}");
"""
_MAKEFILE = f"ifneq ($(wildcard {BROKEN}),)\n$(error the stand-in does not build)\nendif\nobj-m := nvidia.o fakepci.o\n"
_DKMS = (
    f'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="{VERSION}"\nAUTOINSTALL="yes"\n'
    'BUILT_MODULE_NAME[0]="nvidia"\nDEST_MODULE_LOCATION[0]="/updates"\n'
    'BUILT_MODULE_NAME[1]="fakepci"\nDEST_MODULE_LOCATION[1]="/updates"\n'
)
_NODES = """#!/bin/sh
# stand-in: the nodes that the arguments name
while [ $# -gt 0 ]; do
    case $1 in
    -u) [ -e /dev/nvidia-uvm ] || mknod -m 666 /dev/nvidia-uvm c 1 3; exit 0 ;;
    -c) shift; n=/dev/nvidia$1; [ "$1" != 255 ] || n=/dev/nvidiactl; [ -e "$n" ] || mknod -m 666 "$n" c 1 3 ;;
    esac
    shift
done
"""
_SMI = f"""#!/bin/sh
# stand-in
[ -e /proc/driver/nvidia/version ] || exit 9
i=0
for d in /sys/bus/pci/devices/0000:41:*; do [ -e "$d" ] && echo "$i, stand-in, {VERSION}"; i=$((i + 1)); done
"""
_LIBRARIES = "/usr/lib/x86_64-linux-gnu"


def standins(work: Path, fakepci: Path) -> list[Path]:
    """The packages of the stand-in driver."""
    library = work / "libcuda.so"
    cuda = Path(__file__).parents[1] / "bed/programs/libcuda.c"
    run("gcc", "-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", "-o", str(library), str(cuda))
    source = f"/usr/src/nvidia-{VERSION}"
    files: Mapping[str, Mapping[str, str | bytes]] = {
        "nvidia-kernel-dkms": {
            f"{source}/dkms.conf": _DKMS,
            f"{source}/Makefile": _MAKEFILE,
            f"{source}/nvidia.c": _SOURCE,
            f"{source}/fakepci.c": (fakepci / "fakepci.c").read_text(),
        },
        "libcuda1": {f"{_LIBRARIES}/libcuda.so.{VERSION}": library.read_bytes()},
        "libnvidia-ml1": {f"{_LIBRARIES}/libnvidia-ml.so.{VERSION}": ""},
        "libnvidia-cfg1": {},
        "nvidia-smi": {"/usr/bin/nvidia-smi": _SMI},
        "nvidia-modprobe": {"/usr/bin/nvidia-modprobe": _NODES},
        "nvidia-persistenced": {
            "/usr/lib/systemd/system/nvidia-persistenced.service": UNIT.format(name="nvidia-persistenced")
        },
    }
    links = {"libcuda1": {f"{_LIBRARIES}/libcuda.so.1": f"libcuda.so.{VERSION}"}}
    return [
        build_deb(Package(name, f"{VERSION}-2", files=content, links=links.get(name, {})), work)
        for name, content in files.items()
    ]


# With the root as $1: the stand-ins, their module for the kernel that starts, and the second kernel's package beside them.
_INSTALL = f"""
dpkg --install {WAITING}/*.deb
dkms add nvidia/{VERSION}
release=$(ls /boot | sed -n "s/^vmlinuz-//p")
dkms install -k "$release" nvidia/{VERSION}
rm {WAITING}/*.deb
ldconfig
"""
# Headers need their kernel's image, so both wait; what is common to both flavours is there already.
_FETCH = (
    f'cd "$1"{WAITING} && release=$(ls "$1"/boot | sed -n "s/^vmlinuz-\\(.*\\)amd64/\\1cloud-amd64/p") && '
    'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -o APT::Sandbox::User=root download '
    '"linux-image-$release" "linux-headers-$release"'
)


def hooks(folder: Path) -> tuple[str, ...]:
    """`folder` holds the stand-ins' packages."""
    return (
        f'mkdir -p "$1"{WAITING}',
        f"sync-in {folder} {WAITING}",
        f"chroot \"$1\" sh -exc '{_INSTALL}'",
        _FETCH,
    )
