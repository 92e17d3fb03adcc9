"""Distribution, platform, boot, PCI, nouveau, file systems: recorded outputs and stand-in roots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploys.plan.machine import Boot, Distribution, Filesystem, Nouveau, PciDevice, Platform
from facts import boot, distribution, filesystems, gpu, nouveau, platform
from tests.parse.host import link, program, read_root, write

if TYPE_CHECKING:
    from pathlib import Path

ROCKY = """NAME="Rocky Linux"
VERSION="9.5 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.5"
PRETTY_NAME="Rocky Linux 9.5 (Blue Onyx)"
"""


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        (
            "/etc/os-release",
            ROCKY,
            Distribution("rocky", "9.5", None, ("rhel", "centos", "fedora"), "Rocky Linux 9.5 (Blue Onyx)"),
        ),
        ("/etc/os-release", "ID=arch\nNAME='Arch Linux'\n", Distribution("arch", name="Arch Linux")),
        ("/usr/lib/os-release", 'ID=x\nPRETTY_NAME="a \\"b\\" $c"\n', Distribution("x", name='a "b" $c')),
        (
            "/etc/redhat-release",
            "CentOS release 6.10 (Final)\n",
            Distribution("centos", "6.10", name="CentOS release 6.10 (Final)"),
        ),
        ("/etc/os-release", "ID=\nVERSION_ID\n=3\n", Distribution()),
    ],
)
def test_distribution(tmp_path: Path, path: str, content: str, expected: Distribution) -> None:
    write(tmp_path, path, content)
    assert read_root(distribution.SUBJECT, tmp_path) == expected


def _plain_host(root: Path) -> str:
    """A bare-metal root; returns a PATH with its systemd-detect-virt."""
    write(root, "/proc/mounts", "/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n")
    write(root, "/proc/1/environ", b"HOME=/\0TERM=linux\0")
    write(root, "/proc/1/comm", "systemd\n")
    write(root, "/proc/1/cgroup", "0::/init.scope\n")
    write(root, "/proc/filesystems", "nodev\toverlay\n\text4\n")
    write(root, "/proc/sys/kernel/osrelease", "6.1.0-50-amd64\n")
    write(root, "/etc/os-release", "ID=debian\n")
    (root / "run/systemd/system").mkdir(parents=True)
    (root / "sys/firmware").mkdir(parents=True)
    return program(root, "systemd-detect-virt", "echo none; exit 1")


def _platform(root: Path, path: str) -> Platform:
    record = read_root(platform.SUBJECT, root, path)
    assert isinstance(record, Platform)
    return record


def test_an_ordinary_machine_is_known_to_be_one(tmp_path: Path) -> None:
    found = _platform(tmp_path, _plain_host(tmp_path))
    assert (found.container, found.immutable, found.wsl, found.virtualisation) == ("", "", False, "none")
    assert (found.efi, found.secure_boot, found.init, found.overlayfs) == (False, False, "systemd", True)


@pytest.mark.parametrize(
    ("path", "content", "field", "expected"),
    [
        ("/run/systemd/container", "systemd-nspawn\n", "container", "systemd-nspawn"),
        ("/proc/1/environ", "HOME=/\0container=lxc\0", "container", "lxc"),
        ("/proc/1/cgroup", "11:cpu:/kubepods/besteffort/pod1/abc\n", "container", "kubepods"),
        ("/.dockerenv", "", "container", "docker"),
        ("/proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n", "wsl", True),
        ("/run/systemd/container", "wsl\n", "container", ""),
        ("/run/ostree-booted", "", "immutable", "ostree"),
        ("/etc/os-release", 'ID="flatcar"\n', "immutable", "flatcar"),
        ("/proc/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/sda2 /usr ext4 ro,nodev 0 0\n", "immutable", "read-only /usr"),
        ("/proc/mounts", "/dev/sda1 / ext4 ro 0 0\n/dev/sda2 /usr ext4 rw 0 0\n", "immutable", ""),
        ("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n", "lockdown", "integrity"),
        ("/proc/1/comm", "init\n", "init", "init"),
    ],
)
def test_what_makes_a_machine_special(tmp_path: Path, path: str, content: str, field: str, expected: object) -> None:
    stubs = _plain_host(tmp_path)
    write(tmp_path, path, content)
    assert getattr(_platform(tmp_path, stubs), field) == expected


EFI = "/sys/firmware/efi/efivars"


@pytest.mark.parametrize(
    ("secure_boot", "shim", "expected"),
    [
        (b"\x06\0\0\0\x01", None, True),
        (b"\x06\0\0\0\0", None, False),
        (b"\x06\0\0\0\x01", b"\x06\0\0\0\x01", False),
        (None, None, None),
    ],
)
def test_secure_boot(tmp_path: Path, secure_boot: bytes | None, shim: bytes | None, expected: bool | None) -> None:
    stubs = _plain_host(tmp_path)
    (tmp_path / EFI.lstrip("/")).mkdir(parents=True)
    if secure_boot is not None:
        write(tmp_path, f"{EFI}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", secure_boot)
    if shim is not None:
        write(tmp_path, f"{EFI}/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23", shim)
    found = _platform(tmp_path, stubs)
    assert (found.efi, found.secure_boot) == (True, expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cgroup2fs 63677270", 2),
        ("UNKNOWN 63677270", 2),
        ("tmpfs 1021994", 1),
        ("cgroupfs 27e0eb", 1),
        ("ext2/ext3 ef53", None),
    ],
)
def test_cgroup_version(line: str, expected: int | None) -> None:
    assert platform.parse(f"system Linux\ncgroup {line}\n").cgroup == expected


def test_a_container_that_hides_is_unknown_to_a_plain_user() -> None:
    assert platform.parse("system Linux\nuid 1000\n").container is None


def test_boot(tmp_path: Path) -> None:
    write(tmp_path, "/proc/sys/kernel/random/boot_id", "f2c86cb3-2513-4284-ab30-def7f3002ddb\n")
    write(tmp_path, "/proc/uptime", "350735.47 234388.90\n")
    write(tmp_path, "/run/reboot-required", "*** System restart required ***\n")
    write(tmp_path, "/run/reboot-required.pkgs", "linux-image-6.1.0-50-amd64\ndbus\n")
    write(tmp_path, "/run/systemd/timesync/synchronized")
    found = read_root(boot.SUBJECT, tmp_path)
    assert found.boot_id == "f2c86cb3-2513-4284-ab30-def7f3002ddb"
    assert found.uptime == 350735.47
    assert found.reboot_flags == ("/run/reboot-required", "dbus", "linux-image-6.1.0-50-amd64")
    assert found.clock_synchronised is True
    assert found.clock > 1_700_000_000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("synchronised no", False),
        ("chrony Leap status     : Normal", True),
        ("chrony Leap status     : Not synchronised", False),
        ("ntp associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,", True),
        ("ntp associd=0 status=c016 leap_alarm, sync_unspec, 1 event, restart,", False),
        ("", None),
    ],
)
def test_the_clock(line: str, expected: bool | None) -> None:
    assert boot.parse(line).clock_synchronised is expected


def test_a_damaged_boot_is_unknown() -> None:
    assert boot.parse("boot-id f2c86\nuptime soon\nclock -5\nsynchronised maybe\n") == Boot()


def _pci(root: Path, address: str, ids: str) -> None:
    names = ("vendor", "device", "class", "subsystem_vendor", "subsystem_device")
    for name, value in zip(names, ids.split(), strict=True):
        write(root, f"/sys/bus/pci/devices/{address}/{name}", f"{value}\n")


def test_nvidia_functions_come_from_sysfs(tmp_path: Path) -> None:
    _pci(tmp_path, "0000:00:00.0", "0x8086 0x0d57 0x060000 0x8086 0x0d57")
    _pci(tmp_path, "0000:41:00.0", "0x10de 0x1eb8 0x030200 0x10de 0x12a2")
    _pci(tmp_path, "0000:07:00.0", "0x10de 0x22a3 0x068000 0x10de 0x1796")
    write(tmp_path, "/sys/bus/pci/drivers/nouveau/uevent")
    link(tmp_path, "/sys/bus/pci/devices/0000:41:00.0/driver", "/sys/bus/pci/drivers/nouveau")
    switch, gpu_device = read_root(gpu.SUBJECT, tmp_path)
    assert gpu_device == PciDevice("0000:41:00.0", 0x10DE, 0x1EB8, 0x030200, 0x10DE, 0x12A2, "nouveau")
    assert switch.is_nvswitch
    assert not switch.is_gpu
    assert switch.driver == ""


def test_no_bus_is_no_device_and_no_sysfs_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "sys/bus").mkdir(parents=True)
    assert read_root(gpu.SUBJECT, tmp_path) == ()
    assert gpu.parse("") is None


def test_a_damaged_device_line_makes_the_bus_unknown() -> None:
    good = "looked\npci 0000:41:00.0 0x10de 0x1eb8 0x030200 ? ? nvidia\n"
    assert [d.subsystem_vendor for d in gpu.parse(good) or ()] == [0]
    assert gpu.parse(f"{good}pci 0000:42:00.0 0x10de 0x1e\n") is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/etc/modprobe.d/a.conf": "blacklist nouveau\n"}, ("/etc/modprobe.d/a.conf",)),
        ({"/etc/modprobe.d/a.conf": "  install  nouveau /bin/false # no\n"}, ("/etc/modprobe.d/a.conf",)),
        ({"/usr/lib/modprobe.d/n.conf": "install nouveau /usr/bin/true\n"}, ("/usr/lib/modprobe.d/n.conf",)),
        ({"/etc/modprobe.d/a.conf": "# blacklist nouveau\nblacklist nouveau_x\noptions nouveau modeset=0\n"}, ()),
        ({"/etc/modprobe.d/a.conf.bak": "blacklist nouveau\n"}, ()),
        ({"/etc/modprobe.d/n.conf": "", "/usr/lib/modprobe.d/n.conf": "blacklist nouveau\n"}, ()),
    ],
    ids=["blacklist", "install", "vendor folder", "only looks like it", "not a conf file", "hidden by an empty one"],
)
def test_nouveau_blockers(tmp_path: Path, files: dict[str, str], expected: tuple[str, ...]) -> None:
    for path, content in files.items():
        write(tmp_path, path, content)
    assert read_root(nouveau.SUBJECT, tmp_path).blockers == expected


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("ro quiet", False),
        ("ro modprobe.blacklist=nova_core,nouveau quiet", True),
        ("module_blacklist=nouveau", True),
        ("rd.driver.blacklist=nouveau nouveau.modeset=0", False),
    ],
)
def test_nouveau_on_the_command_line(tmp_path: Path, cmdline: str, expected: bool) -> None:
    write(tmp_path, "/proc/cmdline", f"{cmdline}\n")
    write(tmp_path, "/proc/modules", "nouveau 2764800 3 - Live 0x0\n")
    assert read_root(nouveau.SUBJECT, tmp_path) == Nouveau(loaded=True, cmdline=expected)


def test_nouveau_is_unknown_where_the_kernel_says_nothing() -> None:
    assert nouveau.parse("") == Nouveau(loaded=None, cmdline=None)
    assert nouveau.parse("modules-readable\n").loaded is False


DF = """path /
space /dev/mapper/vg root 263174212 25756336 80634576      25% /
inodes /dev/vda       16777216 448865 16328351    3% /
path /boot
space overlay         1000 990 10      99% /boot mount
inodes btrfs       0 0 0    - /boot mount
path /nowhere
space x 1 1 1 1% /
path /var
space -              -      -         -    -  /var
"""


def test_filesystems() -> None:
    assert filesystems.parse(DF) == (
        Filesystem("/", "/", 80634576 * 1024, 16328351, 263174212 * 1024),
        Filesystem("/boot", "/boot mount", 10 * 1024, None, 1000 * 1024),
        Filesystem("/var"),
    )


@pytest.mark.parametrize(
    ("words", "enrolled"),
    [
        ("dkms-key /var/lib/dkms/mok.pub is already enrolled\n", True),
        ("dkms-key /var/lib/dkms/mok.pub is not enrolled\n", False),
        ("dkms-key /var/lib/dkms/mok.pub is already in the enrollment request\n", False),
        ("dkms-key EFI variables are not supported on this system\n", None),
        ("", None),
    ],
)
def test_key_of_dkms(words: str, enrolled: bool | None) -> None:
    """The answers of mokutil 0.6 and 0.7."""
    assert platform.parse(f"system Linux\n{words}").dkms_key_enrolled is enrolled
