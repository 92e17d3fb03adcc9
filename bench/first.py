"""`bench/run first`: placeholder"""

from __future__ import annotations

from argparse import Namespace


def main(_options: Namespace) -> int:
    return 0
