"""What the packages of a plan would bring, as harmless stand-ins by their real names: programs that answer, units that run.

The module of a driver package is a file that modinfo reads and no kernel takes; the builder of it is the package's own scriptlet.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bed import stubs
from tests.bed.pack import Package
from tests.bed.shell import run

_MODULE = 'const char i[] __attribute__((section(".modinfo"), used)) = "version={version}\\0vermagic={kernel} SMP mod_unload ";'
# As DKMS leaves it: a build, the link that says installed, and the module.
_BUILD = """v={version} k={kernel}
d=/var/lib/dkms/nvidia/$v/$k/x86_64
rm -rf /var/lib/dkms/nvidia/$v
mkdir -p /usr/src/nvidia-$v $d/module /lib/modules/$k/updates/dkms
echo 'BUILT_MODULE_NAME[0]=nvidia' >/usr/src/nvidia-$v/dkms.conf
echo {module} | base64 -d | gzip -dc >$d/module/nvidia.ko
cp $d/module/nvidia.ko /lib/modules/$k/updates/dkms/
rm -f /var/lib/dkms/nvidia/kernel-$k-x86_64
ln -s $v/$k/x86_64 /var/lib/dkms/nvidia/kernel-$k-x86_64
depmod $k
"""
_UNBUILD = "rm -rf /var/lib/dkms/nvidia/{version} /usr/src/nvidia-{version} /var/lib/dkms/nvidia/kernel-*"
_DKMS = """#!/bin/sh
# stand-in: reads the tree
for d in /var/lib/dkms/*/*/*/*/; do
    [ -d "$d" ] || continue
    IFS=/ read -r _ _ _ _ module version kernel arch _ <<EOF
$d
EOF
    echo "$module/$version, $kernel, $arch: installed"
done
"""
_DOCKER = """#!/bin/sh
# stand-in
runtimes='"runc":1'
grep -q '"nvidia"' /etc/docker/daemon.json 2>/dev/null && runtimes="$runtimes,\\"nvidia\\":1"
case "$*" in
--version) echo "Docker version 29.5.1, build 0000000" ;;
compose\\ version*) echo "Docker Compose version v2.40.3" ;;
*info*) echo '{"ServerVersion":"29.5.1","DefaultRuntime":"runc","CgroupDriver":"systemd","ContainersRunning":0,"LiveRestoreEnabled":false,"Runtimes":{'"$runtimes"',"":0}}' ;;
*) echo "stand-in: no $*" >&2; exit 1 ;;
esac
"""
_UNIT = """[Unit]
Description={name} (stand-in)

[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/true

[Install]
WantedBy=multi-user.target
"""
_SMI = """#!/bin/sh
echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running."
exit 9
"""
_NVCC = '#!/bin/sh\necho "Cuda compilation tools, release {version}, V{version}.88"\n'
_UNITS = "/usr/lib/systemd/system"

_DOCKER_UNIT = {f"{_UNITS}/docker.service": _UNIT.format(name="docker")}
_CONTAINERD_UNIT = {f"{_UNITS}/containerd.service": _UNIT.format(name="containerd")}
_CLIENT = {"/usr/bin/docker": _DOCKER}
_PROGRAMS: Mapping[str, Mapping[str, str]] = {
    "docker-ce": _DOCKER_UNIT,
    "containerd.io": _CONTAINERD_UNIT,
    "docker-ce-cli": _CLIENT,
    "docker": {**_DOCKER_UNIT, **_CONTAINERD_UNIT, **_CLIENT},
    "nvidia-container-toolkit": {
        "/usr/bin/nvidia-container-runtime": stubs.RUNTIME,
        "/usr/bin/nvidia-ctk": stubs.CTK.format(upstream="1.19.5"),
    },
}

# Which package of a driver brings nvidia-smi, and which one the persistence daemon.
_SMI_IN = ("nvidia-driver-cuda", "nvidia-utils-580", "nvidia-utils", "nvidia-compute-utils-G07", "libnvidia-compute")
_DAEMON_IN = ("nvidia-persistenced", "nvidia-compute-utils-580", "nvidia-utils")
_MODULES = (
    "kmod-nvidia-latest-dkms",
    "kmod-nvidia-open-dkms",
    "nvidia-dkms",
    "nvidia-dkms-580",
    "nvidia-dkms-open",
    "nvidia-dkms-580-open",
    "nvidia-open-dkms",
)
_COMPILED = "nvidia-open-driver-G07-signed-cuda-kmp-default"


@cache
def module(version: str, kernel: str) -> str:
    """The bytes of such a module: packed, as base64."""
    text = _MODULE.format(version=version, kernel=kernel)
    with TemporaryDirectory() as folder:
        run(["gcc", "-x", "c", "-c", "-", "-o", f"{folder}/nvidia.ko"], text_in=text)
        return base64.b64encode(gzip.compress(Path(f"{folder}/nvidia.ko").read_bytes())).decode()


def driver(names: Iterable[str], version: str, kernel: str, prefix: str = "") -> list[Package]:
    """The packages of a driver; `prefix` is the epoch that the vendor gives them ("3:")."""
    built_for = f"_k{kernel.split('-', maxsplit=1)[0]}"
    return [_driver(name, f"{prefix}{version}{built_for if name == _COMPILED else ''}-1", kernel) for name in names]


def _driver(name: str, version: str, kernel: str) -> Package:
    package = Package(name, version)
    files: dict[str, str | bytes] = {}
    if name in _SMI_IN:
        files["/usr/bin/nvidia-smi"] = _SMI
        files[f"/usr/lib64/libcuda.so.{package.upstream}"] = "stand-in\n"
    if name in _DAEMON_IN:
        files[f"{_UNITS}/nvidia-persistenced.service"] = _UNIT.format(name="nvidia-persistenced")
    if name == _COMPILED:
        ready = gzip.decompress(base64.b64decode(module(version.split("_", maxsplit=1)[0], kernel)))
        files[f"/usr/lib/modules/{kernel}/updates/nvidia.ko"] = ready
        package = replace(package, post=f"depmod {kernel}\n")
    if name in _MODULES:
        words = {"version": package.upstream, "kernel": kernel}
        post = _BUILD.format(module=module(package.upstream, kernel), **words)
        package = replace(package, post=post, pre_remove=_UNBUILD.format(**words))
    return replace(package, files=files)


def other(name: str, version: str, kernel: str) -> Package:
    """Any other package of a plan."""
    files: dict[str, str | bytes] = {}
    links: dict[str, str] = {}
    if kernel in name or name in ("linux-headers", "kernel-default-devel"):
        files[f"/usr/src/headers-{kernel}/Makefile"] = "# stand-in\n"
        links[f"/usr/lib/modules/{kernel}/build"] = f"/usr/src/headers-{kernel}"
    elif name == "dkms":
        files["/usr/bin/dkms"] = _DKMS
    elif name.startswith("cuda"):
        numbers = name.removeprefix("cuda-toolkit-").split("-") if "toolkit" in name else version.split(".")[:2]
        folder = f"/usr/local/cuda-{'.'.join(numbers)}" if "toolkit" in name else "/opt/cuda"
        files[f"{folder}/bin/nvcc"] = _NVCC.format(version=".".join(numbers))
        files[f"{folder}/lib64/libcudart.so"] = ""
    else:
        files |= _PROGRAMS.get(name, {})
    return Package(name, version, files=files, links=links)
