"""The metrics keep to the grammar of Prometheus' text format, whatever hosts are called."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from deploys.plan.metrics import metrics
from deploys.plan.result import Document
from deploys.plan.states import ORDER
from tests.plan.fleet import STARTED, fleet

_VALUE = r'"(?:[^"\\\n]|\\["\\n])*"'
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
PLAIN = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
SAMPLE = re.compile(rf"({_NAME})\{{((?:[a-z_]+={_VALUE},?)*)\}} (-?\d+(?:\.\d+)?)")


def parse(text: str) -> list[tuple[str, dict[str, str], float]]:
    """All samples, as Prometheus would read them; fails at anything that is outside of the grammar."""
    assert text.endswith("\n")
    seen: list[str] = []
    found = []
    for line in text.split("\n")[:-1]:
        if comment := re.fullmatch(rf"# (HELP|TYPE) ({_NAME}) (.+)", line):
            if comment[1] == "HELP":
                assert comment[2] not in seen, "all lines of a metric stand together"
                seen.append(comment[2])
            else:
                assert (comment[2], comment[3]) == (seen[-1], "gauge")
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] == seen[-1]
        labels = dict(re.findall(rf"([a-z_]+)=({_VALUE})", sample[2]))
        found.append(
            (
                sample[1],
                {k: re.sub(r"\\.", lambda m: PLAIN[m[0]], v[1:-1]) for k, v in labels.items()},
                float(sample[3]),
            )
        )
    return found


def test_every_host_has_one_state_that_is_one() -> None:
    document = fleet(2 * len(ORDER))
    samples = parse(metrics(document))
    assert len({(name, *labels.items()) for name, labels, _ in samples}) == len(samples), "no sample twice"
    for host in document["hosts"]:
        states = {
            labels["state"]: v for n, labels, v in samples if n == "gpu_host_state" and labels["host"] == host["host"]
        }
        assert [s for s, value in states.items() if value] == [host["state"]]
        assert len(states) == len(ORDER)


def value(document: Document, name: str, **wanted: str) -> list[float]:
    return [v for n, labels, v in parse(metrics(document)) if n == name and wanted.items() <= labels.items()]


def test_figures_are_those_of_the_result() -> None:
    document = fleet(len(ORDER))
    by_state = {h["state"]: h["host"] for h in document["hosts"]}
    assert value(document, "gpu_host_pending_reboot", host=by_state["reboot-pending"]) == [1]
    assert value(document, "gpu_host_pending_reboot", host=by_state["unreachable"]) == []
    assert value(document, "gpu_host_findings", host=by_state["refused"], level="stop") == [1]
    assert value(document, "gpu_host_last_proof_timestamp_seconds", host=by_state["ready"]) == [STARTED + 742]
    assert value(document, "gpu_host_last_proof_timestamp_seconds", host=by_state["refused"]) == []
    assert sum(value(document, "gpu_host_gpus")) == document["summary"]["gpus"]


def test_label_can_hold_anything() -> None:
    document = fleet(1)
    name = 'a"b\\c\nd{e="f"} 1\u2028\ud800'
    document["hosts"][0]["host"] = name
    (sample,) = [labels for n, labels, _ in parse(metrics(document)) if n == "gpu_host_gpus"]
    assert sample["host"] == name.replace("\ud800", "?")
    metrics(document).encode()


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool on this machine")
def test_prometheus_itself_takes_them() -> None:
    document = fleet(2 * len(ORDER))
    document["hosts"][0]["host"] = 'a"b\\c\nd'
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics(document), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
