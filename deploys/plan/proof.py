"""PROVE: what was seen on a host after the work, judged step by step. Pure.

Each step is PASS, FAIL, SKIP with its reason, or UNKNOWN; a host is ready only when nothing failed and nothing is unknown.
"""

from __future__ import annotations

from collections.abc import Callable

from deploys.plan.machine import ContainerProof, Machine, Proof, is_core_module
from deploys.plan.proof_containers import (
    compose,
    compose_gpu,
    container_cdi,
    container_gpu,
    container_keeps_gpu,
    container_runtime,
    docker_engine,
    gpus_option,
)
from deploys.plan.proof_step import OUT_OF_MEMORY, Seen, Step, cuda_words, judged
from deploys.plan.reboot import reboot_reasons, rebooted_in_vain, working
from deploys.plan.settings import Settings
from deploys.plan.versions import below


def pci_gpus(seen: Seen) -> Step:
    """All GPUs are on the PCI bus."""
    count, want = len(seen.machine.gpus), seen.settings.expected_gpus
    if seen.machine.pci is None:
        return judged("pci_gpus", None, "the PCI bus could not be read")
    return judged(
        "pci_gpus",
        count > 0 if want is None else count == want,
        f"{count} GPUs on the PCI bus" + (f", {want} expected" if want else ""),
    )


def nouveau_absent(seen: Seen) -> Step:
    """The module nouveau is neither loaded nor bound, and no boot image will load it."""
    bound = [g.address for g in seen.machine.gpus if g.driver == "nouveau"]
    inside = [
        k.release
        for k in seen.machine.kernels.installed
        if k.initramfs and k.initramfs.nouveau and not k.initramfs.blocked
    ]
    if bound or seen.machine.nouveau.loaded:
        return judged("nouveau_absent", False, f"nouveau is loaded{' and holds ' + ', '.join(bound) if bound else ''}")
    if inside:
        return judged(
            "nouveau_absent", False, f"the boot images of {', '.join(inside)} carry nouveau without its block"
        )
    if seen.machine.nouveau.loaded is None:
        return judged("nouveau_absent", None, "whether it is loaded could not be read")
    unread = _unread_images(seen.machine)
    if unread:
        return judged("nouveau_absent", None, f"not loaded; boot images that could not be read: {', '.join(unread)}")
    return judged("nouveau_absent", True, "not loaded, not bound, blocked in every boot image")


def _unread_images(machine: Machine) -> list[str]:
    """Boot images of which nobody knows whether they carry nouveau; a kernel that needs no image has none."""
    if {"initramfs", "kernels"} & machine.unknown.keys():
        return ["all"]
    images = [k.initramfs for k in machine.kernels.installed if k.initramfs]
    return [i.path for i in images if i.nouveau is None and not i.blocked]


def driver_built(seen: Seen) -> Step:
    """The running and the next kernel have the module, in the version of the libraries."""
    kernels = seen.machine.kernels
    libraries = seen.machine.driver.user_space
    if kernels.running is None:
        return judged("driver_built", None, "the running kernel is unknown")
    for release in kernels.booting:
        kernel = kernels.get(release)
        version = kernel.nvidia_version if kernel else None
        if version is None and kernel and any(is_core_module(m.stem) for m in kernel.nvidia_modules):
            return judged("driver_built", None, f"the version of the module for kernel {release} could not be read")
        if version is None:
            return judged("driver_built", False, f"no NVIDIA module for kernel {release}")
        if libraries and version != libraries:
            return judged("driver_built", False, f"module {version} for kernel {release}, libraries {libraries}")
    if libraries == "":
        return judged("driver_built", False, "module built, but no libraries of the driver are there")
    return judged(
        "driver_built",
        bool(libraries) or None,
        f"module and libraries {libraries or 'unknown'}, kernels {', '.join(kernels.booting)}",
    )


def driver_loaded(seen: Seen) -> Step:
    """The loaded module is the one on disk. When it is not loaded, the driver's own words say why."""
    loaded, libraries = seen.machine.driver.loaded, seen.machine.driver.user_space
    if loaded and libraries:
        return judged("driver_loaded", loaded == libraries, f"module {loaded} loaded, libraries {libraries}")
    if loaded:
        return judged("driver_loaded", None, f"module {loaded} loaded, libraries unknown")
    reasons = reboot_reasons(seen.machine)
    if loaded is None and not reasons:
        return judged("driver_loaded", None, "whether the NVIDIA module is loaded could not be read")
    why = f"reboot needed: {'; '.join(reasons)}" if reasons else _driver_words(seen.proof.kernel_log or ())
    return judged("driver_loaded", False, f"no NVIDIA module is loaded: {why}")


def _driver_words(log: tuple[str, ...]) -> str:
    """What the driver said when it was tried last, each line once: the cause comes first, its closing lines only count."""
    own = [line.strip() for line in log if "NVRM" in line] or list(log)
    latest = list(dict.fromkeys(reversed(own)))[:6]
    return "; ".join(reversed(latest)) or "the kernel log has nothing from the driver"


