"""The chain of proof: each link broken one at a time, and nothing unknown ever called ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploys.plan.machine import ContainerAnswer, ContainerProof, Initramfs, Kernel, KernelModule, Machine, Proof
from deploys.plan.proof import CHAIN, prove, verdict
from deploys.plan.proof_step import Step
from deploys.plan.settings import Settings
from tests.plan.hosts import A100, T4, changed, debian_13_converged, gpus, holders, unit

DONE = debian_13_converged()
RUNNING = DONE.kernels.installed[0]
NEXT = "6.12.120+deb13-amd64"
GOOD = Proof(smi_code=0, smi_text="0, NVIDIA A100-SXM4-80GB, 550.163.01\n", kernel_log=(), xids=(), cuda="0")
TRIES = ("run", "option", "compose", "reload")
FINE = ContainerProof(dict.fromkeys(TRIES, ContainerAnswer(0, "0")))
CONTAINERS = ("container_gpu", "gpus_option", "compose_gpu", "container_keeps_gpu")
CDI = changed(DONE, docker__cdi=True)
NAMES = [step.__name__ for step in CHAIN if step.__name__ != "container_cdi"]  # only where it was asked for


def step_of(name: str, machine: Machine = DONE, proof: Proof = GOOD, settings: Settings | None = None) -> Step:
    return next(s for s in prove(machine, proof, settings or Settings(), FINE) if s.name == name)


def core(version: str | None, *more: str) -> tuple[KernelModule, ...]:
    return (
        KernelModule("nvidia-current", "/m/nvidia-current.ko", version),
        *(KernelModule(m, f"/m/{m}.ko") for m in more),
    )


def kernels(*installed: Kernel, default: str | None = RUNNING.release) -> Machine:
    return changed(DONE, kernels__installed=installed, kernels__default=default)


def image(*, nouveau: bool | None, blocked: bool | None) -> Machine:
    """The host whose one boot image says this; it could not be read where nothing is known of nouveau."""
    contents = Initramfs(f"/boot/initrd.img-{RUNNING.release}", nouveau is not None, nouveau, blocked)
    return kernels(replace(RUNNING, initramfs=contents))


def test_a_converged_host_is_ready() -> None:
    steps = prove(DONE, GOOD, Settings(), FINE)
    assert [s.name for s in steps] == NAMES
    assert {s.name for s in steps if s.result != "PASS"} == set()
    assert verdict(DONE, steps) == "ready"


Broken = tuple[str, Machine, Proof, Settings, str, str]


def host(name: str, machine: Machine, result: str, words: str, settings: Settings | None = None) -> Broken:
    return name, machine, GOOD, settings or Settings(), result, words


def seen(name: str, proof: Proof, result: str, words: str) -> Broken:
    return name, DONE, proof, Settings(), result, words


BROKEN: list[Broken] = [
    host("pci_gpus", changed(DONE, pci=()), "FAIL", "0 GPUs"),
    host("pci_gpus", changed(DONE, pci=None), "UNKNOWN", "could not be read"),
    host("pci_gpus", DONE, "FAIL", "2 expected", Settings(expected_gpus=2)),
    host("nouveau_absent", changed(DONE, pci=gpus(A100)), "FAIL", "holds 0000:01:00.0"),
    host("nouveau_absent", changed(DONE, nouveau__loaded=True), "FAIL", "nouveau is loaded"),
    host("nouveau_absent", changed(DONE, nouveau__loaded=None), "UNKNOWN", "could not be read"),
    host("nouveau_absent", image(nouveau=True, blocked=False), "FAIL", "carry nouveau without its block"),
    host("nouveau_absent", image(nouveau=True, blocked=None), "FAIL", RUNNING.release),
    host("nouveau_absent", image(nouveau=None, blocked=None), "UNKNOWN", RUNNING.release),
    host("nouveau_absent", replace(kernels(replace(RUNNING, initramfs=None)), unknown={"initramfs": "cut"}), "UNKNOWN", "all"),
    host("driver_built", kernels(), "FAIL", "no NVIDIA module for kernel"),
    host("driver_built", kernels(replace(RUNNING, nvidia_modules=())), "FAIL", RUNNING.release),
    host("driver_built", kernels(replace(RUNNING, nvidia_modules=core("550.90.07"))), "FAIL", "module 550.90.07"),
    host("driver_built", kernels(replace(RUNNING, nvidia_modules=core(None))), "UNKNOWN", "version"),
    host("driver_built", kernels(RUNNING, Kernel(NEXT), default=NEXT), "FAIL", f"no NVIDIA module for kernel {NEXT}"),
    host("driver_built", changed(DONE, kernels__running=None, kernels__default=None), "UNKNOWN", "unknown"),
    host("driver_built", changed(DONE, driver__user_space=None), "UNKNOWN", "libraries unknown"),
    host("driver_built", changed(DONE, driver__user_space=""), "FAIL", "no libraries"),
    host("driver_loaded", changed(DONE, driver__loaded=""), "FAIL", "no NVIDIA module is loaded"),
    host("driver_loaded", changed(DONE, driver__loaded=None), "UNKNOWN", "could not be read"),
    host("driver_loaded", changed(DONE, driver__loaded="550.90.07"), "FAIL", "550.90.07 loaded, libraries 550.163.01"),
    host("driver_loaded", changed(DONE, driver__user_space=None), "UNKNOWN", "libraries unknown"),
    host("device_nodes", changed(DONE, driver__device_nodes=()), "FAIL", "/dev/nvidiactl, /dev/nvidia-uvm, /dev/nvidia0"),
    host("device_nodes", changed(DONE, pci=gpus(A100, A100, driver="nvidia")), "FAIL", "missing: /dev/nvidia1"),
    seen("nvml", replace(GOOD, smi_code=None), "UNKNOWN", "no answer"),
    seen("nvml", replace(GOOD, smi_code=124, smi_text=""), "FAIL", "hung"),
    seen("nvml", replace(GOOD, smi_code=9, smi_text="NVIDIA-SMI has failed\n"), "FAIL", "9: NVIDIA-SMI has failed"),
    seen("nvml", replace(GOOD, smi_code=1, smi_text=""), "FAIL", "no output"),
    seen("nvml", replace(GOOD, smi_text=""), "FAIL", "0 GPUs answer, 1 on"),
    seen("nvml", replace(GOOD, smi_text=GOOD.smi_text * 2), "FAIL", "2 GPUs answer"),
    seen("kernel_log", replace(GOOD, xids=None), "UNKNOWN", "could not be read"),
    seen("kernel_log", replace(GOOD, xids=("Xid (PCI:0000:07:00): 79",)), "FAIL", "79"),
    seen("cuda_call", replace(GOOD, cuda=None), "UNKNOWN", "python3"),
    seen("cuda_call", replace(GOOD, cuda="no answer: no ctypes"), "UNKNOWN", "no ctypes"),
    seen("cuda_call", replace(GOOD, cuda="libcuda.so.1 cannot be loaded: x"), "FAIL", "cannot be loaded"),
    seen("cuda_call", replace(GOOD, cuda="802 cuInit"), "FAIL", "cuInit: system not ready: on NVSwitch"),
    seen("cuda_call", replace(GOOD, cuda="2 cuCtxCreate_v2"), "FAIL", "out of memory"),
    seen("cuda_call", replace(GOOD, cuda="a kernel on GPU 0 wrote 0 and not 4711"), "FAIL", "wrote 0"),
    seen("cuda_call", replace(GOOD, cuda=""), "FAIL", "answers"),
    host("cuda_toolkit", changed(DONE, cuda=None), "UNKNOWN", "could not be read"),
    host("cuda_toolkit", changed(DONE, cuda=()), "FAIL", "no nvcc"),
    host("cuda_toolkit", changed(DONE, cuda=(replace((DONE.cuda or ())[0], version="11.3"),)), "FAIL", "no nvcc newer"),
    host("cuda_toolkit", changed(DONE, cuda=(replace((DONE.cuda or ())[0], version=None),)), "FAIL", "no nvcc newer"),
    host("docker_engine", changed(DONE, docker__engine=None), "UNKNOWN", "could not be asked"),
    host("docker_engine", changed(DONE, docker__engine="", docker__engine_error="Cannot connect"), "FAIL", "Cannot connect"),
    host("docker_engine", changed(DONE, docker__engine=""), "FAIL", "no engine answers"),
    host("docker_engine", changed(DONE, docker__engine="18.09.9"), "FAIL", "18.09.9"),
    host("compose", changed(DONE, docker__compose=None), "UNKNOWN", "could not be asked"),
    host("compose", changed(DONE, docker__compose=""), "FAIL", "no Compose v2"),
    host("compose", changed(DONE, docker__compose="1.29.2"), "FAIL", "1.29.2"),
    host("container_runtime", changed(DONE, docker__runtimes=("runc",)), "FAIL", "runtimes runc"),
    host("container_runtime", changed(DONE, toolkit__version=""), "FAIL", "not installed"),
    host("container_runtime", changed(DONE, toolkit__version=None), "UNKNOWN", "could not be asked"),
    host("container_runtime", changed(DONE, toolkit__runtime=""), "FAIL", "toolkit 1.20.0"),
    host("device_nodes", changed(DONE, driver__unlinked=("/dev/nvidia0",)), "FAIL", "no /dev/char link for /dev/nvidia0"),
    host("container_cdi", changed(DONE, docker__cdi=False), "FAIL", "without", Settings(docker_cdi=True)),
    host("container_cdi", changed(DONE, docker__cdi=None), "UNKNOWN", "could not be asked", Settings(docker_cdi=True)),
    host("services", unit(DONE, "docker.service", "failed"), "FAIL", "docker failed"),
    host("services", unit(DONE, "nvidia-persistenced.service", "inactive"), "FAIL", "nvidia-persistenced inactive"),
    host("services", unit(DONE, "docker.service", ""), "UNKNOWN", "docker"),
    host("services", changed(DONE, units={}), "UNKNOWN", "nvidia-persistenced unknown"),
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: f"{b[0]}: {b[5]} {b[4]}")
def test_a_broken_link_is_seen(broken: Broken) -> None:
    name, machine, proof, settings, result, words = broken
    step = step_of(name, machine, proof, settings)
    assert step.result == result
    assert words in step.detail
    assert verdict(machine, prove(machine, proof, settings, FINE)) != "ready"


def test_every_link_is_broken_once() -> None:
    assert {b[0] for b in BROKEN} == {*NAMES, "container_cdi"} - set(CONTAINERS)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ContainerAnswer(124), "no answer within its limit"),
        (ContainerAnswer(0, "100 cuInit"), "cuInit: no device (100)"),
        (ContainerAnswer(0, ""), "ended with 0"),
        (ContainerAnswer(1, "0"), "0"),
        (ContainerAnswer(0, "libcuda.so.1 cannot be loaded: not found"), "cannot be loaded"),
        (ContainerAnswer(125, 'docker: Error: could not select device driver "" with capabilities: [[gpu]].'), "docker_knows_no_gpu"),
        (ContainerAnswer(125, "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8"), "image_needs_newer_driver"),
        (ContainerAnswer(1, "Failed to initialize NVML: Unknown Error"), "container_lost_gpu"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("which", TRIES)
def test_a_container_without_its_gpu_is_seen(which: str, answer: ContainerAnswer, words: str) -> None:
    tried = ContainerProof({**FINE.answers, which: answer})
    steps = prove(DONE, GOOD, Settings(), tried)
    bad = [s for s in steps if s.result != "PASS"]
    assert [s.name for s in bad] == [CONTAINERS[TRIES.index(which)]]
    assert bad[0].result == "FAIL"
    assert words in bad[0].detail
    assert verdict(DONE, steps) == "not-ready"


def test_what_docker_says_beside_the_answer_is_no_trouble() -> None:
    """Compose 5 tells on standard error what it creates."""
    chatty = ContainerProof(dict.fromkeys(TRIES, ContainerAnswer(0, "Container proof-run-1  Creating\n0")))
    assert verdict(DONE, prove(DONE, GOOD, Settings(), chatty)) == "ready"


def test_a_try_without_an_answer_is_unknown_and_one_that_was_not_made_says_why() -> None:
    assert [s.result for s in prove(DONE, GOOD, Settings(), ContainerProof()) if s.name in CONTAINERS] == [
        "UNKNOWN"
    ] * 4
    skipped = ContainerProof(FINE.answers, {"reload": "not tried: 3 containers run"})
    assert (
        step_in(prove(DONE, GOOD, Settings(), skipped), "container_keeps_gpu").detail == "not tried: 3 containers run"
    )
    assert verdict(DONE, prove(DONE, GOOD, Settings(), skipped)) == "ready"


def step_in(steps: tuple[Step, ...], name: str) -> Step:
    return next(s for s in steps if s.name == name)


def test_memory_that_others_use_is_no_fault_of_the_host() -> None:
    busy = changed(DONE, driver__holders=holders("python3 -m vllm"))
    full = replace(GOOD, cuda="2 cuCtxCreate_v2")
    tried = ContainerProof(dict.fromkeys(TRIES, ContainerAnswer(0, "2 cuMemAlloc_v2")))
    steps = prove(busy, full, Settings(), tried)
    assert {s.name for s in steps if s.result == "SKIP"} == {"cuda_call", *CONTAINERS}
    assert verdict(busy, steps) == "ready"


def test_only_the_restart_of_dockerd_is_missing() -> None:
    late = changed(DONE, docker__cdi=False, docker__running=3)
    assert verdict(late, prove(late, GOOD, Settings(docker_cdi=True), FINE)) == "restart-pending"
    lost = changed(late, docker__runtimes=("runc",))
    assert verdict(lost, prove(lost, GOOD, Settings(docker_cdi=True), FINE)) == "not-ready"
    no_hook = ContainerProof({**FINE.answers, "option": ContainerAnswer(125, 'could not select device driver ""')})
    fresh = changed(DONE, docker__hook_late=True, docker__running=3)
    assert verdict(fresh, prove(fresh, GOOD, Settings(), no_hook)) == "restart-pending"
    assert verdict(fresh, prove(fresh, GOOD, Settings(), FINE)) == "ready", "an upgraded hook is no trouble"
    assert verdict(DONE, prove(DONE, GOOD, Settings(), no_hook)) == "not-ready"
    assert verdict(CDI, prove(CDI, GOOD, Settings(docker_cdi=True), FINE)) == "ready"


def test_a_kernel_without_an_image_has_no_boot_image_to_judge() -> None:
    remains = Kernel("6.12.90+deb13-amd64", image=False)
    assert step_of("nouveau_absent", kernels(RUNNING, remains)).result == "PASS"


@pytest.mark.parametrize(("nouveau", "blocked"), [(True, True), (False, False), (False, None), (None, True)])
def test_an_image_without_nouveau_or_with_its_block_is_harmless(nouveau: bool | None, blocked: bool | None) -> None:
    assert step_of("nouveau_absent", image(nouveau=nouveau, blocked=blocked)).result == "PASS"


def test_a_driver_that_is_not_loaded_speaks_for_itself() -> None:
    said = replace(GOOD, kernel_log=("first", "NVRM: No NVIDIA GPU found.", "NVRM: none of it", "nvidia: probe failed"))
    step = step_of("driver_loaded", changed(DONE, driver__loaded=""), said)
    assert "NVRM: No NVIDIA GPU found." in step.detail
    assert "first" not in step.detail


def test_the_drivers_words_name_the_cause_and_not_only_the_end() -> None:
    """As the kernel log of a machine with two GPUs that have no interrupt."""
    card = ("NVRM: Can't find an IRQ for your NVIDIA card!", "NVRM: Please check your BIOS settings.")
    probe = "nvidia 0000:41:0{}.0: probe with driver nvidia failed with error -1"
    end = (
        "NVRM: The NVIDIA probe routine failed for 2 device(s).",
        "NVRM: None of the NVIDIA devices were initialized.",
    )
    log = (*card, probe.format(0), *card, probe.format(1), *end, "nvidia-nvlink: Unregistered Nvlink Core")
    step = step_of("driver_loaded", changed(DONE, driver__loaded=""), replace(GOOD, kernel_log=log))
    assert step.detail.endswith("; ".join((*card, *end)))


@pytest.mark.parametrize(
    ("settings", "skipped"),
    [
        (Settings(), set()),
        (Settings(profile="raw"), {"docker_engine", "compose", "container_runtime", *CONTAINERS}),
        (Settings(profile="containers"), {"cuda_toolkit"}),
        (Settings(cuda=None, container_runtime=None), {"cuda_toolkit", "container_runtime", *CONTAINERS}),
    ],
)
def test_what_the_profile_leaves_out_is_skipped_with_a_reason(settings: Settings, skipped: set[str]) -> None:
    steps = prove(DONE, GOOD, settings, FINE)
    assert {s.name for s in steps if s.result == "SKIP"} == skipped
    assert all(s.detail for s in steps)
    assert verdict(DONE, steps) == "ready"


def test_docker_down_does_not_concern_a_raw_host() -> None:
    machine = unit(changed(DONE, docker__engine=""), "docker.service", "failed")
    assert verdict(machine, prove(machine, GOOD, Settings(profile="raw"))) == "ready"


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (changed(DONE, driver__loaded="550.90.07"), "reboot-pending"),
        (changed(DONE, pci=gpus(T4), driver__loaded=""), "reboot-pending"),
        (changed(DONE, nouveau__loaded=True, driver__loaded=""), "reboot-pending"),
        (changed(DONE, driver__loaded=""), "not-ready"),
        (changed(DONE, docker__engine=""), "not-ready"),
        (Machine(), "not-ready"),
    ],
)
def test_a_missing_reboot_is_told_apart(machine: Machine, expected: str) -> None:
    steps = prove(machine, GOOD if machine.pci else Proof(), Settings())
    assert verdict(machine, steps) == expected
    if expected == "reboot-pending":
        assert "reboot" in step_of("driver_loaded", machine).detail or machine.driver.loaded


@pytest.mark.parametrize("result", ["FAIL", "UNKNOWN"])
@pytest.mark.parametrize("position", range(len(NAMES)))
def test_one_bad_step_is_enough(result: str, position: int) -> None:
    steps = list(prove(DONE, GOOD, Settings(), FINE))
    steps[position] = replace(steps[position], result=result)  # type: ignore[arg-type]
    assert verdict(DONE, tuple(steps)) == "not-ready"


def test_nothing_known_proves_nothing() -> None:
    steps = prove(Machine(), Proof(), Settings())
    assert {s.result for s in steps if s.name not in CONTAINERS} <= {"FAIL", "UNKNOWN"}


def test_steps_carry_their_functions_names() -> None:
    assert [s.name for s in prove(Machine(), Proof(), Settings(docker_cdi=True))] == [f.__name__ for f in CHAIN]
