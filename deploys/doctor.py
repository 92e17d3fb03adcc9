"""Examine only: which known troubles do the logs of each host speak of, why, and what repairs them? Changes nothing.

pyinfra INVENTORY deploys/doctor.py -y
"""

import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.steps.examine import examine  # noqa: E402
from deploys.support.run import begin, entry  # noqa: E402


def main() -> None:
    """The logs of a host, without judgement or plan."""
    if begin(decide=False) is not None:
        examine()


entry(main)