def device_nodes(seen: Seen) -> Step:
    """CUDA opens nvidiactl, nvidia-uvm and a node per GPU; systemd finds them by their /dev/char links."""
    want = ["/dev/nvidiactl", "/dev/nvidia-uvm", *(f"/dev/nvidia{i}" for i in range(len(seen.machine.gpus)))]
    lacking = [n for n in want if n not in seen.machine.driver.device_nodes]
    if lacking:
        return judged("device_nodes", False, f"missing: {', '.join(lacking)}")
    unlinked = [n for n in want if n in seen.machine.driver.unlinked]
    if unlinked and "docker" in seen.parts:
        text = f"no /dev/char link for {', '.join(unlinked)}: a daemon-reload of systemd would take them from containers; systemctl restart gpu-host-devices"
        return judged("device_nodes", False, text)
    return judged("device_nodes", True, ", ".join(want))


def nvml(seen: Seen) -> Step:
    """nvidia-smi answers for as many GPUs as the PCI bus has."""
    proof = seen.proof
    if proof.smi_code is None:
        return judged("nvml", None, "nvidia-smi gave no answer")
    lines = [line for line in proof.smi_text.splitlines() if line.strip()]
    if proof.smi_code != 0:
        last = " ".join(lines)[:200] or "no output"
        return judged(
            "nvml",
            False,
            f"nvidia-smi ended with {proof.smi_code}: {last}"
            if proof.smi_code != 124
            else "nvidia-smi hung and was ended",
        )
    return judged(
        "nvml",
        len(lines) == len(seen.machine.gpus),
        f"{len(lines)} GPUs answer, {len(seen.machine.gpus)} on the PCI bus",
    )


def kernel_log(seen: Seen) -> Step:
    """No Xid since boot."""
    if seen.proof.xids is None:
        return judged("kernel_log", None, "the kernel log could not be read")
    return judged("kernel_log", not seen.proof.xids, "; ".join(seen.proof.xids[-3:]) or "no Xid since boot")


def cuda_call(seen: Seen) -> Step:
    """That nvidia-smi answers is no proof: CUDA itself must start."""
    answer = seen.proof.cuda
    if answer is None:
        return judged("cuda_call", None, "nobody on the host could ask the CUDA driver (python3 does)")
    if answer.startswith("no answer"):
        return judged("cuda_call", None, answer)
    if answer.startswith(f"{OUT_OF_MEMORY} ") and working(seen.machine):
        return Step("cuda_call", "SKIP", "CUDA answers, but the memory of the GPU is in use by others")
    good = "a kernel ran on every GPU, and what it wrote was read back"
    return judged(
        "cuda_call", answer == "0", good if answer == "0" else f"the CUDA driver API answers {cuda_words(answer)}"
    )


def cuda_toolkit(seen: Seen) -> Step:
    """A toolkit newer than 11.3 is there when one was asked for."""
    if "cuda" not in seen.parts:
        return Step("cuda_toolkit", "SKIP", "not part of this profile")
    if seen.machine.cuda is None:
        return judged("cuda_toolkit", None, "could not be read")
    good = [t for t in seen.machine.cuda if below(t.version, "11.3.1") is False]
    return judged(
        "cuda_toolkit",
        bool(good),
        ", ".join(f"CUDA {t.version} in {t.path}" for t in good) or "no nvcc newer than 11.3",
    )


def services(seen: Seen) -> Step:
    """The persistence daemon and Docker are active."""
    want = ["nvidia-persistenced.service", *(["docker.service"] if "docker" in seen.parts else [])]
    states = {u: seen.machine.units[u].active if u in seen.machine.units else "unknown" for u in want}
    unknown = any(s in ("unknown", "") for s in states.values())
    text = ", ".join(f"{u.removesuffix('.service')} {s}" for u, s in states.items())
    return judged("services", None if unknown else all(s == "active" for s in states.values()), text)


CHAIN: tuple[Callable[[Seen], Step | None], ...] = (
    pci_gpus,
    nouveau_absent,
    driver_built,
    driver_loaded,
    device_nodes,
    nvml,
    kernel_log,
    cuda_call,
    cuda_toolkit,
    docker_engine,
    compose,
    container_runtime,
    container_cdi,
    container_gpu,
    gpus_option,
    compose_gpu,
    container_keeps_gpu,
    services,
)


def prove(
    machine: Machine, proof: Proof, settings: Settings, container: ContainerProof | None = None
) -> tuple[Step, ...]:
    """Every step of the chain, in order."""
    seen = Seen(machine, proof, settings, container)
    return tuple(found for link in CHAIN if (found := link(seen)) is not None)


# Links that a reboot can mend.
_AFTER_REBOOT = frozenset(
    {"nouveau_absent", "driver_built", "driver_loaded", "device_nodes", "nvml", "kernel_log", "cuda_call", "services"}
)


def verdict(machine: Machine, steps: tuple[Step, ...]) -> str:
    """`ready`, `restart-pending` (only dockerd's restart is missing), `reboot-pending` (everything that is wrong may be so for want of a reboot) or `not-ready`.

    UNKNOWN never counts as ready.
    """
    bad = {s.name for s in steps if s.result not in ("PASS", "SKIP")}
    if not bad:
        return "ready"
    late = {"container_cdi", *(["gpus_option"] if machine.docker.hook_late else [])}
    if bad <= late and machine.docker.running:
        return "restart-pending"
    waits = bool(reboot_reasons(machine)) and not rebooted_in_vain(machine)
    return "reboot-pending" if waits and bad <= _AFTER_REBOOT else "not-ready"
