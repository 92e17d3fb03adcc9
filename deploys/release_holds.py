"""Release the holds of this toolkit: the driver's packages are free to be upgraded. Holds of others stay.

pyinfra INVENTORY deploys/release_holds.py -y
"""

import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.steps.free import release  # noqa: E402
from deploys.support.run import begin, entry  # noqa: E402


def main() -> None:
    """No judgement, no plan: who calls this wants the packages free now. deploys/gpu_host.py holds them anew."""
    if begin(decide=False) is not None:
        release()


entry(main)
