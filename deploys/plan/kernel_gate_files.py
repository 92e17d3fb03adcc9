"""DECIDE: the files by which the kernel gate stands between our runs too. Pure text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import deploys.knowledge
from deploys.knowledge.boot_images import LIST_IMAGE
from deploys.knowledge.managers import manager
from deploys.knowledge.paths import KERNEL_GATE, KERNEL_GATE_GRUB, KERNEL_GATE_LOG, KERNEL_HOOKS, STATE_DIR
from deploys.plan.files import FileChange
from deploys.plan.machine import Machine

# Read by grub-mkconfig whenever it makes the menu, after every other setting: so whoever installs or removes a kernel asks.
_GRUB = f"""\
# Written by gpu-host: no kernel without a working driver module comes next while another one has it.
if [ -r {KERNEL_GATE} ]; then
    gpu_host_entry=$(sh {KERNEL_GATE} pin "${{GRUB_DEFAULT:-0}}" 2>/dev/null) || gpu_host_entry=
    [ -z "$gpu_host_entry" ] || GRUB_DEFAULT=$gpu_host_entry
fi
"""
# The release is not needed: all kernels are looked at. A hook that fails would end the installation of the kernel.
_HOOK = f"""\
#!/bin/sh
# Written by gpu-host: asked after the driver's module was built for a new kernel, and its boot image made.
[ ! -r {KERNEL_GATE} ] || sh {KERNEL_GATE} hook >/dev/null 2>&1 || :
exit 0
"""


@cache
def gate_script() -> str:
    """The rule of `kernel_gate.gate` as a shell script."""
    text = (Path(deploys.knowledge.__file__).parent / "kernel-gate.sh").read_text(encoding="ascii")
    text = text.replace("#FRAGMENT\n", LIST_IMAGE)
    return text.replace(
        "state=/var/lib/gpu-host log=/var/log/gpu-host/kernel-gate.log", f"state={STATE_DIR} log={KERNEL_GATE_LOG}"
    )


def gate_files(machine: Machine) -> tuple[FileChange, ...]:
    """The rule, and where it is asked; nothing on hosts whose boot loader is none that it knows."""
    loader = machine.kernels.loader
    if not loader.kind or manager(machine.packages.manager).one_kernel:
        return ()
    files = [FileChange(KERNEL_GATE, gate_script(), "no kernel comes next that could not drive the GPUs")]
    if loader.kind == "grub":
        files.append(FileChange(KERNEL_GATE_GRUB, _GRUB, "asked whenever GRUB's menu is made"))
    if loader.hooks in KERNEL_HOOKS:
        files.append(FileChange(KERNEL_HOOKS[loader.hooks], _HOOK, "asked whenever a kernel was installed", mode="755"))
    return tuple(files)
