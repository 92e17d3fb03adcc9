"""A guest and the product's runs on it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bed.furnish import COMMAND_LOG
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.vm.machine import PATIENCE, Vm

RUN_LIMIT = 900.0  # seconds on a quiet machine
BACK_LIMIT = 600
RESTART = "reboot: Restarting system"  # the kernel's last word on the console


@dataclass
class Road:
    """The guest, what it was like before the run, and what the run said."""

    vm: Vm
    folder: Path
    modules_before: set[str] = field(default_factory=set)
    image_before: str = ""
    boot_before: str = ""
    first: subprocess.CompletedProcess[str] | None = None

    def run(self, reboot_timeout: int = BACK_LIMIT) -> subprocess.CompletedProcess[str]:
        """The product, as an operator runs it."""
        data = {
            "gpu_profile": "raw",
            "gpu_cuda": None,
            "gpu_reboot_timeout": reboot_timeout,
            "gpu_report_dir": str(self.folder),
        }
        inventory = write_inventory(
            self.folder / "inventory.py", [(self.vm.name, {**self.vm.inventory_data(), **data})]
        )
        done = run_pyinfra(inventory, "deploys/gpu_host.py", "-y", timeout=RUN_LIMIT * PATIENCE)
        print(done.stdout[-3000:], done.stderr[-8000:])
        return done

    @property
    def report(self) -> dict[str, Any]:
        """The JSON file of the latest run."""
        document: dict[str, Any] = json.loads((self.folder / "latest.json").read_text())
        return document

    @property
    def outcome(self) -> dict[str, Any]:
        (outcome,) = self.report["hosts"]
        assert isinstance(outcome, dict)
        return outcome

    def commands(self) -> list[str]:
        """Remote commands that the guest has been given, this question included: time (s since 1970) and text."""
        return self.vm.ssh(f"cat /{COMMAND_LOG}").stdout.splitlines()

    def image(self) -> str:
        """What is inside the boot image of the running kernel."""
        return self.vm.ssh('lsinitramfs "/boot/initrd.img-$(uname -r)"', timeout=300 * PATIENCE).stdout
