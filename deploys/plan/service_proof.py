"""PROVE: does a model service run, and does it use the GPU it was given? One step per service, from what the host answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from deploys.plan.machine import GpuProcess, MonitoringProof, ServiceAnswer, ServiceProof
from deploys.plan.proof_step import Step
from deploys.plan.service import Service

LOST = "Failed to initialize NVML: Unknown Error"
# Exit codes of `docker exec` for a program that is not there (source: docker(1), exec).
_NO_PROGRAM = (126, 127)


def prove_services(services: Mapping[str, Service], proof: ServiceProof) -> tuple[Step, ...]:
    """A step per service, by name."""
    return tuple(
        _prove(service, proof.answers.get(name), proof.processes) for name, service in sorted(services.items())
    )


def prove_monitoring(proof: MonitoringProof, jobs: Mapping[str, str]) -> Step:
    """Grafana is well, and Prometheus reads every target that it should (`jobs` by name)."""
    if proof.targets is None:
        return Step("monitoring", "FAIL", "Prometheus does not answer: run deploys/monitoring.py")
    if not proof.grafana:
        return Step("monitoring", "FAIL", "Grafana does not answer: run deploys/monitoring.py")
    lacking = [f"{job} ({target})" for job, target in sorted(jobs.items()) if job not in proof.targets]
    if lacking:
        return Step("monitoring", "FAIL", f"not scraped: {', '.join(lacking)}; run deploys/monitoring.py")
    bad = {job: said for job, said in proof.targets.items() if job in jobs and said != "up"}
    if bad:
        first = "; ".join(f"{job}: {said}" for job, said in sorted(bad.items()))
        # Prometheus has not asked yet: a moment after its start.
        return Step("monitoring", "UNKNOWN" if set(bad.values()) == {"unknown"} else "FAIL", first[:300])
    return Step("monitoring", "PASS", f"Grafana answers, {len(jobs)} targets are up")


def _prove(service: Service, answer: ServiceAnswer | None, processes: tuple[GpuProcess, ...] | None) -> Step:
    name = f"service {service.name}"
    if answer is None:
        return Step(name, "UNKNOWN", "could not be asked")
    bad = _not_running(answer) or (_no_gpu(answer) if service.gpus else "")
    if bad:
        return Step(name, "FAIL", bad)
    if answer.health == "starting":
        return Step(name, "UNKNOWN", "its health check has not answered yet")
    if not service.gpus:
        return Step(name, "PASS", "runs, without a GPU as it is wanted")
    return _on_gpu(name, None if processes is None else [p for p in processes if p.service == service.name])


def _on_gpu(name: str, own: list[GpuProcess] | None) -> Step:
    if own is None:
        return Step(name, "UNKNOWN", "nvidia-smi on the host names no processes")
    if not own:
        return Step(
            name, "FAIL", "none of its processes is on a GPU: it runs on the CPU, or has not loaded its model yet"
        )
    memory = sum(p.memory or 0 for p in own)
    pids = ", ".join(str(p.pid) for p in own)
    return Step(name, "PASS" if memory else "FAIL", f"process {pids} with {memory} MiB of video memory")


def _not_running(answer: ServiceAnswer) -> str:
    if not answer.state:
        return "not there: run deploys/inference_service.py"
    if answer.state not in ("running", "active"):
        return f"does not run: {answer.state}"
    return "its health check says no" if answer.health == "unhealthy" else ""


def _no_gpu(answer: ServiceAnswer) -> str:
    """Why the GPU inside does not answer ("" it does, or nothing inside could ask)."""
    text = " ".join(answer.smi_text.split())[:200]
    if LOST in text:
        return "GPU lost: the container is to be made anew (deploys/inference_service.py after: docker rm -f)"
    if answer.smi_code is None or answer.smi_code in _NO_PROGRAM:
        return ""
    if answer.smi_code == 124:
        return "nvidia-smi inside gave no answer within its limit"
    if answer.smi_code != 0:
        return f"nvidia-smi inside ended with {answer.smi_code}: {text}"
    return "" if "GPU" in text else f"nvidia-smi inside names no GPU: {text or 'no output'}"
