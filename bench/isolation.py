"""`bench/run isolation`: twenty hosts, one of them bad in each of ten ways, one run per way."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

from tests.bed.bed import Bed
from tests.bed.fleet import Fleet
from tests.hosts import isolation_lab as lab


def main(_options: Namespace) -> int:
    """A row per way; 1 when another host ended differently, or a run took more than 1.2 times the good one and the bad host's limit."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Bed.open() as bed:
        folder = Path(name)
        fleet = Fleet.of(bed.make_host("trixie", "fleet"), lab.SIZE, lab.answers())
        lab.run(fleet, folder, {})
        alone = lab.run(fleet, folder, {})
        print(f"without a bad host: {alone.seconds:.1f} s, exit code {alone.code}", flush=True)
        bad = list(fleet.addresses)[lab.SIZE // 2]
        for way, expected in lab.WAYS.items():
            done = lab.run(fleet, folder, {bad: way})
            found = done.hosts[bad]
            same = all(done.end(n) == alone.end(n) for n in alone.hosts if n != bad)
            most = 1.2 * alone.seconds + expected.limit
            good = (
                same
                and done.code == 1
                and done.seconds <= most
                and found["state"] == expected.state
                and expected.words in found["detail"]
                and expected.state in done.row(bad).split()
            )
            wrong += not good
            print(
                f"{'ok ' if good else 'BAD'} {way:8} {done.seconds:5.1f} s of {most:4.1f}  others {'as without it' if same else 'DIFFER'}"
                f"  {found['state']}: {found['detail']}",
                flush=True,
            )
    return int(wrong > 0)
