"""A Debian 13 virtual machine with its own kernel, boot loader and boot image, and invented NVIDIA devices.

For what a container cannot show: module autoload by udev, what is inside the boot image, a true reboot. QEMU emulates
the processor, so it runs anywhere and slowly: about 40 s to boot on two quiet cores. There are two base images: a bare
one (3 minutes to make), and one with NVIDIA's real driver, compiled outside the emulator (a quarter of an hour). Environment:

* `GPU_HOST_TEST_CACHE`: folder for the base image (default ~/.cache/gpu-host-tests)
* `GPU_HOST_TEST_PATIENCE`: every deadline is this many times the quiet figure (default 4)
* `GPU_HOST_TEST_MIRROR`, `GPU_HOST_TEST_SECURITY_MIRROR`: Debian archives, instead of this machine's own
* `GPU_HOST_TEST_ACCELERATOR`: QEMU's accelerator, e.g. `kvm` (default emulation)

Start with `bed.VmBed`; `conftest.py` has the fixtures `vm` (a guest per test) and `module_vm` (one per module).
"""
