"""Who works on a host: processes on the GPUs with what they are part of, and the jobs of Slurm and Kubernetes."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploys.plan.machine import Job, Process, Scheduler
from facts import docker, holders, schedulers, units
from facts.probe import parse_machine, replace_section
from facts.subject import Subject
from tests.parse.host import at_root, link, program, read_root, recording, section, write
from tests.parse.test_driver import INFO

ID = "0123456789abcdef" * 4
UID = "5f1c8b1e-1111-2222-3333-0123456789ab"
SLICE = f"kubepods-burstable-pod{UID.replace('-', '_')}.slice"
STATIC = "0123456789abcdef" * 2
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees the files that others hold")


@pytest.mark.parametrize(
    ("cgroup", "words"),
    [
        ("", ""),
        ("/", ""),
        ("/user.slice/user-1000.slice/session-3.scope", ""),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", ""),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/llm.service", "unit llm.service"),
        ("/system.slice/ssh.service", ""),
        ("/system.slice/llm.service", "unit llm.service"),
        (f"/system.slice/docker-{ID}.scope", "container llm"),
        (f"/docker/{ID} /system.slice/containerd.service", "container llm"),
        (f"/machine.slice/libpod-{'f' * 64}.scope/container", "container ffffffffffff"),
        (f"/kubepods.slice/kubepods-burstable.slice/{SLICE}/cri-containerd-{ID}.scope", "pod ml/llm-0"),
        (f"/kubepods/besteffort/pod{UID}/{ID}", "pod ml/llm-0"),
        (f"/kubepods.slice/kubepods-pod{STATIC}.slice/crio-{ID}.scope", f"pod {STATIC}"),
        (f"/system.slice/k3s.service /kubepods/burstable/pod{UID}/{ID}", "pod ml/llm-0"),
        ("/system.slice/slurmstepd.scope/job_12/step_0/user/task_0", "Slurm job 12"),
        ("/slurm/uid_1000/job_12/step_batch", "Slurm job 12"),
        ("/slurm_gpu-01/uid_1000/job_12/step_batch", "Slurm job 12"),
        ("/lxc.payload.web/system.slice/llm.service", "container web"),
    ],
)
def test_what_a_process_is_part_of(cgroup: str, words: str) -> None:
    assert holders.place(cgroup, {ID: "llm"}, {UID: "ml/llm-0"}) == words


def test_memory_of_all_gpus_and_never_a_guess() -> None:
    text = "fd 9 /dev/nvidia0\nprocess 9 root python3\nfd 10 /dev/nvidia0\nfd 11 /dev/nvidia0\n"
    rows = "memory 9, 1000\nmemory 9, 24\nmemory 10, [N/A]\nmemory 77, 5\n"
    assert [p.memory for p in holders.parse(f"{text}{rows}memory listed\n")] == [1024, None, None]
    assert [p.memory for p in holders.parse(text + rows)] == [None] * 3, "nvidia-smi did not come to its end"
    assert [p.memory for p in holders.parse(text)] == [None] * 3


def process(root: Path, pid: int, comm: str, command: str, cgroup: str = "0::/\n") -> None:
    write(root, f"/proc/{pid}/comm", f"{comm}\n")
    write(root, f"/proc/{pid}/cmdline", command.replace(" ", "\0") + "\0")
    write(root, f"/proc/{pid}/cgroup", cgroup)


def hurried(subject: Subject[Any]) -> Subject[Any]:
    """The same with limits of a second or two."""
    script = subject.script.replace("timeout -k 1 8 ", "timeout -k 1 1 ").replace("timeout -k 1 10 ", "timeout -k 1 2 ")
    assert script.count("timeout -k 1 2 ") == 1
    return replace(subject, script=script)


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A root with the persistence daemon, and a process on a GPU in a container of a host with version 1 of control groups."""
    write(tmp_path, "/dev/nvidia0")
    process(tmp_path, 10, "nvidia-persiste", "/usr/bin/nvidia-persistenced --user nvpd")
    process(
        tmp_path, 20, "python3", "python3 serve.py --key=secret", f"5:cpu:/docker/{ID}\n4:pids:/docker/{ID}\n0::/\n"
    )
    for pid in (10, 20):
        link(tmp_path, f"/proc/{pid}/fd/7", "/dev/nvidia0")
    return tmp_path


