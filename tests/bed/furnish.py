"""What a copied root needs to become one particular host: identity, keys, access, disguise."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from tests.bed.dress import hold_nouveau
from tests.bed.families import FAMILIES
from tests.bed.shell import run
from tests.bed.spec import Spec
from tests.bed.world import LIBRARY, STATE, hostmask, put

COMMAND_LOG = "var/log/remote-commands.log"
COUNTER = "usr/local/sbin/count-remote-command"
# One line per exec request (sftp included) before it runs; %.300s keeps the line one write.
COUNTER_TEXT = f"""#!/bin/sh
first=$(printf '%.300s' "${{SSH_ORIGINAL_COMMAND:-(login shell)}}" | tr '\\n\\t' '  ')
printf '%s %s\\n' "$(date +%s)" "$first" >>/{COMMAND_LOG}
if [ -z "$SSH_ORIGINAL_COMMAND" ]; then exec "${{SHELL:-/bin/sh}}" -l; fi
exec "${{SHELL:-/bin/sh}}" -c "$SSH_ORIGINAL_COMMAND"
"""
SSHD_TEXT = f"UseDNS no\nMaxStartups 100:30:200\nMaxSessions 100\nForceCommand /{COUNTER}\n"
# nspawn mounts its own view of /sys (read-only, with gaps) over whatever --bind puts there, so the pretend devices are put in place at boot.
# systemd notes what it runs in, and nspawn brings /run/host (systemd's "inaccessible" nodes live there); a machine has neither.
# On a busy machine a step of this once in a while fails at first, so each is tried until what it is for is there. No SSH without it: a host
# that is half a container would be tested for what it is not.
UNIT = """[Unit]
Description=Early local settings
DefaultDependencies=no
Before=sysinit.target systemd-modules-load.service systemd-udevd.service ssh.service sshd.service

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=180
ExecStart=/bin/sh /usr/local/sbin/early-local

[Install]
WantedBy=sysinit.target
"""
EARLY = f"""[ ! -d /{STATE} ] || exec 2>>/{STATE}/early.log
mounted() {{ grep -q " $1 " /proc/self/mountinfo; }}
until_holds() {{
    # $1: what must hold, $2: how to get there
    tries=0
    until eval "$1"; do
        [ $tries -lt 300 ] || {{ echo "early-local: never held: $1" | tee /dev/console >&2; exit 1; }}
        [ $tries = 0 ] || sleep 0.2
        tries=$((tries + 1))
        eval "$2" || echo "early-local: try $tries failed: $2" >&2
    done
}}
until_holds 'mounted /sys/bus/pci' 'mount --bind /run/early/pci /sys/bus/pci'
"""
DISGUISE = f"""until_holds '[ ! -e /run/systemd/container ]' 'rm -f /run/systemd/container'
until_holds '[ -d /run/systemd/inaccessible ] && [ ! -L /run/systemd/inaccessible ]' 'rm -rf /run/systemd/inaccessible; cp -a /run/host/inaccessible /run/systemd/inaccessible'
until_holds 'mounted /sys/module' 'mount -o remount,rw /sys; mkdir -p /sys/module /sys/firmware /sys/power && mount --bind /{STATE}/module /sys/module'
until_holds '[ ! -e /run/host ]' 'umount -R -l /run/host; rm -rf /run/host'
umount -l /run/early/pci
"""


def access(root: Path, public_key: str) -> str:
    """Let the run's key in, and give the host a key of its own; returns that host key's public half."""
    put(root / "root/.ssh/authorized_keys", public_key)
    (root / "root/.ssh").chmod(0o700)
    key = root / "etc/ssh/ssh_host_ed25519_key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "host", "-f", key])
    put(root / "etc/ssh/sshd_config.d/00-bed.conf", SSHD_TEXT)
    put(root / COUNTER, COUNTER_TEXT)
    (root / COUNTER).chmod(0o755)
    put(root / COMMAND_LOG, "")
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


def identity(root: Path, name: str) -> None:
    put(root / "etc/hostname", f"{name}\n")
    put(root / "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
    put(root / "etc/machine-id", f"{uuid.uuid4().hex}\n")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")


def disguise(root: Path) -> None:
    """Put the library in place and have every program load it."""
    shutil.copyfile(hostmask(), root / LIBRARY)
    (root / LIBRARY).chmod(0o755)
    put(root / "etc/ld.so.preload", f"/{LIBRARY}\n")


def early_unit(root: Path, *, disguised: bool) -> None:
    """The unit that puts the pretend devices in place and, in disguise, drops systemd's and nspawn's notes."""
    put(root / "usr/local/sbin/early-local", EARLY + (DISGUISE if disguised else ""))
    unit = root / "etc/systemd/system/early-local.service"
    put(unit, UNIT)
    for target in ("sysinit.target.wants", "ssh.service.requires", "sshd.service.requires"):
        (unit.parent / target).mkdir(exist_ok=True)
        (unit.parent / target / unit.name).symlink_to(f"../{unit.name}")


def furnish(root: Path, spec: Spec, public_key: str) -> str:
    """Make the copied root this host; returns its public host key. Raises BedError."""
    identity(root, spec.name)
    host_key = access(root, public_key)
    if spec.nouveau_in_initramfs:
        hold_nouveau(root, FAMILIES[spec.suite])
    early_unit(root, disguised=spec.disguise)
    if spec.disguise:
        disguise(root)
    return host_key
