"""Records of the model services on a host, and of all answers to the questions of the proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploys.plan.record import Record


@dataclass(frozen=True)
class ServiceContainer(Record):
    """A container of ours as the engine has it: `config` is its label, `image` the id that it was made from, `state` as docker says."""

    name: str
    config: str
    image: str
    state: str


@dataclass(frozen=True)
class GpuProcess(Record):
    """A process that computes on a GPU: its video memory in MiB (None unknown), and the service that it belongs to ("" none of ours)."""

    pid: int
    memory: int | None
    service: str


@dataclass(frozen=True)
class ServiceAnswer(Record):
    """What one service said. `state` and `health` as Docker or systemd says ("" not there); `smi_code` and `smi_text` of nvidia-smi inside."""

    state: str = ""
    health: str = ""
    smi_code: int | None = None
    smi_text: str = ""


@dataclass(frozen=True)
class ServiceProof(Record):
    """Answers by name of the service. `processes` None: nvidia-smi on the host gave no list."""

    answers: Mapping[str, ServiceAnswer] = field(default_factory=dict)
    processes: tuple[GpuProcess, ...] | None = None


@dataclass(frozen=True)
class ContainerAnswer(Record):
    """How a try in a container ended: its exit status (124 or 137: it hung) and the last lines of what it said."""

    code: int
    text: str = ""


@dataclass(frozen=True)
class ContainerProof(Record):
    """What CUDA answered in a container: `answers` by "run", "compose" and "reload"; `skipped` says why one was not tried."""

    answers: Mapping[str, ContainerAnswer] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MonitoringProof(Record):
    """`grafana`: it says that it is well. `targets`: job -> "up", or what Prometheus says is wrong; None: no answer."""

    grafana: bool = False
    targets: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Proof:
    """Answers of the host that only make sense after the work. None: the question got no answer.

    `smi_code` and `smi_text` are nvidia-smi's exit status and output (one line per GPU: index, name, driver version).
    `kernel_log` holds the last lines of the NVIDIA driver since boot, `xids` those that report an error of a GPU.
    `cuda` is the result of cuInit (0: success; source: CUDA driver API, CUresult), "no answer: REASON" when not tried.
    """

    smi_code: int | None = None
    smi_text: str = ""
    kernel_log: tuple[str, ...] | None = None
    xids: tuple[str, ...] | None = None
    cuda: str | None = None
