"""Watch provisioned hosts: Prometheus, Grafana and an exporter of the GPUs as a Compose network (`gpu_monitoring`), on loopback.

pyinfra INVENTORY deploys/monitoring.py -y
"""

import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.plan.gpu_access import engine_of  # noqa: E402
from deploys.plan.monitoring import make_stack  # noqa: E402
from deploys.steps.finish import finish  # noqa: E402
from deploys.steps.monitor import run_own, watch  # noqa: E402
from deploys.support.folder import FolderError, pack  # noqa: E402
from deploys.support.outcome import current  # noqa: E402
from deploys.support.run import begin, entry, gpu_access, nothing_to_do, refuse  # noqa: E402


def main() -> None:
    """A host without Compose, or whose containers cannot get a GPU for good, is refused before anything is touched."""
    brief = begin(decide=False)
    if brief is None:
        return
    wanted, machine = brief.settings.monitoring, brief.machine
    if wanted is None:
        nothing_to_do("gpu_monitoring is not set")
        return
    if not machine.docker.compose:
        refuse("refused", 'no Compose v2 on this host: run deploys/gpu_host.py, or gpu_docker_source = "docker"')
        return
    access = gpu_access(brief, "monitoring")
    if access is None:
        return
    # Each host passes the same two lines; what differs is which of them has something to do.
    try:
        packed = pack(wanted.directory) if wanted.directory else None
    except FolderError as error:
        refuse("refused", f"gpu_monitoring: {error}")
        return
    current().state = "passed"
    if packed is None:
        watch(stack=make_stack(wanted, machine, brief.settings.services, access), wanted=wanted)
    else:
        run_own(packed=packed, engine=engine_of(machine), access=access)
    finish()


entry(main)
