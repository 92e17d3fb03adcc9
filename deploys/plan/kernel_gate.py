"""DECIDE: which kernel may be the default of the boot loader, and which one is to be tried first. Pure.

No kernel comes next that could not drive the GPUs, while another one can. `kernel_gate_files` carries the same rule to the host, for kernels
that others install between the runs; tests/plan/test_kernel_gate_script.py holds both together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploys.knowledge.managers import manager
from deploys.knowledge.paths import TRIAL_RECORD
from deploys.plan.driver_secure_boot import enforced
from deploys.plan.kernels import Kernel, release_order
from deploys.plan.machine import Machine

# Modules that a distribution links from the kernel that they were built for; it has checked that their symbols fit.
_LINKED = "/weak-updates/"


@dataclass(frozen=True)
class Gate:
    """`pin`: the release to hold as default, "" where the distribution's own choice stands; `unfit`: what that choice lacks.

    `new`: a fit release that comes next and is newer than the running one; `why` is one line for people.
    """

    pin: str = ""
    unfit: str = ""
    new: str = ""
    why: str = ""


def gate(machine: Machine) -> Gate:
    """The rule for this host as it is now."""
    kernels = machine.kernels
    running, natural = kernels.get(kernels.running), kernels.get(kernels.natural)
    if natural is None or running is None:
        return Gate(why="the kernel that comes next could not be told")
    if not any(k.core_module for k in kernels.installed):
        return Gate(why="no kernel has a driver's module yet")
    lacks = unfit(natural, machine)
    if not lacks:
        new = natural.release if release_order(natural.release) > release_order(running.release) else ""
        return Gate(new=new, why=f"{natural.release} comes next and is fit")
    fit = [k.release for k in kernels.installed if k is not natural and not unfit(k, machine)]
    if not fit:
        return Gate(unfit=lacks, why=f"{natural.release} {lacks}; no other kernel is fit")
    newest = sorted(fit, key=release_order, reverse=True)
    proven = machine.proven.kernel if machine.proven else ""
    pin = next(r for r in (running.release, proven, *newest) if r in fit)
    return Gate(pin, lacks, "", f"{natural.release} {lacks}; {pin} is fit")


def unfit(kernel: Kernel, machine: Machine) -> str:
    """Why this kernel could not drive the GPUs, in words that follow its name; "" when nothing speaks against it."""
    if kernel.image is False:
        return "has no image"
    if kernel.release == machine.kernels.loader.trial:
        return "is on trial and has not proven itself"
    return _module(kernel, machine) or _signature(kernel, machine) or _boot_image(kernel, machine)


def _module(kernel: Kernel, machine: Machine) -> str:
    core, libraries = kernel.core_module, machine.driver.user_space
    if core is None:
        return "has no NVIDIA module"
    if core.version is None:
        readable = any(k.nvidia_version for k in machine.kernels.installed)
        return "has an NVIDIA module that cannot be read" if readable else ""
    if libraries and core.version != libraries:
        return f"has NVIDIA module {core.version}, the libraries are {libraries}"
    if core.built_for and core.built_for != kernel.release and _LINKED not in core.path:
        return f"has an NVIDIA module that was built for {core.built_for}"
    return ""


def _signature(kernel: Kernel, machine: Machine) -> str:
    core = kernel.core_module
    if core is None or not enforced(machine.platform):
        return ""
    if core.signer == "":
        return "has an unsigned NVIDIA module, which Secure Boot rejects"
    if "/dkms/" in core.path and machine.platform.dkms_key_enrolled is False:
        return "has an NVIDIA module signed by a key that is not enrolled"
    return ""


def _boot_image(kernel: Kernel, machine: Machine) -> str:
    """A kernel that needs none has none; one that cannot be read counts where others can."""
    image, others = kernel.initramfs, [k.initramfs for k in machine.kernels.installed if k.initramfs]
    if image is None:
        return "has no initramfs" if others else ""
    readable = any(i.readable for i in others)
    return "has an initramfs that cannot be read to its end" if image.readable is False and readable else ""


def never_tried(machine: Machine) -> bool:
    """Has the reboot into the kernel on trial never come?"""
    return bool(machine.kernels.loader.trial) and machine.kernels.loader.trial_from == machine.boot.boot_id


def on_trial(machine: Machine) -> bool:
    """Does the kernel on trial run, with its driver loaded, so that only the proof is left?"""
    trial, running = machine.kernels.loader.trial, machine.kernels.get(machine.kernels.running)
    if not trial or running is None or running.release != trial:
        return False
    return bool(machine.driver.loaded) and machine.driver.loaded == running.nvidia_version


def failed_trial(machine: Machine) -> str:
    """The release that is on trial, where another one runs after the reboot ("" none)."""
    trial = "" if never_tried(machine) else machine.kernels.loader.trial
    return trial if trial and trial != machine.kernels.running else ""


def wants_trial(machine: Machine) -> str:
    """The new kernel that a reboot would start, where the running one is fit to return to ("" no trial)."""
    found, running = gate(machine), machine.kernels.get(machine.kernels.running)
    return found.new if found.new and running and not unfit(running, machine) else ""


def obstacle(machine: Machine) -> str:
    """Why the new kernel cannot be tried before it becomes the default ("" it can, or there is none)."""
    new, loader = wants_trial(machine), machine.kernels.loader
    if not new or loader.one_shot:
        return ""
    return f"kernel {new} comes next, and it cannot be tried first: {loader.obstacle or 'how the boot loader keeps its choice is unknown'}"


def driverless_trial(machine: Machine) -> str:
    """The kernel on trial, where it runs and its driver has not loaded while another one is held to go back to ("" none)."""
    loader, running = machine.kernels.loader, machine.kernels.running
    back = loader.pinned and loader.pinned != running and machine.kernels.default == loader.pinned
    return loader.trial if back and loader.trial == running and not on_trial(machine) else ""


def unproven(machine: Machine) -> str:
    """What a person must know of the kernel that would come next, where it may not ("" nothing, and nothing yet while it is being proven)."""
    if on_trial(machine):
        return ""
    found, tried = gate(machine), failed_trial(machine)
    running = machine.kernels.running
    if tried:
        return f"booted {running} instead of {tried}, which was on trial; to try once more: rm {TRIAL_RECORD}"
    return f"kernel {machine.kernels.natural} comes next and {found.unfit}" if found.unfit else ""


def describe_gate(machine: Machine) -> str:
    """Boot loader, one-shot or not, pinned or not and why, as one line ("" where no boot loader is known)."""
    loader, found = machine.kernels.loader, gate(machine)
    if manager(machine.packages.manager).one_kernel:
        return "a kernel is replaced in place: there is no other one to go back to"
    if not loader.kind:
        return ""
    name = {"grub": "GRUB", "saved": "GRUB", "bls": "GRUB with entry files"}.get(loader.kind, loader.kind)
    once = {True: "can start a kernel once", False: f"cannot start a kernel once: {loader.obstacle}"}
    held = f"{found.pin} is held as default" if found.pin else "nothing held"
    able = once[loader.one_shot] if loader.one_shot is not None else "whether it can start a kernel once is unknown"
    return f"{name}, {able}; {held}: {found.why}"


def kept_kernel(how: tuple[str, str], machine: Machine) -> tuple[str, str]:
    """(file, text) by which the running kernel, which has just proven itself, stays installed; no text where it is the newest."""
    path, text = how
    running = machine.kernels.running or ""
    return path, text.format(release=re.sub(r"([.+])", r"\\\1", running)) if running != machine.kernels.newest else ""
