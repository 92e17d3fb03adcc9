"""Judge only: which hosts could become GPU hosts, what would be done, and what stands in the way. Changes nothing.

pyinfra INVENTORY deploys/preflight.py -y
"""

import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.support.outcome import current  # noqa: E402
from deploys.support.run import begin, entry  # noqa: E402


def main() -> None:
    """A host that would be provisioned has passed."""
    if begin() is not None:
        current().state = "passed"


entry(main)
