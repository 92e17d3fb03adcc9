"""Checks of GPUs."""

from __future__ import annotations

from dataclasses import replace

from tests.plan.hosts import (
    A100,
    H100,
    NVSWITCH,
    T4,
    debian_12_bare,
    gpus,
    unit,
)
from tests.plan.rows.case import BARE, ok, stop

GPU = [
    ok("nvidia_gpu_present", "T4", BARE),
    stop("nvidia_gpu_present", "none", debian_12_bare(pci=()), "no NVIDIA display or 3D controller"),
    stop("nvidia_gpu_present", "its sound card only", debian_12_bare(pci=(replace(gpus(T4)[0], class_code=0x040300),))),
    stop("nvidia_gpu_present", "switches only", debian_12_bare(pci=gpus(NVSWITCH)), "no NVIDIA display"),
    stop("nvidia_gpu_present", "unknown", debian_12_bare(pci=None), "could not be read"),
    ok("gpu_count_as_expected", "not counted", debian_12_bare(pci=gpus(T4, T4))),
    ok("gpu_count_as_expected", "as expected", debian_12_bare(pci=gpus(T4, T4, NVSWITCH)), expected_gpus=2),
    stop(
        "gpu_count_as_expected",
        "one lost",
        debian_12_bare(pci=gpus(T4)),
        "1 GPU on",
        "2 (gpu_",
        "missing",
        expected_gpus=2,
    ),
    stop(
        "gpu_count_as_expected", "one more", debian_12_bare(pci=gpus(T4, T4)), "gpu_expected_gpus = 2", expected_gpus=1
    ),
    stop("gpu_count_as_expected", "unknown", debian_12_bare(pci=None), "could not be read", expected_gpus=1),
    ok("not_vgpu_guest", "no licence daemon", BARE),
    ok("not_vgpu_guest", "units unknown", debian_12_bare(units={})),
    stop("not_vgpu_guest", "licence daemon", unit(BARE, "nvidia-gridd.service"), "nvidia-gridd", "hypervisor"),
    stop("not_vgpu_guest", "installed, not running", unit(BARE, "nvidia-gridd.service", "inactive"), "nvidia-gridd"),
    stop(
        "not_vgpu_guest",
        "no licence daemon yet",
        debian_12_bare(pci=(replace(gpus(T4)[0], vgpu=True),)),
        "the hypervisor shares 0000:01:00.0 as vGPU",
    ),
    ok("gpu_not_bound_to_vfio", "nouveau", BARE),
    ok("gpu_not_bound_to_vfio", "nothing bound", debian_12_bare(pci=gpus(T4, driver=""))),
    ok("gpu_not_bound_to_vfio", "driver unknown", debian_12_bare(pci=(replace(gpus(T4)[0], driver=None),))),
    stop(
        "gpu_not_bound_to_vfio",
        "one of two",
        debian_12_bare(pci=(*gpus(T4), *gpus(T4, A100, driver="vfio-pci")[1:])),
        "vfio-pci holds 0000:02:00.0",
    ),
    stop(
        "gpu_not_bound_to_vfio",
        "a vendor's vfio driver",
        debian_12_bare(pci=gpus(H100, driver="vfio-pci-nvgrace")),
        "vfio",
    ),
]
