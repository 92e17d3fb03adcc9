"""DECIDE without a host: what a described system would get, and every rule that led there. Pure, like the plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploys.knowledge.distros import find_distro, supported
from deploys.knowledge.distros.known import KnownRelease, find_release
from deploys.knowledge.fabric import SWITCH_IDS, SWITCHED_CHIPS
from deploys.knowledge.gpus import find_chip
from deploys.knowledge.records import Distro, Source
from deploys.plan.cuda import CudaChoice, choose_cuda, offered_by_vendor
from deploys.plan.cuda_source import plan_cuda
from deploys.plan.driver import DriverChoice
from deploys.plan.driver_branch import judge_branch
from deploys.plan.driver_fabric import FabricPlan, find_board, mig_rule, plan_fabric
from deploys.plan.driver_kernel import judge_kernels
from deploys.plan.driver_secure_boot import SecureBootChoice, choose_secure_boot
from deploys.plan.driver_source import choose_driver, origin, signed_modules
from deploys.plan.driver_vendor import choose_from_vendor
from deploys.plan.machine import NVIDIA_VENDOR, Distribution, Kernels, Machine, Packages, PciDevice, Platform
from deploys.plan.reason import OWN, Reason, Verdict
from deploys.plan.settings import Settings

VENDOR = "NVIDIA's repository"
X86_64 = "x86_64"
_GPU_CLASS, _SWITCH_CLASS = 0x030200, 0x068000


@dataclass(frozen=True)
class Question:
    """A described system. `devices`: PCI device ids of vendor 10de, GPUs and switches; `kernel` "" unknown."""

    devices: tuple[int, ...]
    distro: str
    version: str
    kernel: str = ""
    architecture: str = ""
    secure_boot: bool = False
    key_enrolled: bool = False
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Explanation:
    """The answer: `rows` (label, text) are the decision, `refusals` stop it, `warnings` do not, `rules` led to all of it."""

    title: str
    rows: tuple[tuple[str, str], ...] = ()
    refusals: tuple[Verdict, ...] = ()
    warnings: tuple[str, ...] = ()
    rules: tuple[Reason, ...] = ()
    driver: DriverChoice | None = None
    cuda: CudaChoice | None = None


@dataclass(frozen=True)
class _Parts:
    """The single decisions of one system."""

    machine: Machine
    room: Distro | None
    release: KnownRelease | None
    driver: DriverChoice
    cuda: CudaChoice | None
    fabric: FabricPlan
    vendor: bool
    secure_boot: SecureBootChoice

    @property
    def prebuilt(self) -> bool:
        """Are the modules the distribution's own, so that nothing is compiled and its version decides?"""
        return self.secure_boot.way == "signed"


def machine_of(question: Question) -> Machine:
    """The record that such a host would give; what the question does not say is unknown."""
    devices = tuple(
        PciDevice(f"0000:{bus:02x}:00.0", NVIDIA_VENDOR, d, _SWITCH_CLASS if d in SWITCH_IDS else _GPU_CLASS)
        for bus, d in enumerate(question.devices, 1)
    )
    platform = Platform(
        system="Linux",
        architecture=question.architecture or X86_64,
        efi=question.secure_boot,
        secure_boot=question.secure_boot,
        lockdown="none",
        dkms_key_enrolled=question.key_enrolled,
    )
    kernel = question.kernel or None
    room = find_distro(question.distro, question.version)
    return Machine(
        packages=Packages(manager=room.manager if room else None),
        distribution=Distribution(id=question.distro, version=question.version),
        kernels=Kernels(running=kernel, default=kernel),
        platform=platform,
        pci=devices,
    )


