"""What the CUDA driver API answers when it does not work (source: CUDA Driver API reference, CUresult; read 2026-11-27)."""

from __future__ import annotations

CUDA_RESULTS = {
    "2": "out of memory",
    "3": "not initialised",
    "34": "a stub library in place of the driver's",
    "46": "device busy or unavailable",
    "100": "no device",
    "101": "invalid device",
    "209": "no kernel image for this device",
    "218": "PTX could not be compiled",
    "222": "PTX newer than the driver",
    "304": "the operating system refused a call",
    "719": "launch failed",
    "802": "system not ready: on NVSwitch systems the Fabric Manager is not running",
    "803": "driver and libraries do not match",
    "804": "forward compatibility on a GPU that has none",
    "999": "unknown error",
}
