"""The proof of a model service: it runs, its GPU answers inside, its process is on a GPU; and every lie is told apart."""

from __future__ import annotations

from typing import Any

import pytest

from deploys.plan.machine import GpuProcess, ServiceAnswer, ServiceProof
from deploys.plan.service import Service
from deploys.plan.service_proof import prove_services
from facts.service_proof import parse

CONTAINER = "5f" * 32
GOOD = ServiceAnswer("running", "healthy", 0, "GPU 0: NVIDIA L4 (UUID: GPU-1)")
ON_GPU = (GpuProcess(4242, 18231, "llm"),)


def step(
    answer: ServiceAnswer | None, processes: tuple[GpuProcess, ...] | None = ON_GPU, **service: Any
) -> tuple[str, str]:
    answers = {} if answer is None else {"llm": answer}
    (found,) = prove_services({"llm": Service("llm", **service)}, ServiceProof(answers, processes))
    assert found.name == "service llm"
    return found.result, found.detail


def test_a_service_on_its_gpu_is_proven_by_process_and_memory() -> None:
    assert step(GOOD) == ("PASS", "process 4242 with 18231 MiB of video memory")


@pytest.mark.parametrize(
    ("answer", "processes", "result", "words"),
    [
        (None, ON_GPU, "UNKNOWN", "could not be asked"),
        (ServiceAnswer(), ON_GPU, "FAIL", "not there: run deploys/inference_service.py"),
        (ServiceAnswer("exited"), ON_GPU, "FAIL", "does not run: exited"),
        (ServiceAnswer("running", "unhealthy"), ON_GPU, "FAIL", "its health check says no"),
        (ServiceAnswer("running", "starting", 0, "GPU 0"), ON_GPU, "UNKNOWN", "has not answered yet"),
        (ServiceAnswer("running", "", 255, "Failed to initialize NVML: Unknown Error"), ON_GPU, "FAIL", "GPU lost"),
        (ServiceAnswer("running", "", 0, "Failed to initialize NVML: Unknown Error"), ON_GPU, "FAIL", "GPU lost"),
        (ServiceAnswer("running", "", 9, "couldn't communicate"), ON_GPU, "FAIL", "nvidia-smi inside ended with 9"),
        (ServiceAnswer("running", "", 124, ""), ON_GPU, "FAIL", "no answer within its limit"),
        (ServiceAnswer("running", "", 0, ""), ON_GPU, "FAIL", "names no GPU: no output"),
        (GOOD, (), "FAIL", "it runs on the CPU"),
        (GOOD, (GpuProcess(1, 900, "other"), GpuProcess(2, 900, "")), "FAIL", "it runs on the CPU"),
        (GOOD, (GpuProcess(1, 0, "llm"),), "FAIL", "0 MiB of video memory"),
        (GOOD, (GpuProcess(1, None, "llm"),), "FAIL", "0 MiB of video memory"),
        (GOOD, None, "UNKNOWN", "names no processes"),
        (ServiceAnswer("running", "", 127, "not found"), ON_GPU, "PASS", "process 4242"),
    ],
)
def test_every_lie_is_told_apart(
    answer: ServiceAnswer | None, processes: tuple[GpuProcess, ...] | None, result: str, words: str
) -> None:
    found, detail = step(answer, processes)
    assert found == result
    assert words in detail


def test_a_service_without_a_gpu_only_has_to_run() -> None:
    assert step(ServiceAnswer("active"), None, gpus="", kind="raw") == ("PASS", "runs, without a GPU as it is wanted")


ANSWER = f"""\
service llm running healthy
identity llm {CONTAINER}
smicode llm 0
smi llm GPU 0: NVIDIA L4 (UUID: GPU-1)
service raw active
identity raw gpu-service-raw.service
service gone
asked
listed
app 4242 18231 0::/system.slice/docker-{CONTAINER}.scope
app 4243 512 0::/system.slice/gpu-service-raw.service
app 4244 [N/A] 12:devices:/docker/{CONTAINER} 0::/
app 4245 7 0::/user.slice/user-0.slice
"""


def test_processes_are_mapped_to_containers_and_units() -> None:
    found = parse(ANSWER)
    assert found.answers["llm"] == GOOD
    assert found.answers["raw"] == ServiceAnswer("active")
    assert found.answers["gone"] == ServiceAnswer()
    assert found.processes == (
        GpuProcess(4242, 18231, "llm"),
        GpuProcess(4243, 512, "raw"),
        GpuProcess(4244, None, "llm"),
        GpuProcess(4245, 7, ""),
    )
    assert parse(ANSWER.replace("listed\n", "")).processes is None
    assert parse("") == ServiceProof()
