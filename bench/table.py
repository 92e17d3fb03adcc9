"""Figures for people: ratios first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.contestants import Contestant
from bench.measure import Sample

Round = tuple[str, list[tuple[Contestant, Sample]]]


def of_host(seconds: Mapping[str, float]) -> str:
    """What the questions cost on the machine itself."""
    return "on the host, alone: " + ", ".join(f"{name} {took:.2f} s" for name, took in seconds.items())


def of_round(title: str, rows: Sequence[tuple[Contestant, Sample]]) -> str:
    """A row per contestant; ratios are of the product's wall time and CPU to the row's."""
    product = next(s for c, s in rows if c.name == "gpu-host")
    lines = [
        f"\n### {title}\n",
        "| | wall, times gpu-host | CPU, times gpu-host | wall s | controller CPU s | peak MiB | commands per host |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {c.name}{' (failed)' if s.code else ''}: `{c.what}` | {s.wall / product.wall:.2f} | {s.cpu / product.cpu:.2f} | {s.wall:.2f} | {s.cpu:.2f} | {s.peak:.0f} | {s.commands} |"
        for c, s in rows
    ]
    return "\n".join(lines)


def summary(rounds: Sequence[Round]) -> str:
    """A line per round: the product against its floor and against Ansible."""
    lines = [
        "\n### Ratios\n",
        "| round | wall of the floor | CPU of the floor | Ansible takes | Mitogen takes | commands | peak MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, rows in rounds:
        by_name = {c.name: s for c, s in rows}
        product, floor = by_name["gpu-host"], by_name["floor"]
        others = [
            f"{by_name[name].wall / product.wall:.1f}x" if name in by_name else "-" for name in ("Ansible", "Mitogen")
        ]
        lines.append(
            f"| {title} | {product.wall / floor.wall:.2f}x | {product.cpu / floor.cpu:.2f}x | {others[0]} | {others[1]} "
            f"| {product.commands} | {product.peak:.0f} |"
        )
    return "\n".join(lines)
