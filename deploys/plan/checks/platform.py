"""Checks of the machine itself: architecture, kernel, kind of system."""

from __future__ import annotations

import time

from deploys.knowledge.distros import find_distro, supported
from deploys.knowledge.floors import find_floor
from deploys.plan.driver import DriverChoice
from deploys.plan.driver_branch import today
from deploys.plan.driver_fabric import find_board
from deploys.plan.driver_secure_boot import choose_secure_boot
from deploys.plan.driver_source import choose_driver, signed_modules
from deploys.plan.finding import Finding, stop, warn
from deploys.plan.kernel_gate import obstacle
from deploys.plan.lease import LOOK
from deploys.plan.machine import Machine
from deploys.plan.settings import Settings
from deploys.plan.versions import below

# A clock outside this range is wrong without asking anybody: before this release, or decades ahead (seconds since 1970).
EARLIEST_CLOCK, LATEST_CLOCK = 1_763_000_000, 4_102_444_800


# Subjects whose silence would read as "no": nobody uses the GPU, no lock is held, there is no other driver.
NEEDED_SUBJECTS = (
    "distribution",
    "platform",
    "kernels",
    "initramfs",
    "pci",
    "nouveau",
    "filesystems",
    "packages",
    "locks",
    "sources",
    "driver",
    "dkms",
    "holders",
    "schedulers",
    "docker",
    "files",
    "units",
)


def probe_complete(machine: Machine, _settings: Settings) -> Finding | None:
    """What could not be read must not pass for good."""
    unread = {name: machine.unknown[name] for name in NEEDED_SUBJECTS if name in machine.unknown}
    if not unread:
        return None
    found = "; ".join(f"{name}: {why}" for name, why in unread.items())
    fix = f"look on the host for what keeps these from answering (such as {next(iter(unread))}), then run again"
    return stop("probe_complete", f"could not be read: {found}", "an answer to every question of the probe", fix)


def linux_x86_64(machine: Machine, _settings: Settings) -> Finding | None:
    """NVIDIA's x86_64 packages need Linux on x86_64."""
    system, architecture = machine.platform.system, machine.platform.architecture
    if system == "Linux" and architecture in ("x86_64", "amd64"):
        return None
    fix = "use an x86_64 host; 64-bit ARM servers need NVIDIA's sbsa repository, which is not supported here"
    return stop(
        "linux_x86_64",
        f"{system or 'unknown system'} on {architecture or 'unknown architecture'}",
        "Linux on x86_64",
        fix,
    )


def kernel_at_least_3_10(machine: Machine, _settings: Settings) -> Finding | None:
    """No supported driver builds on a kernel older than 3.10."""
    floor = find_floor("kernel")
    need = floor.refuse if floor else None
    if below(machine.kernels.running, need) is False:
        return None
    return stop(
        "kernel_at_least_3_10",
        f"kernel {machine.kernels.running or 'unknown'}",
        f"kernel {need} or newer",
        "upgrade the distribution and boot its kernel",
    )


def runs_as_root(machine: Machine, _settings: Settings) -> Finding | None:
    """Without root the probe is half blind and nothing can be installed."""
    if machine.platform.uid in (0, None):
        return None
    return stop(
        "runs_as_root",
        f"commands run as uid {machine.platform.uid}",
        "root",
        "log in as root, or set _sudo = True in this host's data",
    )


def not_a_container(machine: Machine, _settings: Settings) -> Finding | None:
    """A container shares the kernel of its host: the driver belongs there."""
    if not machine.platform.container:
        return None
    return stop(
        "not_a_container",
        f"this is a container ({machine.platform.container})",
        "a machine with its own kernel",
        "run this against the host of the container",
    )


def not_wsl(machine: Machine, _settings: Settings) -> Finding | None:
    """In WSL the Windows driver serves the GPU."""
    if not machine.platform.wsl:
        return None
    return stop(
        "not_wsl",
        f"Windows Subsystem for Linux (kernel {machine.kernels.running or 'unknown'})",
        "a Linux machine",
        "install the driver in Windows; inside WSL only the container toolkit is wanted",
    )


def not_immutable_os(machine: Machine, _settings: Settings) -> Finding | None:
    """Image-based systems install drivers through their image, not through packages."""
    if not machine.platform.immutable:
        return None
    return stop(
        "not_immutable_os",
        f"an image-based system ({machine.platform.immutable})",
        "a system that its package manager owns",
        "add the driver to the image of this system (layer, extension or build), or use an ordinary release",
    )


