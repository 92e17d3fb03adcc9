"""A host that is ready, with everything of silicon played, and a deploy that proves it and has it remember: the road without its packages."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.bed.shell import REPOSITORY
from tests.hosts.engine_lab import VERSION, Site

# Without Docker's part, whose proof takes longest and is tried elsewhere.
SETTINGS = {"gpu_profile": "raw", "gpu_cuda": None}
DEPLOY = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from deploys.knowledge.distros import find_distro
from deploys.plan.plan import make_plan
from deploys.steps import prove
from deploys.support.run import begin, entry

def main():
    brief = begin(decide=False)
    if brief:
        plan = make_plan(brief.machine, brief.settings, find_distro("debian", "13"))
        prove.prove(settings=brief.settings)
        prove.remember(plan=plan)

entry(main)
"""
UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"


def make_ready(site: Site) -> None:
    """The rest of what a proof asks for: a module on disk in the version of the libraries, and the persistence daemon."""
    host = site.host
    (site.folder / "prove.py").write_text(DEPLOY)
    host.put(
        "/usr/local/bin/modinfo",
        f"#!/bin/sh\ncase $* in -F*nvidia.ko*) echo {VERSION} ;; *nvidia.ko*) echo version: {VERSION} ;; esac",
        0o755,
    )
    host.put(f"/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{VERSION}", "")
    host.put("/etc/systemd/system/nvidia-persistenced.service", UNIT)
    host.nsenter(
        "d=/lib/modules/$(uname -r)/updates/dkms; mkdir -p $d; : >$d/nvidia.ko; systemctl daemon-reload; systemctl start nvidia-persistenced"
    )


def from_timer(site: Site) -> subprocess.CompletedProcess[str]:
    """The command of the unit that is shipped, as systemd starts it: no terminal, hardly any environment. Its inventory is the test's."""
    unit = (REPOSITORY / "docs/systemd/gpu-host-verify.service").read_text()
    (line,) = [line.removeprefix("ExecStart=") for line in unit.splitlines() if line.startswith("ExecStart=")]
    line = line.replace("/opt/gpu-host/my/inventory.py", str(site.folder / "inventory.py"))
    line = line.replace("/opt/gpu-host/provision", f"{sys.executable} -I -m deploys.support.front")
    done = subprocess.run(
        line.split(),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/root")},
        timeout=300,
    )
    print(done.stdout[-2000:], done.stderr[-4000:])
    return done