@needs_root
def test_holders_of_a_root(busy: Path) -> None:
    path = program(busy, "nvidia-smi", "echo '20, 23552'")
    daemon, worker = read_root(holders.SUBJECT, busy, path)
    assert (daemon.pid, daemon.memory, daemon.place) == (10, None, "")
    assert worker == Process(
        20, "root", "python3 serve.py", ("/dev/nvidia0",), 23552, f"/docker/{ID} /", f"container {ID[:12]}"
    )


@needs_root
def test_an_idle_gpu_is_not_woken(busy: Path) -> None:
    """Without a daemon that holds it, nvidia-smi would initialise a GPU, which takes seconds."""
    (busy / "proc/20/fd/7").unlink()
    path = program(busy, "nvidia-smi", f"touch {busy}/asked; echo '20, 23552'")
    assert [p.pid for p in read_root(holders.SUBJECT, busy, path)] == [10]
    assert not (busy / "asked").exists()


@needs_root
def test_nvidia_smi_that_cannot_be_ended_costs_seconds_and_the_memory_only(busy: Path) -> None:
    """A process in the kernel's hands keeps its pipe open whatever is done to it; so does one that has got away."""
    path = program(busy, "nvidia-smi", "echo '20, 1'; setsid sleep 10 & wait")
    started = time.monotonic()
    found = section(at_root(hurried(holders.SUBJECT), busy), path=path)
    assert time.monotonic() - started < 9
    assert found.problem == ""
    assert [(p.pid, p.memory) for p in holders.parse(found.text.replace(str(busy), ""))] == [(10, None), (20, None)]


def test_names_of_containers_and_pods_come_from_the_engine_and_the_kubelet() -> None:
    text = recording("debian-13-converged")
    told = f"looked\nclient Docker version 26.1.5\ninfo {INFO}\ngpu-asked\ncontainer {ID} /llm\n"
    lines = f"fd 5 /dev/nvidia0\nprocess 5 alice python3\ncgroup 5 /docker/{ID}\nfd 6 /dev/nvidia0\ncgroup 6 /kubepods/pod{UID}/{ID}\n"
    text = replace_section(replace_section(text, "docker", told), "holders", lines)
    text = replace_section(text, "schedulers", f"hostname n\nagent kubelet -\npod ml_llm-0_{UID}\n")
    assert [p.place for p in parse_machine(text).driver.holders] == ["container llm", "pod ml/llm-0"]
    assert docker.parse(told).containers == {ID: "llm"}


def test_host_of_no_cluster(tmp_path: Path) -> None:
    process(tmp_path, 1, "systemd", "/sbin/init")
    assert read_root(schedulers.SUBJECT, tmp_path) == ()


def slurm_root(root: Path) -> None:
    process(root, 7, "slurmd", "/usr/sbin/slurmd -D -s -N gpu-01")
    link(root, "/proc/7/exe", "/usr/sbin/slurmd")
    write(root, "/usr/sbin/slurmd")
    process(
        root, 8, "slurmstepd", "slurmstepd: [12.batch]", "0::/system.slice/slurmstepd.scope/job_12/step_batch/slurm\n"
    )
    process(root, 9, "slurmstepd", "/usr/sbin/slurmstepd", "0::/system.slice/slurmstepd.scope/job_9/step_0/slurm\n")
    process(root, 10, "slurmstepd", "/usr/sbin/slurmstepd infinity", "0::/system.slice/slurmstepd.scope/system\n")


def test_slurm_by_its_own_processes_and_by_the_controller(tmp_path: Path) -> None:
    slurm_root(tmp_path)
    path = program(tmp_path, "squeue", f'echo "$*" >{tmp_path}/asked; echo 12 alice; echo 15 bob')
    (found,) = read_root(schedulers.SUBJECT, tmp_path, path)
    assert found == Scheduler("slurm", "slurmd", "gpu-01", (Job("9"), Job("12", "alice"), Job("15", "bob")))
    assert " -w gpu-01 " in (tmp_path / "asked").read_text()


