"""Images, ports and dashboards of the monitoring network. Digests only where several independent users of the tag name the same one."""

from __future__ import annotations

from pathlib import Path

from deploys.knowledge.records import Source

PROMETHEUS = (
    "prom/prometheus:v3.13.3@sha256:6976aa8a60fec930796ce5772b8d12da7a318a5daa8d40d69c5c7819a05eeed7",
    Source("ten public repositories that pin v3.13.3 (an LTS release) name this digest", "2026-11-27"),
)
GRAFANA = (
    "grafana/grafana:13.2.3@sha256:b28bae15e219c998fb0e0424ed724930cc61b1f61fb404d47c862f9a23f9e572",
    Source("six public repositories that pin 13.2.3 name this digest", "2026-11-27"),
)
# Exporters, by version. DCGM knows data-centre GPUs; the other one reads nvidia-smi, which knows all.
DCGM = (
    "nvcr.io/nvidia/k8s/dcgm-exporter:4.6.0-4.8.3-distroless",
    Source("tags in use: two public repositories; digest unknown", "2026-11-27"),
)
NVML = (
    "utkuozdemir/nvidia_gpu_exporter:1.15.1",
    Source("one public repository that pins it; github utkuozdemir/nvidia_gpu_exporter, releases", "2026-11-27"),
)
# Port that each exporter listens on inside its container.
EXPORTER_PORTS = {"dcgm": 9400, "nvml": 9835}
# User id of Grafana in its image (source: Grafana documentation, "Configure a Grafana Docker image").
GRAFANA_UID = 472
# Names that the dashboards use.
DATA_SOURCE, GPU_JOB = "gpu-host-prometheus", "gpu"
_FOLDER = Path(__file__).parent / "dashboards"


def dashboard(exporter: str) -> str:
    """The text of the dashboard over the metrics of that exporter."""
    return (_FOLDER / f"gpu-{exporter}.json").read_text(encoding="utf-8")
