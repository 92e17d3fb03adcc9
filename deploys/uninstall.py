"""Take away what this toolkit has installed, and nothing else: packages, files, edits and units by the host's own records.

pyinfra INVENTORY deploys/uninstall.py [--dry] [-y]
"""

import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.plan.checks import may_change  # noqa: E402
from deploys.plan.removal import describe_removal, make_removal  # noqa: E402
from deploys.steps.finish import finish  # noqa: E402
from deploys.steps.remove import remove  # noqa: E402
from deploys.support.run import begin, entry, nothing_to_do, read_footprint, refuse_findings, show  # noqa: E402


def main() -> None:
    """A host where the removal would disturb somebody, or take what is not ours, is refused before anything is touched."""
    brief = begin(decide=False)
    if brief is None:
        return
    machine, settings = brief.machine, brief.settings
    removal = make_removal(machine, read_footprint(), settings)
    if removal.nothing:
        nothing_to_do("nothing of this toolkit is on the host")
        return
    show(describe_removal(removal, brief.name))
    if refuse_findings((*may_change(machine, settings), *removal.stops)):
        return
    remove(leaving=removal, limit=settings.operation_timeout)
    finish()


entry(main)
