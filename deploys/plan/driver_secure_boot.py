"""DECIDE: whether the kernel will accept the driver's modules where Secure Boot or lockdown is on."""

from __future__ import annotations

from dataclasses import dataclass

from deploys.knowledge.distros.known import SignedModules
from deploys.knowledge.records import Source
from deploys.plan.machine import Platform
from deploys.plan.reason import OWN

DKMS_KEY = "/var/lib/dkms/mok.pub"
_DKMS = Source("dkms framework.conf (mok_certificate), mokutil(1), shim's MokManager", "2026-11-22")
_CONSOLE = (
    f"enrol the key of this host at its console: (1) install dkms and mokutil; where {DKMS_KEY} is missing: dkms generate_mok (dkms before 3.1 makes it with its first build); "
    f"(2) mokutil --import {DKMS_KEY}, with a password for one use; (3) reboot; (4) in MokManager, on the console (BMC, "
    "serial or screen), before Linux starts: Enroll MOK, Continue, Yes, the password, Reboot; (5) run again. "
    "Or switch Secure Boot off in the firmware set-up (at the console)"
)


@dataclass(frozen=True)
class SecureBootChoice:
    """`way`: "not enforced", "signed" (the distribution's prebuilt modules, `package`) or "enrolled"; "" with a `problem`."""

    way: str = ""
    package: str = ""
    why: str = ""
    source: Source = OWN
    problem: str = ""
    needed: str = ""
    fix: str = ""


def enforced(platform: Platform) -> bool:
    """Does the kernel reject modules that nobody trusted has signed, as far as is known?"""
    return bool(platform.secure_boot) or (platform.lockdown or "none") != "none"


def demands_signature(platform: Platform) -> bool:
    """Does the kernel reject what DKMS builds here? So it does with Secure Boot or lockdown, unless its key is known to be enrolled."""
    return enforced(platform) and not platform.dkms_key_enrolled


def choose_secure_boot(
    platform: Platform, signed: SignedModules | None, branch: str, flavour: str, kernel: str
) -> SecureBootChoice:
    """How the modules of this branch and flavour get accepted by the kernel, or why they would not be.

    `signed`: what the driver's source has in signed modules, None where it has none. An answer that could not be read
    refuses: a module that the kernel rejects is never installed.
    """
    lockdown = platform.lockdown or "none"
    if platform.efi and platform.secure_boot is None and platform.lockdown is None:
        return SecureBootChoice(
            problem="whether Secure Boot is on could not be read",
            needed="the firmware's variables, to know whether the kernel would reject the module",
            fix="mount -t efivarfs efivarfs /sys/firmware/efi/efivars, then run again",
        )
    if not enforced(platform):
        return SecureBootChoice("not enforced", why="Secure Boot is off: the kernel accepts unsigned modules")
    found = "Secure Boot is on" if platform.secure_boot else f"kernel lockdown is {lockdown}"
    if signed and _serves(signed, branch, flavour):
        name = signed.package.format(
            branch=branch, open="-open" if flavour == "open" else "", flavour=kernel.rsplit("-", 1)[-1]
        )
        return SecureBootChoice(
            "signed",
            name,
            f"{found}; {name} needs no enrolment: {signed.why}; the libraries must be the distribution's too, of the same version",
            signed.source,
        )
    if platform.dkms_key_enrolled:
        why = f"{found}; DKMS signs with {DKMS_KEY}, which the firmware trusts"
        return SecureBootChoice("enrolled", why=why, source=_DKMS)
    lacks = (
        "no source that is used here has signed NVIDIA modules" if signed is None else _lacks(signed, branch, flavour)
    )
    return SecureBootChoice(
        problem=f"{found}; {lacks}, and DKMS signs with a key of this host that nobody is known to have enrolled",
        needed="modules that the kernel accepts: signed ones, an enrolled key, or Secure Boot off",
        fix=_CONSOLE,
        source=_DKMS,
    )


def _serves(signed: SignedModules, branch: str, flavour: str) -> bool:
    branches = {str(b) for b in signed.branches}
    return flavour in signed.flavours and (not branches or branch in branches)


def _lacks(signed: SignedModules, branch: str, flavour: str) -> str:
    has = ", ".join(map(str, signed.branches)) or "its own branch"
    return f"signed modules exist for {has} ({', '.join(signed.flavours)}), not for {flavour} modules of {branch}"
