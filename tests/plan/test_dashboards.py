"""The dashboards that Grafana is given: nothing for a person to fill in, nothing that overlaps, no unknown metric."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "deploys/knowledge/dashboards"
SOURCE = {"type": "prometheus", "uid": "gpu-host-prometheus"}
# source: NVIDIA/dcgm-exporter, etc/default-counters.csv (what it exports when it is told nothing)
DCGM = {
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_SM_CLOCK",
    "DCGM_FI_DEV_XID_ERRORS",
}
# source: utkuozdemir/nvidia_gpu_exporter, METRICS.md (1.x) and internal/integration/testdata (whole scrapes, by GPU)
NVML = {
    "nvidia_smi_clocks_current_sm_clock_hz",
    "nvidia_smi_memory_total_bytes",
    "nvidia_smi_memory_used_bytes",
    "nvidia_smi_power_draw_watts",
    "nvidia_smi_temperature_gpu",
    "nvidia_smi_utilization_gpu_ratio",
}
# source: prometheus.io/docs/concepts/jobs_instances (Prometheus writes it for every target)
ALWAYS = {"up"}
METRICS = {"gpu-dcgm.json": DCGM | ALWAYS, "gpu-nvml.json": NVML | ALWAYS}
# source: grafana/grafana, packages/grafana-data/src/valueFormats/categories.ts
UNITS = {"none", "percent", "percentunit", "bytes", "mbytes", "celsius", "watt", "hertz"}
WANTED = {"GPUs seen", "Utilisation", "Video memory used of total", "Temperature", "Power", "SM clock", "Targets up"}
WANTED |= {"Model services up"}
# Words of PromQL that stand where a metric could.
PROMQL = {"by", "or", "on", "group_left"}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return found


def metrics(expression: str) -> set[str]:
    """Names of metrics: what is no function, no label and no word of the language."""
    bare = re.sub(r"\{[^}]*\}|\b(?:by|on|group_left)\s*\([^)]*\)", " ", expression)
    return set(re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - PROMQL


def places(panel: dict[str, Any]) -> set[tuple[int, int]]:
    x, y, w, h = (panel["gridPos"][key] for key in "xywh")
    return set(itertools.product(range(x, x + w), range(y, y + h)))


@pytest.mark.parametrize("name", METRICS)
def test_grafana_can_take_it_as_it_is(name: str) -> None:
    dashboard = read(name)
    assert (dashboard["uid"], dashboard["schemaVersion"]) == ("gpu-host-gpus", 39)
    assert ("__inputs" in dashboard, dashboard["templating"]) == (False, {"list": []})
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert set(titles) >= WANTED
    assert ("Last Xid error" in titles) == (name == "gpu-dcgm.json")
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(titles)


@pytest.mark.parametrize("name", METRICS)
def test_every_panel_asks_our_data_source_and_has_a_unit(name: str) -> None:
    for panel in read(name)["panels"]:
        assert panel["title"]
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert asked == [SOURCE] * (len(panel["targets"]) + 1)
        assert panel["targets"]
        assert all(target["expr"].strip() and target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("name", METRICS)
def test_no_panel_covers_another(name: str) -> None:
    panels = read(name)["panels"]
    assert all(0 <= x < 24 for panel in panels for x, _ in places(panel))
    both = [(a["title"], b["title"]) for a, b in itertools.combinations(panels, 2) if places(a) & places(b)]
    assert both == []


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_one_that_the_exporter_has(name: str) -> None:
    used = {
        metric for panel in read(name)["panels"] for target in panel["targets"] for metric in metrics(target["expr"])
    }
    assert used == METRICS[name]


def test_metrics_are_read_from_an_expression() -> None:
    expression = '100 * sum(a_b{job!="x"}) / count(count by (UUID) (C:d * 1e6)) or vector(0)'
    assert metrics(expression) == {"a_b", "C:d"}


def test_no_other_dashboard_is_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(METRICS)
