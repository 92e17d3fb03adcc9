"""Run model services on provisioned hosts: `gpu_services` in a host's data, each a container or a raw process, with its GPU.

pyinfra INVENTORY deploys/inference_service.py -y
"""

import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.plan.gpu_access import choose_access, engine_of  # noqa: E402
from deploys.steps.finish import finish  # noqa: E402
from deploys.steps.serve import serve  # noqa: E402
from deploys.support.outcome import current  # noqa: E402
from deploys.support.run import begin, entry, gpu_access, nothing_to_do  # noqa: E402


def main() -> None:
    """A host whose engine cannot give a container its GPU for good is refused before anything is touched."""
    brief = begin(decide=False)
    if brief is None:
        return
    services = brief.settings.services
    if not services:
        nothing_to_do("gpu_services is empty")
        return
    needs = [s.name for s in services.values() if s.kind == "container" and s.gpus]
    access = gpu_access(brief, ", ".join(needs)) if needs else choose_access(engine_of(brief.machine))
    if access is None:
        return
    current().state = "passed"
    serve(settings=brief.settings, access=access, count=len(brief.machine.gpus))
    finish()


entry(main)
