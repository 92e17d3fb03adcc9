"""Checks of kernels: those that the driver's branch builds on."""

from __future__ import annotations

from deploys.plan.machine import Machine
from tests.plan.hosts import K80, changed, debian_12_bare, debian_13_converged, gpus, offered
from tests.plan.rows.case import BARE, DONE, ok, stop, warn

EMPTY_13 = changed(debian_13_converged(), packages__installed={}, packages__candidates={})


def on_kernel(machine: Machine, release: str) -> Machine:
    """The host with this kernel running, and none other to come."""
    return changed(machine, kernels__running=release, kernels__default=release)


KERNEL = [
    ok("kernel_fits_driver", "6.1 and branch 535", BARE),
    ok("kernel_fits_driver", "the proprietary modules on a new 6.12", on_kernel(EMPTY_13, "6.12.117+deb13-amd64")),
    ok(
        "kernel_fits_driver",
        "the open modules on an older 6.12",
        on_kernel(EMPTY_13, "6.12.96+deb13-amd64"),
        kernel_modules="open",
    ),
    ok("kernel_fits_driver", "a driver that does not fit is another check's", debian_12_bare(pci=gpus(K80))),
    ok("kernel_fits_driver", "newer than known, and built already", on_kernel(DONE, "6.12.107+deb13-amd64")),
    *(
        stop(
            "kernel_fits_driver",
            f"the open modules on {kernel}",
            on_kernel(EMPTY_13, kernel),
            kernel,
            "pci_resize_resource",
            "proprietary",
            kernel_modules="open",
        )
        for kernel in ("6.12.97+deb13-amd64", "6.12.117+deb13-amd64", "6.18.40", "6.19.0", "7.3.4+deb13-amd64")
    ),
    warn(
        "kernel_fits_driver",
        "a backported kernel",
        on_kernel(EMPTY_13, "7.3.4+deb13-amd64"),
        "7.3.4+deb13-amd64",
        "6.12",
        "rehearsal",
    ),
    stop(
        "kernel_fits_driver",
        "branch 580 on an ancient kernel",
        on_kernel(offered(BARE, nvidia_kernel_dkms="580.159.03-1", libcuda1="580.159.03-1"), "4.14.336"),
        "4.15",
    ),
]