def explain(question: Question) -> Explanation:
    """The decision for a described system. The release must be one that `find_distro` or `find_release` knows."""
    machine = machine_of(question)
    room, release = find_distro(question.distro, question.version), find_release(question.distro, question.version)
    label = room.label if room else release.label if release else f"{question.distro} {question.version}"
    ids = ", ".join(dict.fromkeys(d.id for d in machine.pci or ())) or "no PCI device"
    title = f"{ids} on {label}, kernel {question.kernel or 'not given'}"
    refusal = _no_gpu_host(machine)
    if refusal:
        return Explanation(title, refusals=(refusal,))
    vendor = room is None or origin(machine, question.settings, room) == "nvidia"
    demanded = release.signed if release and question.secure_boot and not question.key_enrolled else None
    driver = (
        choose_driver(machine, question.settings, room)
        if room
        else choose_from_vendor(machine, question.settings, demanded)
    )
    signed = signed_modules(machine, room, driver) if room else release.signed if release and vendor else None
    boot = choose_secure_boot(machine.platform, signed, driver.branch, driver.flavour, question.kernel)
    cuda = _cuda(machine, question.settings, driver, room, release)
    fabric = plan_fabric(machine, driver.branch, "" if boot.way == "signed" else driver.version)
    return _assemble(title, question, _Parts(machine, room, release, driver, cuda, fabric, vendor, boot))


def _no_gpu_host(machine: Machine) -> Verdict | None:
    board = find_board(machine.kernels.running)
    if board:
        found = f"{board.name}: {board.why}"
        return Verdict("stop", found, "a computer with NVIDIA GPUs on its PCI bus", board.fix, board.source)
    if machine.gpus:
        return None
    fix = "name one with --gpu 10de:2330; lspci -nn -d 10de: lists those of a machine"
    return Verdict("stop", "no GPU among the devices", "at least one NVIDIA GPU", fix, OWN)


def _cuda(
    machine: Machine, settings: Settings, driver: DriverChoice, room: Distro | None, release: KnownRelease | None
) -> CudaChoice | None:
    """The toolkits, or None where there is no driver or no toolkit is wanted."""
    if driver.problem or settings.cuda is None or settings.profile == "containers":
        return None
    if room:
        return plan_cuda(machine, settings, room, driver)
    offered = offered_by_vendor(release.oldest_cuda if release else "")
    return choose_cuda(machine, driver.version, settings.cuda_versions, offered, VENDOR)


def _assemble(title: str, question: Question, parts: _Parts) -> Explanation:
    driver = parts.driver
    refusals, warnings = _system_refusals(parts), list(driver.warnings)
    rules = [*driver.rules, *parts.fabric.rules]
    rows: list[tuple[str, str]] = []
    if driver.problem:
        refusals.append(Verdict("stop", driver.problem, driver.needed, driver.fix, OWN))
        rows += _alternative(parts, question)
    else:
        version = "the distribution's version" if parts.prebuilt else driver.version
        rows.append(("driver", f"{version} (branch {driver.branch}), {driver.flavour} kernel modules"))
        for subject, verdict in _verdicts(parts):
            if verdict.level == "stop":
                refusals.append(verdict)
            else:
                warnings.append(f"{verdict.found}; needed: {verdict.needed}; {verdict.fix}")
            rules.append(Reason(subject, verdict.found, verdict.source))
        rows += _secure_boot(parts, refusals, rules)
        rows += _cuda_rows(parts, refusals, rules)
    rows += _system_rows(parts, question, rules)
    return Explanation(title, tuple(rows), tuple(refusals), tuple(warnings), tuple(rules), driver, parts.cuda)


def _verdicts(parts: _Parts) -> list[tuple[str, Verdict]]:
    """What stands against the branch and, where the modules are compiled, the kernel."""
    driver = parts.driver
    branch = judge_branch(driver.branch, driver.version, parts.machine, "install the newest version of the branch")
    kernels = () if parts.prebuilt else judge_kernels(parts.machine, driver.version, driver.flavour)
    return [("branch", v) for v in (branch,) if v] + [("kernel", v) for v in kernels]


def _system_refusals(parts: _Parts) -> list[Verdict]:
    """What refuses the system whatever the driver is: its processor, its fabric."""
    refusals = []
    architecture = parts.fabric.architecture or X86_64
    given = parts.machine.platform.architecture
    if architecture != X86_64 or given != X86_64:
        named = f"{parts.fabric.system}: {architecture}" if architecture != X86_64 else f"processor {given}"
        fix = "64-bit ARM servers need NVIDIA's sbsa repository, which is not supported here"
        refusals.append(Verdict("stop", named, "an x86_64 host", fix, OWN))
    if parts.fabric.components and not parts.vendor and parts.room:
        names = ", ".join(c.name for c in parts.fabric.components)
        found = f"{parts.fabric.system}: the archive of {parts.room.label} carries no {names}"
        fix = 'set gpu_driver_source = "nvidia"'
        refusals.append(Verdict("stop", found, f"{names}, at the driver's full version", fix, OWN))
    return refusals


