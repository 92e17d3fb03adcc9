"""Checks of the work on a host: who is named, and what the way out is."""

from __future__ import annotations

from deploys.plan.machine import Job, Machine, Process, Scheduler
from tests.plan.hosts import changed, debian_12_bare, debian_13_converged, holders
from tests.plan.rows.case import BARE, DONE, EMPTY, ok, stop, warn

NVIDIA0 = ("/dev/nvidia0",)
SLURM = Scheduler("slurm", "slurmd", "gpu-01")
KUBERNETES = Scheduler("kubernetes", "kubelet", "gpu-02.example")


def working(*schedulers: Scheduler, processes: tuple[Process, ...] = (), containers: tuple[str, ...] = ()) -> Machine:
    """A bare host, whose driver will change, with this work on it."""
    return debian_12_bare(schedulers=schedulers, driver__holders=processes, docker__gpu_containers=containers)


WORK = [
    ok("gpu_idle_before_driver_change", "idle", BARE),
    ok(
        "gpu_idle_before_driver_change",
        "in use, nothing changes",
        debian_13_converged(driver__holders=holders("python3 serve.py")),
    ),
    ok("gpu_idle_before_driver_change", "unsupported distribution", changed(EMPTY, driver__holders=holders("python3"))),
    *(
        ok("gpu_idle_before_driver_change", f"{command!r} lets go", debian_12_bare(driver__holders=holders(command)))
        for command in (
            "/usr/bin/nvidia-persistenced --user nvpd",
            "nvidia-persistenced",
            "nvidia-persiste",
            "/usr/bin/nvidia-persistenced --user nvpd --socket /run/other",
        )
    ),
    stop(
        "gpu_idle_before_driver_change",
        "driver missing, GPU in use",
        debian_12_bare(driver__holders=holders("python3 serve.py", "nvidia-persistenced")),
        "python3 serve.py[100] of alice",
        "because the driver changes",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "a name that only looks like the daemon's",
        debian_12_bare(driver__holders=holders("python3 /tmp/nvidia-persistenced")),
        "python3 /tmp/nvidia-persistenced",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "a transaction was cut off, and somebody has begun to work since",
        debian_13_converged(packages__cut_off=True, driver__holders=holders("ollama serve")),
        "ollama serve",
        "because the driver changes",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "another driver is loaded than the one on disk",
        debian_13_converged(driver__loaded="550.90.07", driver__holders=holders("ollama serve")),
        "ollama serve",
        "reboot",
    ),
    ok(
        "gpu_idle_before_driver_change",
        "the same, but no reboot is allowed",
        debian_13_converged(driver__loaded="550.90.07", driver__holders=holders("ollama serve")),
        reboot="never",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "nothing known of the process",
        debian_12_bare(driver__holders=(Process(7, None, None),)),
        "?[7] of ?",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "many",
        debian_12_bare(driver__holders=holders(*(f"job-{n}" for n in range(9)))),
        "job-4",
        "and 4 more",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "all that is known of a process, the largest first",
        working(
            processes=(
                Process(99, "bob", "ollama serve", NVIDIA0, 900, place="unit ollama.service"),
                Process(1234, "alice", "python3", NVIDIA0, 23 * 1024 + 100, place="container llm"),
                Process(7, "eve", "jupyter", NVIDIA0),
            ),
            containers=("llm", "idle-one"),
        ),
        "in use by python3[1234] of alice in container llm, 23 GiB; ollama serve[99] of bob in unit ollama.service, 900 MiB; "
        "jupyter[7] of eve; container idle-one\n",
    ),
    *(
        ok("gpu_idle_before_driver_change", f"{command} only watches", working(processes=holders(command)))
        for command in ("nvidia-smi dmon", "nvidia-device-plugin", "/usr/bin/gpu-feature-discovery")
    ),
    stop(
        "gpu_idle_before_driver_change",
        "jobs of Slurm, with and without a process on a GPU",
        working(
            Scheduler("slurm", "slurmd", "gpu-01", (Job("12", "alice"), Job("13", "bob"), Job("14"))),
            processes=(Process(1, "alice", "train", NVIDIA0, place="Slurm job 12"),),
        ),
        "in use by train[1] of alice in Slurm job 12; Slurm jobs 13 of bob, 14\n",
        "gpu_drain = 'scontrol update nodename=gpu-01 state=drain reason=gpu-host && while squeue -h -w gpu-01",
        "gpu_undrain = 'scontrol update nodename=gpu-01 state=resume'",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "a pod that was given a GPU and does nothing",
        working(Scheduler("kubernetes", "kubelet", "gpu-02.example", (Job("ml/llm-0"),))),
        "in use by pod ml/llm-0\n",
        "gpu_drain = 'kubectl drain gpu-02.example --ignore-daemonsets', gpu_undrain = 'kubectl uncordon gpu-02.example'",
    ),
    stop(
        "gpu_idle_before_driver_change",
        "a distribution of Kubernetes with a kubectl of its own",
        working(Scheduler("kubernetes", "k3s-agent", "n", (Job("ml/llm-0"),))),
        "'k3s kubectl drain n ",
    ),
    ok("scheduler_sends_no_work", "no cluster", BARE),
    ok("scheduler_sends_no_work", "nothing will change", changed(DONE, schedulers=(SLURM,))),
    ok("scheduler_sends_no_work", "drained first", working(SLURM), drain="true", undrain="true"),
    ok("scheduler_sends_no_work", "busy, which is another check's", working(SLURM, containers=("llm",))),
    warn(
        "scheduler_sends_no_work",
        "an idle node",
        working(SLURM, KUBERNETES),
        "slurmd (Slurm node gpu-01), no job; kubelet (Kubernetes node gpu-02.example), no pod with a GPU",
        "because the driver changes",
        "scontrol update nodename=gpu-01 state=drain",
        "kubectl drain gpu-02.example",
    ),
]
