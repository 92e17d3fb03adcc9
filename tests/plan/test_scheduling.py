"""The page of a host names its clusters and who uses its GPUs, also where nothing will change."""

from __future__ import annotations

import pytest

from deploys.plan.describe import describe
from deploys.plan.machine import Job, Process, Scheduler
from deploys.plan.plan import make_plan
from deploys.plan.scheduling import describe_scheduler
from deploys.plan.settings import Settings
from tests.plan.hosts import debian_13_converged, distro_of


def test_page_names_clusters_and_users() -> None:
    working = Process(9, "alice", "python3", ("/dev/nvidia0",), 2048, place="Slurm job 7")
    slurm = Scheduler("slurm", "slurmd", "gpu-01", (Job("7", "alice"),))
    machine = debian_13_converged(schedulers=(slurm,), driver__holders=(working,))
    page = describe(make_plan(machine, Settings(), distro_of(machine)), machine, "gpu-01")
    assert "    scheduler     slurmd (Slurm node gpu-01), 1 job: 7 of alice\n" in page
    assert "    in use by     python3[9] of alice in Slurm job 7, 2 GiB\n" in page


def test_page_of_an_idle_host_says_nothing_of_users() -> None:
    machine = debian_13_converged()
    page = describe(make_plan(machine, Settings(), distro_of(machine)), machine, "gpu-01")
    assert "in use by" not in page
    assert "scheduler" not in page


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ((), "no pod with a GPU"),
        ((Job("a/b"),), "1 pod with a GPU: a/b"),
        (tuple(Job(f"a/{n}") for n in range(7)), "7 pods with a GPU: a/0, a/1, a/2, a/3, a/4 and 2 more"),
    ],
)
def test_work_is_counted(jobs: tuple[Job, ...], words: str) -> None:
    assert describe_scheduler(Scheduler("kubernetes", "kubelet", "n", jobs)) == f"kubelet (Kubernetes node n), {words}"
