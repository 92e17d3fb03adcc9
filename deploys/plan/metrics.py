"""TELL: a result for Prometheus, in its text format, version 0.0.4 (source: prometheus.io, exposition formats)."""

from __future__ import annotations

from collections.abc import Iterator

from deploys.plan.result import Document, seconds_of
from deploys.plan.states import ORDER

Row = tuple[dict[str, str], float]


def metrics(document: Document) -> str:
    """All gauges of a document; ends with a line feed, as the format wants it."""
    lines: list[str] = []
    for name, text, rows in _gauges(document):
        lines += [f"# HELP {name} {_help(text)}", f"# TYPE {name} gauge"]
        lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in rows]
    return "\n".join(lines) + "\n"


def _gauges(document: Document) -> Iterator[tuple[str, str, list[Row]]]:
    """Name, explanation and samples; one of every state per host, so that an alert need not know which were there before."""
    hosts = document["hosts"]
    yield (
        "gpu_host_state",
        "1 for the state that the host is in, 0 for the others",
        [({"host": h["host"], "state": s}, float(h["state"] == s)) for h in hosts for s in ORDER],
    )
    yield (
        "gpu_host_gpus",
        "NVIDIA GPUs on the PCI bus",
        [(_host(h), float(sum(g["count"] for g in h["gpus"]))) for h in hosts],
    )
    yield (
        "gpu_host_pending_reboot",
        "1 where a reboot is pending",
        [(_host(h), float(h["reboot"]["pending"])) for h in hosts if h["reboot"]],
    )
    yield (
        "gpu_host_findings",
        "Findings of the checks that are not accepted",
        [
            (
                {"host": h["host"], "level": level},
                float(sum(f["level"] == level and not f["accepted"] for f in h["findings"])),
            )
            for h in hosts
            for level in ("stop", "warn")
        ],
    )
    yield (
        "gpu_host_last_proof_timestamp_seconds",
        "When the chain of proof was last read",
        [(_host(h), float(seconds_of(h["last_proof"]["at"]) or 0)) for h in hosts if h["last_proof"]],
    )
    yield (
        "gpu_host_last_seen_timestamp_seconds",
        "When a run last told of the host",
        [(_host(h), float(seconds_of(h["seen"]) or 0)) for h in hosts],
    )
    yield (
        "gpu_host_info",
        "Versions on the host",
        [({**_host(h), **{k: h[k] for k in ("system", "kernel", "driver", "docker", "runtime")}}, 1.0) for h in hosts],
    )


def _host(host: Document) -> dict[str, str]:
    return {"host": host["host"]}


def _help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_label(value)}"' for name, value in labels.items()) + "}"


def _label(value: str) -> str:
    """A value between quotes. A lone surrogate has no UTF-8, and one such byte would spoil the whole file."""
    clean = value.encode("utf-8", "replace").decode()
    return clean.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
