"""The pretend machine around a host: kernel identity, modules and devices, written anew before every boot."""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path

from tests.bed import pci
from tests.bed.cache import cache_folder, locked
from tests.bed.families import FAMILIES
from tests.bed.shell import run
from tests.bed.spec import Spec

SOURCE = Path(__file__).with_name("hostmask.c")
LIBRARY = "usr/lib/x86_64-linux-gnu/libhostmask.so"
STATE = "etc/hostmask"
HIDDEN = ("/sys/fs/cgroup/cgroup.events",)  # exists only below the top of the hierarchy: a container would show it
BASE_MODULES = ("ext4", "jbd2", "mbcache", "virtio_blk", "virtio_net")
# nouveau and what it needs, with their users, as lsmod shows them
NOUVEAU_MODULES = {
    "nouveau": "",
    "drm_ttm_helper": "nouveau,",
    "ttm": "nouveau,drm_ttm_helper,",
    "drm_kms_helper": "nouveau,",
    "drm": "nouveau,drm_kms_helper,drm_ttm_helper,ttm,",
}


def hostmask() -> Path:
    """The compiled disguise, made on first use and whenever its source changes. Raises BedError."""
    library = cache_folder() / "libhostmask.so"
    with locked(cache_folder() / "hostmask.lock"):
        if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
            making = library.with_suffix(".making")
            run(["gcc", "-O2", "-w", "-shared", "-fPIC", "-o", making, SOURCE, "-ldl"])
            making.rename(library)
    return library


def _release_key(release: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", release) if part]


def newest_kernel(root: Path) -> str:
    """Release of the newest kernel image in /boot, or beside its modules, of the root; "" when there is none."""
    releases = [path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-[0-9]*")]
    releases += [path.parent.name for path in (root / "usr/lib/modules").glob("*/vmlinuz")]
    return max(releases, key=_release_key, default="")


def image_version(root: Path, release: str) -> str:
    """What `uname -v` says under that kernel, from the image itself (boot protocol, field kernel_version)."""
    image = root / "boot" / f"vmlinuz-{release}"
    if not image.exists():
        return ""
    with image.open("rb") as file:
        head = file.read(0x8000)
    start = struct.unpack_from("<H", head, 0x20E)[0] + 0x200
    banner = head[start : start + 512].split(b"\0")[0].decode(errors="replace")
    return "#" + banner.partition("#")[2] if "#" in banner else ""


def blocks_nouveau(root: Path, arguments: str) -> bool:
    """True when modprobe.d(5) of the root, or the kernel command line, keeps udev from loading nouveau."""
    if re.search(r"(^| )(modprobe\.blacklist=(\S*,)?nouveau|module_blacklist=(\S*,)?nouveau)", arguments):
        return True
    pattern = re.compile(
        r"^\s*(blacklist\s+nouveau|install\s+nouveau\s+/\S*bin/(true|false)|alias\s+nouveau\s+off)\s*$", re.MULTILINE
    )
    files: dict[str, Path] = {}
    for folder in ("lib/modprobe.d", "usr/lib/modprobe.d", "run/modprobe.d", "etc/modprobe.d"):
        files.update({path.name: path for path in (root / folder).glob("*.conf")})
    return any(pattern.search(path.read_text(errors="replace")) for path in files.values() if path.is_file())


def nouveau_loads(root: Path, spec: Spec) -> bool:
    """Whether the coming boot ends with nouveau loaded."""
    if spec.nouveau != "udev":
        return spec.nouveau == "loaded"
    displays = [f for f in pci.SCENARIOS[spec.gpus] if f.is_display and f.vendor == 0x10DE]
    return bool(displays) and not blocks_nouveau(root, spec.kernel_arguments)


def write_modules(state: Path, *, nouveau: bool) -> None:
    """`state`/module, which is mounted over /sys/module, and the stand-in /proc/modules."""
    users = dict.fromkeys(BASE_MODULES, "")
    users["jbd2"] = users["mbcache"] = "ext4,"
    users.update(NOUVEAU_MODULES if nouveau else {})
    lines = []
    for name, names in users.items():
        count = names.count(",")
        home = state / "module" / name
        put(home / "initstate", "live\n")
        put(home / "refcnt", f"{count}\n")
        (home / "holders").mkdir()
        for holder in filter(None, names.split(",")):
            (home / "holders" / holder).symlink_to(f"../../{holder}")
        lines.append(f"{name} 1048576 {count} {names or '-'} Live 0x0000000000000000\n")
    put(state / "root/proc/modules", "".join(lines))


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_identity(root: Path, spec: Spec, release: str) -> None:
    """Everything below /etc/hostmask but the module list."""
    state = root / STATE
    if state.exists():
        shutil.rmtree(state)
    family = FAMILIES[spec.suite]
    version = spec.version or family.version or image_version(root, release) or "#1 SMP PREEMPT_DYNAMIC Debian"
    put(state / "uname", f"{release}\n{version}\n{spec.machine}\n")
    banner = f"Linux version {release} {family.compiler} {version}\n"
    files = {
        "/proc/version": banner,
        "/proc/sys/kernel/osrelease": f"{release}\n",
        "/proc/sys/kernel/version": f"{version}\n",
        "/proc/cmdline": f"BOOT_IMAGE=/{family.image.kernel.format(release=release)} root=LABEL=root {spec.kernel_arguments}\n",
        "/proc/1/environ": "HOME=/\0TERM=linux\0",
        **spec.stand_ins,
    }
    for path, text in files.items():
        put(state / "root" / path.lstrip("/"), text)
    for path in (*HIDDEN, *spec.hidden):
        put(state / "hidden" / path.lstrip("/"), "")
    for module, texts in spec.on_load.items():
        for path, text in texts.items():
            put(state / "on-load" / module / path.lstrip("/"), text)
    for module, number in spec.refuse.items():
        put(state / "refuse" / module, f"{number}\n")


def prepare_boot(root: Path, bus: Path, spec: Spec) -> None:
    """Write the world for the coming boot: the PCI bus at `bus` and, in disguise, /etc/hostmask."""
    nouveau = nouveau_loads(root, spec)
    driver = spec.gpu_driver or ("nouveau" if nouveau else "")
    pci.write_bus(bus, pci.functions(spec.gpus, driver))
    if spec.disguise:
        write_identity(root, spec, spec.release or newest_kernel(root))
        write_modules(root / STATE, nouveau=nouveau)
