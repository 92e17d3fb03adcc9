"""The words that hosts say in trouble, as they were recorded, each recognised with its repair; and nothing in a healthy host's."""

from __future__ import annotations

import re

import pytest

from deploys.knowledge.symptoms import SYMPTOMS
from deploys.plan.doctor import describe_diagnoses, diagnose
from facts.traces import _WORDS, PLACES, parse

# Place and line as hosts have printed them.
TRACES = {
    "version_mismatch": ("smi", "Failed to initialize NVML: Driver/library version mismatch"),
    "module_absent": (
        "smi",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.",
    ),
    "container_lost_gpu": ("containers", "Failed to initialize NVML: Unknown Error"),
    "docker_knows_no_gpu": (
        "containers",
        '/model could not select device driver "" with capabilities: [[gpu]]',
    ),
    "cdi_off": (
        "services",
        'docker: Error response from daemon: could not select device driver "cdi" with capabilities: [].',
    ),
    "runtime_unknown": (
        "services",
        "Handler for POST /v1.47/containers/create returned error: unknown or invalid runtime name: nvidia",
    ),
    "host_libraries_absent": (
        "containers",
        "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory: unknown",
    ),
    "wrong_module_flavour": (
        "kernel",
        "NVRM: The NVIDIA GPU 0000:41:00.0 (PCI ID: 10de:1b80) installed in this system is not supported by open nvidia.ko because it does not include the required GPU System Processor (GSP).",
    ),
    "gpu_does_not_start": ("kernel", "NVRM: GPU 0000:41:00.0: RmInitAdapter failed! (0x22:0x56:762)"),
    "key_rejected": ("services", "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service"),
    "card_is_taken": ("kernel", "NVRM: The NVIDIA probe routine was not called for 1 device(s)."),
    "fabric_down": ("containers", "RuntimeError: CUDA error: system not yet initialized"),
    "compiler_too_old": ("build", "gcc: error: unrecognized command-line option '-ftrivial-auto-var-init=zero'"),
    "repository_key_rotated": (
        "steps",
        "W: GPG error: https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64 InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY A4B469963BF863CC",
    ),
    "source_listed_twice": (
        "steps",
        "E: Conflicting values set for option Signed-By regarding source https://nvidia.github.io/libnvidia-container/stable/deb/amd64/ /: /usr/share/keyrings/nvidia-container-toolkit-keyring.gpg !=",
    ),
    "driver_in_use": ("packages", "Could not unload NVIDIA driver kernel modules, driver is in use"),
    "cdi_stale": (
        "containers",
        "/model failed to create task for container: could not apply required modification to OCI specification: unresolvable CDI devices nvidia.com/gpu=0",
    ),
    "cgroup_unknown_to_toolkit": (
        "containers",
        "nvidia-container-cli: container error: cgroup subsystem devices not found: unknown",
    ),
    "gpu_fell_off_the_bus": (
        "kernel",
        "NVRM: Xid (PCI:0000:41:00): 79, pid=1234, name=python, GPU has fallen off the bus.",
    ),
    "inforom_corrupted": ("smi", "WARNING: infoROM is corrupted at gpu 0000:41:00.0"),
    "image_needs_newer_driver": (
        "containers",
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver to a newer version, or use an earlier cuda container: unknown",
    ),
}


@pytest.mark.parametrize("name", [s.name for s in SYMPTOMS])
def test_each_symptom_is_recognised_by_its_recorded_words(name: str) -> None:
    """Through the filter of the fact as well: the host must let these words out."""
    tag, line = TRACES[name]
    assert tag in ("steps", "smi") or re.search(_WORDS, line, re.IGNORECASE)
    (found,) = diagnose(parse(f"looked {tag}\n{tag} {line}\n"))
    assert found.symptom.name == name
    assert found.place == PLACES[tag]
    page = describe_diagnoses("gpu-07", (found,), (found.place,))
    assert found.symptom.cause in page
    assert found.symptom.repair in page


def test_rows_are_complete_and_their_names_unique() -> None:
    assert len({s.name for s in SYMPTOMS}) == len(SYMPTOMS) == len(TRACES)
    assert all(s.cause and s.repair and s.source.title for s in SYMPTOMS)


HEALTHY = """\
looked kernel
kernel [    4.1] nvidia: loading out-of-tree module taints kernel.
kernel [    4.2] nvidia 0000:41:00.0: enabling device (0000 -> 0003)
kernel [    4.3] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.178.04  Release Build
kernel [    5.0] [drm] Initialized nvidia-drm 0.0.0 for 0000:41:00.0 on minor 0
looked services
services level=info msg="CDI directory does not exist, skipping" dir=/etc/cdi
services level=info msg="Loading containers: done."
looked smi
smi | NVIDIA-SMI 580.178.04             Driver Version: 580.178.04     CUDA Version: 13.0     |
looked containers
"""


def test_a_healthy_host_has_none() -> None:
    traces = parse(HEALTHY)
    assert diagnose(traces) == ()
    assert list(traces) == [PLACES[tag] for tag in ("kernel", "services", "smi", "containers")]
    assert "no known symptom (looked at: kernel log, " in describe_diagnoses("gpu-07", (), tuple(traces))


def test_the_latest_of_many_lines_is_shown_with_their_number() -> None:
    lines = tuple(f"NVRM: GPU 0000:4{n}:00.0: RmInitAdapter failed!" for n in range(3))
    (found,) = diagnose({"kernel log": lines})
    assert (found.line, found.count) == (lines[-1], 3)
    assert "3 times" in describe_diagnoses("x", (found,), ("kernel log",))
