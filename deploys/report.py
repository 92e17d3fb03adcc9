"""`./provision report`: one page of many results, the newest of every host. Contacts nothing; run without pyinfra."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploys.plan.metrics import metrics
from deploys.plan.page import page
from deploys.plan.result import Document, merge
from deploys.plan.states import USAGE_CODE
from deploys.support import reports


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./provision report",
        description="Makes one page of the results of many runs; of each host the newest counts.",
        epilog="Exit code: 0 the page is written, 2 there is nothing to make it of.",
    )
    add = parser.add_argument
    add(
        "results",
        nargs="*",
        type=Path,
        metavar="FOLDER|FILE",
        help="folders with results, or results; reports/ without",
    )
    add("--html", type=Path, metavar="FILE", help="the page; fleet.html in the first folder without")
    add("--json", type=Path, metavar="FILE", help="the same as one result")
    add("--prometheus", type=Path, metavar="FILE", help="the same for node_exporter's textfile collector")
    return parser


def _read(places: Sequence[Path]) -> list[Document]:
    """Results of all places. What is no result is an error where it was named, and a word where it only lay in a folder.

    Raises ResultError and OSError.
    """
    found = []
    for place in places:
        if not place.is_dir():
            found.append(reports.read(place))
            continue
        for path in reports.results_in(place):
            try:
                found.append(reports.read(path))
            except reports.ResultError as error:
                sys.stderr.write(f"left out: {error}\n")
    return found


def main(arguments: Sequence[str]) -> int:
    """Write the page; returns the exit code. Raises SystemExit(2) for arguments that mean nothing."""
    parser = _parser()
    words = parser.parse_args(arguments)
    places = words.results or [Path("reports")]
    folder = places[0] if places[0].suffix != ".json" else places[0].parent
    try:
        whole = merge(_read(places if words.results or folder.is_dir() else []))
        if whole is None:
            sys.stderr.write(
                f"{parser.prog}: no result in {', '.join(map(str, places))}; a run leaves one in reports/\n"
            )
            return USAGE_CODE
        target = words.html or folder / "fleet.html"
        reports.save(target, page(whole))
        if words.json:
            reports.save(words.json, reports.to_json(whole))
        if words.prometheus:
            reports.save(words.prometheus, metrics(whole))
    except (OSError, reports.ResultError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return USAGE_CODE
    counts = ", ".join(f"{count} {state}" for state, count in whole["summary"]["states"].items())
    sys.stdout.write(f"{target}: {counts}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
