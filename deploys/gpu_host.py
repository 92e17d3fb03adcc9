"""Turn the hosts of an inventory into GPU inference hosts: read, judge, plan, act, prove, tell.

pyinfra INVENTORY deploys/gpu_host.py [--dry] [-y]
"""

import sys
from dataclasses import replace
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.steps import activate, drain, finish, nouveau, prove, rollback, software, sources  # noqa: E402
from deploys.support.run import begin, entry  # noqa: E402


def main() -> None:
    """Every host passes every line below; what has nothing to do there queues no operation."""
    brief = begin()
    if brief is None or brief.plan is None:
        return
    plan, settings = brief.plan, brief.settings
    sources.prepare(plan=plan, limit=settings.operation_timeout)
    drain.drain(plan=plan, settings=settings)
    software.install(plan=plan, limit=settings.operation_timeout)
    nouveau.block(limit=settings.operation_timeout)
    consent = "gpu_idle_before_driver_change" in settings.accept
    activate.activate(plan=plan, reboot_timeout=settings.reboot_timeout, consent=consent)
    # Services and monitoring are deploys of their own, which come after this one; verify.py proves them too.
    alone = replace(settings, services={}, monitoring=None)
    prove.prove(settings=alone, may_go_back=settings.rollback == "when-proof-fails")
    rollback.go_back(settings=alone, units=plan.services)
    prove.keep()
    prove.remember(plan=plan)
    drain.undrain(settings=settings)
    rollback.settle()
    finish.finish()


entry(main)
