"""Prove only: is each host a working GPU host now, and still what it was when it was proven last? Changes nothing.

pyinfra INVENTORY deploys/verify.py -y
"""

import sys
from pathlib import Path

# pyinfra executes this file without its folder on the path; the checkout must be found from any working directory.
_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from deploys.steps import prove  # noqa: E402
from deploys.support.run import begin, entry  # noqa: E402


def main() -> None:
    """The chain of proof and what has drifted, without judgement or plan."""
    brief = begin(decide=False)
    if brief is not None:
        prove.prove(settings=brief.settings, compare=True)


entry(main)