def test_controller_of_slurm_that_does_not_answer(tmp_path: Path) -> None:
    slurm_root(tmp_path)
    path = program(tmp_path, "squeue", "setsid sleep 10 & wait")
    started = time.monotonic()
    (found,) = read_root(hurried(schedulers.SUBJECT), tmp_path, path)
    assert time.monotonic() - started < 9
    assert found.jobs == (Job("9"), Job("12"))


CHECKPOINT = (
    '{"Data":{"PodDeviceEntries":['
    f'{{"PodUID":"{UID}","ContainerName":"a","ResourceName":"nvidia.com/gpu","DeviceIDs":{{"0":["GPU-1"]}},"AllocResp":"Cg=="}},'
    f'{{"PodUID":"{UID}","ContainerName":"b","ResourceName":"nvidia.com/mig-1g.10gb","DeviceIDs":{{}},"AllocResp":"Cg=="}},'
    '{"PodUID":"00000000-0000-0000-0000-000000000001","ContainerName":"a","ResourceName":"nvidia.com/gpu","DeviceIDs":{}},'
    '{"PodUID":"00000000-0000-0000-0000-000000000002","ContainerName":"a","ResourceName":"example.com/nic","DeviceIDs":{}}'
    '],"RegisteredDevices":{"nvidia.com/gpu":["GPU-1"]}},"Checksum":1}'
)


def kubernetes_root(root: Path, command: str, comm: str = "kubelet") -> None:
    process(root, 7, comm, command)
    write(root, f"/var/log/pods/ml_llm-0_{UID}/c/0.log")
    write(root, "/var/log/pods/ml_other_00000000-0000-0000-0000-000000000002/c/0.log")
    write(root, "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint", CHECKPOINT)


def test_pods_that_were_given_a_gpu_and_still_are(tmp_path: Path) -> None:
    kubernetes_root(tmp_path, "/usr/bin/kubelet --kubeconfig=/etc/x --hostname-override=gpu-02 --v=2")
    other = SLICE.replace(UID.replace("-", "_"), "00000000_0000_0000_0000_000000000002")
    for name in (SLICE, other):
        write(tmp_path, f"/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/{name}/cgroup.procs")
    (found,) = read_root(schedulers.SUBJECT, tmp_path)
    assert (found.agent, found.node, found.jobs) == ("kubelet", "gpu-02", (Job("ml/llm-0"),))
    assert found.pods[UID] == "ml/llm-0"


def test_pods_count_where_their_cgroups_cannot_be_read(tmp_path: Path) -> None:
    kubernetes_root(tmp_path, "/usr/local/bin/k3s agent --token s3cret", "k3s-agent")
    text = section(at_root(schedulers.SUBJECT, tmp_path)).text
    assert "s3cret" not in text
    (found,) = schedulers.parse(text)
    assert (found.agent, found.node) == ("k3s-agent", os.uname().nodename.lower())
    assert found.jobs == (Job("00000000-0000-0000-0000-000000000001"), Job("ml/llm-0"))


def test_a_name_that_is_none_is_not_put_into_a_command() -> None:
    (found,) = schedulers.parse("hostname a;reboot\nagent slurmd -\n")
    assert found.node == "NODE"


def test_unit_that_was_enabled_without_a_reload_is_enabled(tmp_path: Path) -> None:
    """systemd goes on saying that it is not; a second run would enable it again, and again."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    body = """case $1 in
    show) printf 'Id=%s\\nLoadState=loaded\\nActiveState=active\\nUnitFileState=%s\\n\\n' docker.service enabled nvidia-persistenced.service disabled ;;
    is-enabled) echo "enabled"; [ "$2" = nvidia-persistenced.service ] ;;
    esac"""
    found = read_root(units.SUBJECT, tmp_path, program(tmp_path, "systemctl", body))
    assert {name: unit.enabled for name, unit in found.items()} == {
        "docker.service": "enabled",
        "nvidia-persistenced.service": "enabled",
    }
