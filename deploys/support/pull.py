"""`./provision pull`: this machine provisions itself, tells where it is told to, and reboots where it must.

The run is the one of a controller, on pyinfra's @local, in a process of its own. For fleets that no controller can reach or serve; started by
cloud-init and by a timer (inventories/pull).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploys.knowledge.paths import PULL_CONFIG, REBOOT_RECORD, RUN_DIR
from deploys.plan.pull import ConfigError, PullConfig, named, parse_config, reboots_now
from deploys.support.deliver import DeliveryError, deliver

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories/pull/inventory.py"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FAILED, USAGE = 1, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./provision pull",
        description="This machine provisions itself as its configuration says, delivers the result and reboots where it must.",
        epilog="Exit code: as without pull; 1 too when a result could not be delivered; 0 when the machine reboots to go on.",
    )
    parser.add_argument("--config", default=PULL_CONFIG, metavar="FILE", help=f"JSON; {PULL_CONFIG} without it")
    parser.add_argument("--dry", action="store_true", help="show the plan; nothing is changed, delivered or rebooted")
    return parser


def main(arguments: Sequence[str]) -> int:
    """One run; returns the exit code. Raises SystemExit(2) for arguments that mean nothing."""
    words = _parser().parse_args(arguments)
    try:
        config = parse_config(_read(Path(words.config)), words.config)
        named({}, os.uname().nodename)
        lock = _lock()
    except ConfigError as error:
        sys.stderr.write(f"provision pull: {error}\n")
        return USAGE
    with lock:
        started = time.time()
        code, document = _run(config, words.config, dry=words.dry)
        if words.dry or not document:
            return code
        delivered = _deliver_all(config, named(document, os.uname().nodename))
        if reboots_now(document, _written_since(Path(REBOOT_RECORD), started), _text(BOOT_ID).strip()):
            sys.stderr.write("provision pull: this machine reboots now and goes on after that\n")
            subprocess.run(["systemctl", "reboot"], check=True)
            return 0
        return code if delivered else code or FAILED


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ConfigError(
            f'{path}: {reason}; needed JSON such as {{"data": {{"gpu_profile": "full"}}}}; see inventories/pull/pull.json'
        ) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _written_since(path: Path, started: float) -> str:
    """The text of a file that was written after that moment, else ""."""
    try:
        return _text(path) if path.stat().st_mtime >= started - 1 else ""
    except OSError:
        return ""


def _lock() -> Any:
    """One run at a time on a machine, and as root. Raises ConfigError."""
    if os.geteuid() != 0:
        raise ConfigError("found another user than root; run: sudo ./provision pull")
    Path(RUN_DIR).mkdir(mode=0o700, exist_ok=True)
    handle = Path(RUN_DIR, "pull.lock").open("w", encoding="utf-8")  # noqa: SIM115 - held until the run ends
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise ConfigError("another run of it is at work: systemctl status gpu-host-pull.service") from None
    return handle


def _run(config: PullConfig, path: str, *, dry: bool) -> tuple[int, dict[str, Any]]:
    """Exit code of pyinfra's run and its result; {} where there is none."""
    with tempfile.TemporaryDirectory(prefix="gpu-host-") as folder:
        result = Path(folder) / "result.json"
        environment = {"HOME": "/root", **os.environ, "GPU_HOST_PULL": str(Path(path).resolve())}
        environment["GPU_HOST_RESULT"] = str(result)
        deploys = [str(ROOT / f"deploys/{name}.py") for name in config.deploys]
        words = [str(INVENTORY), *deploys, "--dry" if dry else "-y"]
        command = [sys.executable, "-I", "-m", "deploys.support.front", *words]
        code = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
        try:
            document = json.loads(result.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return code or FAILED, {}
        return code, document


def _deliver_all(config: PullConfig, document: dict[str, Any]) -> bool:
    """To every target, whatever becomes of the others."""
    text, good = json.dumps(document, indent=2) + "\n", True
    for target in config.results:
        try:
            place = deliver(text, target, os.uname().nodename, config.token_file)
            sys.stderr.write(f"result: {place}\n")
        except DeliveryError as error:
            good = False
            sys.stderr.write(f"provision pull: the result could not be delivered: {error}\n")
    return good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