def _alternative(parts: _Parts, question: Question) -> list[tuple[str, str]]:
    """Where the archive does not serve the host: what NVIDIA's repository would give."""
    if parts.vendor:
        return []
    other = choose_from_vendor(parts.machine, question.settings)
    if other.problem:
        return [("elsewhere", f"{VENDOR} has none either: {other.problem}")]
    text = f'{VENDOR} would give {other.version} (branch {other.branch}), {other.flavour} kernel modules: gpu_driver_source = "nvidia"'
    return [("elsewhere", text)]


def _secure_boot(parts: _Parts, refusals: list[Verdict], rules: list[Reason]) -> list[tuple[str, str]]:
    choice, known = parts.secure_boot, parts.release.signed if parts.release else None
    if choice.problem:
        refusals.append(Verdict("stop", choice.problem, choice.needed, choice.fix, choice.source))
        if known is None or (parts.room and any(x.signed for x in parts.room.layouts)):
            return []
        return [("elsewhere", f"{known.package}, {known.why}; this toolkit does not install it")]
    rules.append(Reason("secure boot", choice.why, choice.source))
    return [("secure boot", choice.why)]


def _cuda_rows(parts: _Parts, refusals: list[Verdict], rules: list[Reason]) -> list[tuple[str, str]]:
    choice = parts.cuda
    if choice is None:
        return [("cuda", "none: not asked for")]
    rules += choice.rules
    if choice.problem:
        refusals.append(Verdict("stop", choice.problem, choice.needed, choice.fix, OWN))
        return []
    texts = [f"{f.version} ({f.way}{', ' + f.package if f.package else ''})" for f in choice.fits]
    return [("cuda", ", ".join(texts))]


def _system_rows(parts: _Parts, question: Question, rules: list[Reason]) -> list[tuple[str, str]]:
    """Fabric, partitions, headers, compiler, and whether this toolkit can install there."""
    rows = []
    if parts.fabric.components and parts.driver.branch:
        rows.append(("fabric", _fabric_text(parts)))
    elif any((chip := find_chip(g.device)) and chip.code in SWITCHED_CHIPS for g in parts.machine.gpus):
        rows.append(("fabric", "none: no NVSwitch among the devices; where the board has some, name one too"))
    mig = mig_rule(parts.machine)
    if mig:
        rules.append(mig)
    release = parts.release
    if release and question.kernel:
        rows.append(("headers", release.header_package(question.kernel) or "unknown for this kernel"))
        compiler = release.compiler(question.kernel)
        if compiler:
            rows.append(("compiler", f"{compiler.package}: {compiler.why}"))
            rules.append(Reason("compiler", compiler.why, compiler.source))
    if parts.room is None:
        rows.append(("installing", f"not supported there yet (supported: {supported()})"))
    return rows


def _fabric_text(parts: _Parts) -> str:
    fabric = parts.fabric
    same = "of the driver's full version" if parts.prebuilt else ""
    names = [f"{c.package}{'=' + c.version if c.version else ''}" for c in fabric.components]
    modules = f"kernel modules {', '.join(fabric.kernel_modules)}" if fabric.kernel_modules else ""
    return "; ".join(filter(None, [f"{fabric.system}: {', '.join(names)}", same, modules]))


def describe_explanation(explanation: Explanation) -> str:
    """The answer as a page of text."""
    lines = [explanation.title]
    for refusal in explanation.refusals:
        lines += [f"  REFUSED     {refusal.found}", f"    needed    {refusal.needed}", f"    fix       {refusal.fix}"]
    lines += [f"  {label:<12}{text}" for label, text in explanation.rows]
    lines += [f"  warning     {text}" for text in explanation.warnings]
    sources = [Reason("refusal", r.found, r.source) for r in explanation.refusals if r.source != OWN]
    rules = list(dict.fromkeys([*explanation.rules, *sources]))
    if rules:
        lines += ["because", *(f"  {rule.subject:<12}{rule.text}{_cited(rule.source)}" for rule in rules)]
    return "\n".join(lines)


def _cited(source: Source) -> str:
    return f"\n              source: {source.title}, {source.as_of}"
