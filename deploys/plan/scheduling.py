"""TELL: the clusters that a host belongs to, and how their work is moved away. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from deploys.plan.machine import Machine, Scheduler

# Agents that bring their own kubectl.
_KUBECTL = {"k3s-agent": "k3s kubectl", "k3s-server": "k3s kubectl", "kubelite": "microk8s kubectl"}


def describe_scheduler(scheduler: Scheduler) -> str:
    """A line about one cluster."""
    what = "job" if scheduler.kind == "slurm" else "pod with a GPU"
    jobs = [f"{job.name} of {job.user}" if job.user else job.name for job in scheduler.jobs]
    count = f"{len(jobs)} {what.replace('job', 'jobs').replace('pod', 'pods') if len(jobs) > 1 else what}"
    shown = ", ".join(jobs[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
    work = f"{count}: {shown}" if jobs else f"no {what}"
    return f"{scheduler.agent} ({_label(scheduler)} node {scheduler.node}), {work}"


def drain_commands(scheduler: Scheduler) -> tuple[str, str]:
    """Shell commands for gpu_drain and gpu_undrain. Both wait until the work has left; the limit of the hook ends that."""
    node = scheduler.node
    if scheduler.kind == "slurm":
        # Slurm lets running jobs come to their end, so there is something to wait for.
        wait = f"while squeue -h -w {node} -t R,CG,CF,S | grep -q .; do sleep 5; done"
        drain = f"scontrol update nodename={node} state=drain reason=gpu-host && {wait}"
        return drain, f"scontrol update nodename={node} state=resume"
    kubectl = _KUBECTL.get(scheduler.agent, "kubectl")
    return f"{kubectl} drain {node} --ignore-daemonsets", f"{kubectl} uncordon {node}"


def drain_hint(machine: Machine) -> Iterator[str]:
    """What to write into a host's data so that its work is moved away."""
    for scheduler in machine.schedulers:
        drain, undrain = drain_commands(scheduler)
        yield f"gpu_drain = {_quoted(drain)}, gpu_undrain = {_quoted(undrain)}"


def _quoted(command: str) -> str:
    return f"'{command}'"


def _label(scheduler: Scheduler) -> str:
    return {"slurm": "Slurm", "kubernetes": "Kubernetes"}[scheduler.kind]
