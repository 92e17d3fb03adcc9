"""The batched read: one command for all subjects, one answer, one frozen Machine."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from pyinfra.api import FactBase
from typing_extensions import override

from deploys.plan.machine import Machine
from facts import (
    boot,
    bootmenu,
    candidates,
    cuda,
    distribution,
    dkms,
    docker,
    driver,
    files,
    filesystems,
    gpu,
    holders,
    holds,
    initramfs,
    kernels,
    locks,
    nouveau,
    packages,
    platform,
    record,
    schedulers,
    sources,
    toolkit,
    units,
)
from facts.base import fact_guard
from facts.sections import ProbeError, Section, replace_section, split_sections
from facts.subject import Subject, build_command

__all__ = ["SUBJECTS", "Probe", "ProbeError", "parse_machine", "replace_section", "split_sections"]

SUBJECTS: tuple[Subject[Any], ...] = (
    distribution.SUBJECT,
    platform.SUBJECT,
    boot.SUBJECT,
    kernels.SUBJECT,
    bootmenu.SUBJECT,
    initramfs.SUBJECT,
    gpu.SUBJECT,
    nouveau.SUBJECT,
    filesystems.SUBJECT,
    packages.SUBJECT,
    locks.SUBJECT,
    holds.SUBJECT,
    candidates.SUBJECT,
    sources.SUBJECT,
    driver.SUBJECT,
    dkms.SUBJECT,
    holders.SUBJECT,
    schedulers.SUBJECT,
    cuda.SUBJECT,
    docker.SUBJECT,
    toolkit.SUBJECT,
    files.SUBJECT,
    units.SUBJECT,
    record.SUBJECT,
)


def parse_machine(text: str) -> Machine:
    """The record of the host that printed this.

    A section that is missing, cut or failed leaves its fields unknown; `Machine.unknown` says why, by the name of the
    subject. Raises ProbeError, and nothing else, when the text is not a whole probe.
    """
    sections = split_sections(text)
    answers: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    for number, subject in enumerate(SUBJECTS):
        section = sections.get(subject.name) or Section(subject.name, "", None, 1)
        answers[subject.name] = subject.unknown
        if section.problem:
            unknown[subject.name] = section.problem
            continue
        try:
            answers[subject.name] = _read(number, section.text)
        except Exception as error:  # noqa: BLE001 - one damaged section must not cost the others
            unknown[subject.name] = f"the answer could not be read: {error or type(error).__name__}"
    if problem := answers["record"].problem:
        unknown["record"] = problem
    return _assemble(answers, unknown)


@lru_cache(maxsize=1024)
def _read(number: int, text: str) -> Any:
    """What this subject's text says. Hosts of one fleet say much in the same words, which are read once; nobody changes a record."""
    return SUBJECTS[number].parse(text)


def _assemble(answers: dict[str, Any], unknown: dict[str, str]) -> Machine:
    images, offers = answers["initramfs"], answers["candidates"]
    installed = answers["kernels"].installed
    pods = {uid: name for scheduler in answers["schedulers"] for uid, name in scheduler.pods.items()}
    working = holders.named(answers["holders"], answers["docker"].containers, pods)
    return Machine(
        distribution=answers["distribution"],
        kernels=replace(
            answers["kernels"],
            default=answers["bootmenu"].default,
            loader=answers["bootmenu"],
            installed=tuple(replace(kernel, initramfs=images.get(kernel.release)) for kernel in installed),
        ),
        platform=answers["platform"],
        boot=answers["boot"],
        pci=answers["pci"],
        nouveau=answers["nouveau"],
        filesystems=answers["filesystems"],
        packages=replace(
            answers["packages"],
            locks=answers["locks"],
            holds=answers["holds"],
            candidates=offers.candidates,
            origins=offers.origins,
            available=offers.available,
            sources=answers["sources"],
        ),
        driver=replace(answers["driver"], dkms=answers["dkms"], holders=working),
        cuda=answers["cuda"],
        docker=answers["docker"],
        toolkit=answers["toolkit"],
        files=answers["files"],
        units=answers["units"],
        proven=answers["record"].proven,
        proven_before=answers["record"].before,
        schedulers=answers["schedulers"],
        unknown=unknown,
    )


class Probe(FactBase[Machine]):
    """Everything about one host in one round trip. Raises FactProcessError when the answer is not whole."""

    @override
    def command(self) -> str:
        return build_command(SUBJECTS)

    @staticmethod
    @override
    def default() -> Machine:
        """What stands in when the host gave no answer at all: a machine of which nothing is known."""
        return Machine(unknown={subject.name: "the host gave no answer" for subject in SUBJECTS})

    @override
    @fact_guard
    def process(self, output: list[str]) -> Machine:
        return parse_machine("\n".join(output))
