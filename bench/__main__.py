"""./bench/run no-op [--hosts 1,8,32] [--latency 50ms] | first | isolation; see bench/README.md."""

from __future__ import annotations

import argparse
import signal
import sys

from bench import first, isolation, noop
from tests.bed.shell import BedError


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _milliseconds(text: str) -> int:
    return int(text.removesuffix("ms"))


def parser() -> argparse.ArgumentParser:
    """All options; without a scenario it is no-op."""
    found = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    found.add_argument("scenario", nargs="?", default="no-op", choices=("no-op", "first", "isolation"))
    found.add_argument("--hosts", type=_numbers, default=[1, 8, 32], help="sizes of the fleet: 1,8,32,100")
    found.add_argument("--latency", type=_milliseconds, default=0, help="round trip to the hosts: 50ms")
    found.add_argument(
        "--work-hosts", type=int, default=32, help="larger fleets only answer: they would measure themselves"
    )
    found.add_argument("--runs", type=int, default=3, help="counted runs of each contestant")
    found.add_argument("--no-ansible", dest="ansible", action="store_false", help="only what needs no other tool")
    found.add_argument("--ansible-hosts", type=int, default=8, help="no Ansible on larger fleets: it takes minutes")
    found.add_argument("--ansible-runs", type=int, default=1, help="counted runs of Ansible")
    return found


def main() -> int:
    options = parser().parse_args()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt  # the hosts are taken down on the way out

    signal.signal(signal.SIGTERM, interrupt)
    scenario = {"no-op": noop.main, "first": first.main, "isolation": isolation.main}[options.scenario]
    try:
        return scenario(options)
    except BedError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