def distro_supported(machine: Machine, _settings: Settings) -> Finding | None:
    """Package names and repositories are known per release, never guessed."""
    distro = machine.distribution
    if find_distro(distro.id, distro.version):
        return None
    found = (distro.name or f"{distro.id or ''} {distro.version or ''}").strip() or "unknown distribution"
    return stop("distro_supported", found, f"one of: {supported()}", "use one of these releases")


def release_not_ended(machine: Machine, _settings: Settings) -> Finding | None:
    """A release past its regular support is named; one past its last support of any kind is refused."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    date = today(machine)
    if distro is None or not distro.ends or distro.ends >= date:
        return None
    last = distro.extended or distro.ends
    say = stop if distro.extended and distro.extended < date else warn
    later = f", extended support ends {last}" if say is warn and last != distro.ends else ""
    return say(
        "release_not_ended",
        f"{distro.label}: regular support ended {distro.ends}{later}",
        "a release that still gets security fixes",
        "upgrade the release, or move the host to a newer one",
    )


def systemd_is_init(machine: Machine, _settings: Settings) -> Finding | None:
    """Long steps run as transient units, so that a lost connection does not kill them."""
    if machine.platform.init == "systemd":
        return None
    return stop(
        "systemd_is_init", f"process 1 is {machine.platform.init or 'unknown'}", "systemd", "boot the host with systemd"
    )


def secure_boot_allows_modules(machine: Machine, settings: Settings) -> Finding | None:
    """With Secure Boot or lockdown the kernel takes modules that the distribution signed, or DKMS with an enrolled key."""
    distro = find_distro(machine.distribution.id, machine.distribution.version)
    driver = choose_driver(machine, settings, distro) if distro and machine.gpus else DriverChoice()
    signed = signed_modules(machine, distro, driver) if distro and not driver.problem else None
    kernel = machine.kernels.running or ""
    choice = choose_secure_boot(machine.platform, signed, driver.branch, driver.flavour, kernel)
    if not choice.problem:
        return None
    fix = choice.fix
    if distro and settings.driver_source != "auto" and any(x.signed for x in distro.layouts):
        fix = f'set gpu_driver_source = "auto", for the modules that {distro.name} has signed; or {fix}'
    return stop("secure_boot_allows_modules", choice.problem, choice.needed, fix)


def new_kernel_can_be_tried(machine: Machine, _settings: Settings) -> Finding | None:
    """A kernel that hangs on a host whose boot loader cannot forget a choice needs a person at the console."""
    found = obstacle(machine)
    if not found:
        return None
    return warn(
        "new_kernel_can_be_tried",
        found,
        "a boot loader that starts a kernel once: GRUB with /boot on a plain partition, or systemd-boot",
        'reboot it yourself, with its console at hand; or gpu_accept = ["new_kernel_can_be_tried"], and it is rebooted into it untried',
    )


def not_a_jetson(machine: Machine, _settings: Settings) -> Finding | None:
    """On a Jetson the GPU is part of the chip, and its driver part of the board's own Linux."""
    board = find_board(machine.kernels.running)
    if board is None:
        return None
    return stop(
        "not_a_jetson",
        f"{board.name}: kernel {machine.kernels.running}",
        f"a computer with NVIDIA GPUs on its PCI bus ({board.why})",
        board.fix,
    )


def clock_sane(machine: Machine, _settings: Settings) -> Finding | None:
    """A wrong clock breaks TLS and repository signatures, with errors that name neither."""
    clock = machine.boot.clock
    if clock is None:
        return warn(
            "clock_sane",
            "the clock could not be read",
            "a clock that is right",
            "check `date` and `timedatectl` on the host",
        )
    if EARLIEST_CLOCK <= clock <= LATEST_CLOCK:
        return None
    return stop(
        "clock_sane",
        f"the clock says {_date(clock)}",
        "the present time",
        "synchronise the clock: timedatectl set-ntp true",
    )


def _date(clock: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(clock))
    except (OverflowError, ValueError, OSError):
        return f"{clock:.0f} seconds since 1970"


def no_other_run(machine: Machine, _settings: Settings) -> Finding | None:
    """One run of this toolkit at a time; where it is not known who works on the host, the first step will find out."""
    lease = machine.boot.lease
    if lease is None or not lease.left:
        return None
    return stop(
        "no_other_run",
        f"{lease} is at work on this host",
        "one run at a time: what this one would be planned on is changing",
        f"look on the host: {LOOK}; when that run is over, run again. Where its controller has died, the host is free in {lease.left} s",
    )
