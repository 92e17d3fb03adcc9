"""DECIDE: device nodes at every boot, before anything that needs them. Pure text.

CUDA in a container needs nodes that nobody makes until some program on the host has called the driver (nvidia-uvm above all). And systemd finds
a device by its /dev/char link when it writes the device rules of a container anew: without the link the container loses its GPU at the next
`systemctl daemon-reload` (sources: github NVIDIA/nvidia-container-toolkit issue 48; systemd.resource-control(5), DeviceAllow=).
"""

from __future__ import annotations

from deploys.knowledge.paths import DEVICES_SCRIPT, DEVICES_UNIT
from deploys.plan.files import FileChange

# Specifications in the second folder win over those of /etc/cdi, which a person may have made for an older driver. Units of the toolkit 1.18
# and newer write them; where those are missing it is done here.
_SCRIPT = """\
# Written by gpu-host; run by gpu-host-devices.service at boot, and whenever the driver was loaded.
have() { command -v "$1" >/dev/null 2>&1; }
modprobe nvidia && modprobe nvidia-uvm
modprobe nvidia-modeset 2>/dev/null
[ -e /proc/driver/nvidia/version ] || { echo 'no NVIDIA driver is loaded: no device nodes'; exit 0; }
gpus=$(ls /proc/driver/nvidia/gpus 2>/dev/null | wc -l)
if have nvidia-modprobe; then
    # With -u the numbers are those of nvidia-uvm; 255 is nvidiactl.
    nvidia-modprobe -u -c 0
    nvidia-modprobe -c 255
    [ -d /sys/module/nvidia_modeset ] && nvidia-modprobe -m
    n=0
    while [ "$n" -lt "$gpus" ]; do nvidia-modprobe -c "$n"; n=$((n + 1)); done
elif have nvidia-ctk; then
    nvidia-ctk system create-device-nodes --control-devices
fi
for node in /dev/nvidia* /dev/nvidia-caps/*; do
    [ -c "$node" ] || continue
    set -- $(stat -c '0x%t 0x%T' "$node")
    ln -sfn "..${node#/dev}" "/dev/char/$(($1)):$(($2))"
done
if have nvidia-ctk && ! systemctl is-enabled --quiet nvidia-cdi-refresh.service 2>/dev/null; then
    nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml >/dev/null 2>&1
fi
exit 0
"""
_UNIT = f"""\
# Written by gpu-host
[Unit]
Description=Device nodes of the NVIDIA driver
After=systemd-modules-load.service systemd-udevd.service
Before=docker.service containerd.service nvidia-persistenced.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {DEVICES_SCRIPT}
TimeoutStartSec=120

[Install]
WantedBy=multi-user.target
"""


def device_files() -> tuple[FileChange, ...]:
    """The script and its unit."""
    return (
        FileChange(DEVICES_SCRIPT, _SCRIPT, "device nodes and their links, for containers that keep their GPU"),
        FileChange(DEVICES_UNIT, _UNIT, "runs it at boot, before Docker"),
    )
