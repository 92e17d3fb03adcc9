"""Checks of the machine itself."""

from __future__ import annotations

from dataclasses import replace

from deploys.plan.lease import Lease
from deploys.plan.machine import BootLoader, Machine
from tests.plan.hosts import (
    changed,
    debian_12_bare,
)
from tests.plan.rows.case import BARE, DONE, EMPTY, ok, stop, warn


def two_kernels(one_shot: bool | None) -> Machine:
    """A host that serves, with a newer kernel that is fit as well."""
    (kernel,) = DONE.kernels.installed
    newer = "6.12.120+deb13-amd64"
    module = replace(kernel.nvidia_modules[0], built_for=None)
    new = replace(kernel, release=newer, nvidia_modules=(module, *kernel.nvidia_modules[1:]))
    obstacle = "GRUB cannot write to LVM" if one_shot is False else ""
    loader = BootLoader("grub", default=newer, natural=newer, one_shot=one_shot, obstacle=obstacle)
    return changed(DONE, kernels__installed=(kernel, new), kernels__default=newer, kernels__loader=loader)


PLATFORM = [
    ok("linux_x86_64", "x86_64", BARE),
    ok("linux_x86_64", "amd64 is another word for it", debian_12_bare(platform__architecture="amd64")),
    stop("linux_x86_64", "arm", debian_12_bare(platform__architecture="aarch64"), "Linux on aarch64", "x86_64"),
    stop("linux_x86_64", "32 bits", debian_12_bare(platform__architecture="i686"), "i686"),
    stop("linux_x86_64", "FreeBSD", debian_12_bare(platform__system="FreeBSD"), "FreeBSD"),
    stop("linux_x86_64", "unknown", EMPTY, "unknown system on unknown architecture"),
    *(
        ok("kernel_at_least_3_10", release, debian_12_bare(kernels__running=release))
        for release in ("3.10.0-1160.el7", "3.10", "4", "6.1.0-50-amd64", "6.12.107+deb13-amd64", "10.0-rc1")
    ),
    *(
        stop("kernel_at_least_3_10", release, debian_12_bare(kernels__running=release), release, "3.10 or newer")
        for release in ("3.9", "3", "2.6.32-754.el6.x86_64", "3.9.99-3.10")
    ),
    stop("kernel_at_least_3_10", "unknown", debian_12_bare(kernels__running=None), "kernel unknown"),
    stop("kernel_at_least_3_10", "not a version", debian_12_bare(kernels__running="linux"), "kernel linux"),
    ok("no_other_run", "nobody", BARE),
    ok("no_other_run", "one that is over", debian_12_bare(boot__lease=Lease("a", "ops@control"))),
    stop(
        "no_other_run",
        "another controller",
        debian_12_bare(boot__lease=Lease("a", "ops@control", "p", 4711, 1_764_000_000, "The transaction", 120)),
        'ops@control (pid 4711) since 16:00:00 UTC, step "The transaction" is at work',
        "systemctl list-units",
        "free in 120 s",
    ),
    ok("runs_as_root", "root", BARE),
    ok("runs_as_root", "unknown: other checks stop then", EMPTY),
    stop("runs_as_root", "a user", debian_12_bare(platform__uid=1000), "uid 1000", "_sudo = True"),
    ok("not_a_container", "bare metal", BARE),
    ok("not_a_container", "a virtual machine", debian_12_bare(platform__virtualisation="kvm")),
    stop(
        "not_a_container", "docker", debian_12_bare(platform__container="docker"), "(docker)", "host of the container"
    ),
    ok("not_wsl", "bare metal", BARE),
    stop(
        "not_wsl",
        "WSL 2",
        debian_12_bare(platform__wsl=True, kernels__running="5.15.153.1-microsoft-standard-WSL2"),
        "5.15.153.1-microsoft-standard-WSL2",
        "Windows",
    ),
    stop("not_wsl", "WSL with a kernel of unknown name", debian_12_bare(platform__wsl=True, kernels__running=None)),
    ok("not_immutable_os", "Debian", BARE),
    stop("not_immutable_os", "ostree", debian_12_bare(platform__immutable="ostree"), "(ostree)", "image"),
    ok("distro_supported", "Debian 12", BARE),
    ok("distro_supported", "Debian 13", DONE),
    stop(
        "distro_supported",
        "Debian 11",
        debian_12_bare(distribution__version="11", distribution__name="Debian GNU/Linux 11 (bullseye)"),
        "Debian GNU/Linux 11 (bullseye)",
        "Debian 12 (bookworm), Debian 13 (trixie)",
    ),
    stop(
        "distro_supported", "no PRETTY_NAME", debian_12_bare(distribution__id="void", distribution__name=None), "void"
    ),
    stop("distro_supported", "unknown", EMPTY, "unknown distribution"),
    stop(
        "distro_supported",
        "a blank name",
        debian_12_bare(distribution__id="", distribution__name="\n"),
        "unknown distribution",
    ),
    stop("distro_supported", "testing has no VERSION_ID", debian_12_bare(distribution__version=None), "Debian"),
    ok("release_not_ended", "supported", DONE),
    ok("release_not_ended", "unsupported distribution", EMPTY),
    warn("release_not_ended", "only volunteers' support is left", BARE, "ended 2026-07-11", "2028-06-30"),
    stop(
        "release_not_ended",
        "past everything",
        changed(DONE, boot__clock=1_925_000_000.0),
        "ended 2028-08-09",
        "upgrade",
    ),
    ok("systemd_is_init", "systemd", BARE),
    stop("systemd_is_init", "sysvinit", debian_12_bare(platform__init="init"), "process 1 is init"),
    stop("systemd_is_init", "unknown", EMPTY, "process 1 is unknown"),
    ok("secure_boot_allows_modules", "off", BARE),
    ok(
        "secure_boot_allows_modules",
        "BIOS: no Secure Boot",
        debian_12_bare(platform__efi=False, platform__lockdown=None),
    ),
    ok(
        "secure_boot_allows_modules",
        "on, and the key that DKMS signs with is enrolled",
        debian_12_bare(platform__secure_boot=True, platform__dkms_key_enrolled=True),
    ),
    stop(
        "secure_boot_allows_modules",
        "on, and nothing is known of the key",
        debian_12_bare(platform__secure_boot=True, platform__dkms_key_enrolled=None),
        "/var/lib/dkms/mok.pub",
        "mokutil --import",
        "MokManager",
        "Enroll MOK",
    ),
    stop(
        "secure_boot_allows_modules",
        "an efi host whose variables cannot be read",
        debian_12_bare(platform__efi=True, platform__secure_boot=None, platform__lockdown=None),
        "could not be read",
        "efivarfs",
    ),
    stop(
        "secure_boot_allows_modules", "on", debian_12_bare(platform__secure_boot=True), "Secure Boot is on", "console"
    ),
    stop(
        "secure_boot_allows_modules",
        "lockdown alone",
        debian_12_bare(platform__secure_boot=False, platform__lockdown="integrity"),
        "kernel lockdown is integrity",
    ),
    ok("not_a_jetson", "a server", BARE),
    ok("not_a_jetson", "kernel unknown", EMPTY),
    stop("not_a_jetson", "Orin", debian_12_bare(kernels__running="5.15.148-tegra"), "Jetson (Tegra)", "JetPack"),
    ok("new_kernel_can_be_tried", "one kernel", DONE),
    ok("new_kernel_can_be_tried", "a boot loader that forgets", two_kernels(True)),
    warn("new_kernel_can_be_tried", "one that cannot", two_kernels(False), "GRUB cannot write to LVM", "gpu_accept"),
    warn("new_kernel_can_be_tried", "one of which that is unknown", two_kernels(None), "is unknown"),
    ok("clock_sane", "now", BARE),
    ok("clock_sane", "fifty years on", debian_12_bare(boot__clock=3_000_000_000.0)),
    stop("clock_sane", "1970", debian_12_bare(boot__clock=17.0), "1970-01-01", "timedatectl set-ntp true"),
    stop("clock_sane", "a flat battery", debian_12_bare(boot__clock=1_577_836_800.0), "2020-01-01"),
    stop("clock_sane", "far future", debian_12_bare(boot__clock=5e9), "2128"),
    stop("clock_sane", "beyond all calendars", debian_12_bare(boot__clock=1e18), "seconds since 1970"),
    warn("clock_sane", "unknown", debian_12_bare(boot__clock=None), "could not be read"),
    ok("probe_complete", "every answer was read", BARE),
    ok("probe_complete", "an answer that decides nothing is missing", debian_12_bare(unknown={"toolkit": "cut"})),
    stop(
        "probe_complete",
        "nobody knows who holds the GPUs",
        debian_12_bare(unknown={"holders": "no answer within its time limit"}),
        "holders: no answer within its time limit",
    ),
    stop(
        "probe_complete", "nothing was read", changed(EMPTY, unknown={"pci": "cut", "driver": "cut"}), "pci", "driver"
    ),
]
