"""A node of two clusters: a real Slurm, which drains it for a reboot, and pods that no container engine knows of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploys.plan.machine import Scheduler
from deploys.plan.scheduling import drain_commands
from tests.bed.host import Host
from tests.bed.inventory import run_pyinfra, write_inventory
from tests.bed.shell import wait_for
from tests.hosts.drain_lab import DEPLOY

# No control groups: Slurm wants those of version 1 or of version 2, and the machine below may have both.
CONF = """ClusterName=lab
SlurmctldHost=node
SlurmUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
NodeName=node CPUs=1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
UIDS = {"llm-0": "5f1c8b1e-1111-2222-3333-0123456789ab", "idle-0": "5f1c8b1e-1111-2222-3333-0123456789ac"}
PODS = "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice"


def slice_of(uid: str) -> str:
    return f"{PODS}/kubepods-burstable-pod{uid.replace('-', '_')}.slice"


@pytest.fixture(scope="module")
def host(make_module_host: Callable[..., Host]) -> Host:
    """nouveau is loaded on it until modprobe.d blocks it, so its state asks for one reboot."""
    host = make_module_host("bookworm", "node", nouveau="udev")
    host.put("/etc/modprobe.d/no.conf", "blacklist nouveau\n")
    host.put("/etc/slurm/slurm.conf", CONF)
    host.put("/etc/slurm/cgroup.conf", "CgroupPlugin=cgroup/v1\n")
    host.nsenter(
        "mkdir -p /var/spool/slurmctld /var/spool/slurmd; mknod /dev/nvidia0 c 10 229; apt-get -q update && "
        "DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends slurmd slurmctld slurm-client",
        timeout=600,
    )
    state(host, "idle")
    return host


def state(host: Host, wanted: str) -> None:
    """Wait until Slurm says so of the node."""
    wait_for(
        lambda: host.nsenter("sinfo -h -o %t", check=False).stdout.strip() == wanted, 60, f"the node to be {wanted}"
    )


def submit(host: Host, seconds: int) -> str:
    """The number of a job that holds a GPU for so long, and has begun."""
    words = f"sbatch --parsable -o /dev/null --wrap 'exec sleep {seconds} </dev/nvidia0'"
    job = host.nsenter(words).stdout.strip()
    wait_for(lambda: "RUNNING" in host.nsenter(f"scontrol show job {job}").stdout, 60, f"job {job} to run")
    return job


def pretend_kubernetes(host: Host) -> None:
    """An agent, a pod at work in cgroups of its own, and one that was given a GPU and sleeps."""
    rows = [
        f'{{"PodUID":"{u}","ContainerName":"c","ResourceName":"nvidia.com/gpu","DeviceIDs":{{}}}}'
        for u in UIDS.values()
    ]
    checkpoint = f'{{"Data":{{"PodDeviceEntries":[{",".join(rows)}]}}}}'
    host.put("/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint", checkpoint)
    host.nsenter(
        "for p in kubelet model-server; do cp /bin/sleep /usr/bin/$p; done; systemd-run --quiet --unit=kubelet kubelet 9999"
    )
    for name, uid in UIDS.items():
        host.nsenter(f"mkdir -p {slice_of(uid)} /var/log/pods/ml_{name}_{uid}")
    inside = f"{slice_of(UIDS['llm-0'])}/cri-containerd-{'ab' * 32}.scope"
    host.put("/srv/pod", f"mkdir -p {inside}; echo $$ >{inside}/cgroup.procs; exec model-server 9999 </dev/nvidia0")
    host.nsenter("systemd-run --quiet --unit=pretended-pod sh /srv/pod")


def run(host: Host, folder: Path, deploy: str | Path, **data: object) -> tuple[int, dict[str, object]]:
    settings = {"gpu_report_dir": str(folder), **data}
    done = run_pyinfra(write_inventory(folder / "inventory.py", [host], settings), deploy, "-y", timeout=300)
    print(done.stderr[-6000:])
    return done.returncode, json.loads((folder / "latest.json").read_text())["hosts"][0]


def test_jobs_and_pods_are_named_with_the_drain_that_fits(host: Host, tmp_path: Path) -> None:
    pretend_kubernetes(host)
    job = submit(host, 600)
    code, result = run(host, tmp_path, "deploys/preflight.py")
    findings = result["findings"]
    assert isinstance(findings, list)
    (found,) = [f for f in findings if f["check"] == "gpu_idle_before_driver_change"]
    assert (code, result["state"]) == (1, "refused")
    for words in (
        "model-server 9999[",
        "of root in pod ml/llm-0",
        "sleep 600[",
        f"Slurm job {job} of root",
        "pod ml/idle-0",
    ):
        assert words in found["found"]
    for drain in ("scontrol update nodename=node state=drain", "kubectl drain node --ignore-daemonsets"):
        assert drain in found["fix"]
    host.nsenter(f"systemctl stop pretended-pod kubelet; scancel {job}; rm -r /var/lib/kubelet")
    state(host, "idle")


def test_slurm_drains_the_node_for_a_reboot_and_gets_it_back(host: Host, tmp_path: Path) -> None:
    """With the commands that the refusal shows: the job comes to its end, no other begins before the reboot, and the waiting one runs after it."""
    drain, undrain = drain_commands(Scheduler("slurm", "slurmd", "node"))
    host.nsenter("rm -rf /var/log/pods")
    before, job = host.boot_id(), submit(host, 20)
    waiting = host.nsenter(
        "sbatch --parsable -o /dev/null --wrap 'cat /proc/sys/kernel/random/boot_id >/srv/boot'"
    ).stdout
    (tmp_path / "deploy.py").write_text(DEPLOY)
    assert run(host, tmp_path, tmp_path / "deploy.py", gpu_drain=drain, gpu_undrain=undrain)[0] == 0
    assert host.boot_id() != before
    said = host.nsenter(f"scontrol show job {job}", check=False).stdout
    assert "JobState=COMPLETED" in said or not said, "its work was done, not killed"
    wait_for(
        lambda: host.nsenter("cat /srv/boot", check=False).stdout.strip() == host.boot_id(), 90, f"job {waiting} to run"
    )
