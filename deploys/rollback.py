"""Go back to the packages that a host was proven with: the last proven set, or, where that is the one installed, the proven set before it.

pyinfra INVENTORY deploys/rollback.py [--dry] [-y]
"""

import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from dataclasses import replace  # noqa: E402

from deploys.plan.checks import may_change  # noqa: E402
from deploys.plan.rollback import describe_way_back, way_back  # noqa: E402
from deploys.steps import finish, prove, rollback  # noqa: E402
from deploys.support.run import begin, entry, refuse, refuse_findings, show  # noqa: E402


def main() -> None:
    """A host without a proven set, or whose GPUs are in use, is refused before anything is touched."""
    brief = begin(decide=False)
    if brief is None:
        return
    machine, settings = brief.machine, replace(brief.settings, services={}, monitoring=None)
    last, before = machine.proven, machine.proven_before
    target = last if before is None or way_back(machine, last, again=True).packages else before
    back = way_back(machine, target, again=True)
    show(describe_way_back(back, brief.name))
    if refuse_findings(may_change(machine, settings)):
        return
    if back.why_not:
        refuse("refused", back.why_not)
        return
    rollback.go_back(settings=settings, units=target.services if target else (), asked=back)
    prove.prove(settings=settings)
    prove.remember(target=target)
    finish.finish()


entry(main)
