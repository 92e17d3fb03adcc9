"""Over all known ids, releases and kernels: a decision or a refusal with its reason, and never a driver that cannot serve."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.knowledge.branches import KNOWN_BAD, find_branch
from deploys.knowledge.cuda import RELEASES
from deploys.knowledge.distros import DISTROS, find_distro
from deploys.knowledge.distros.known import KNOWN_RELEASES
from deploys.knowledge.fabric import SWITCH_IDS
from deploys.knowledge.gpu_table import RANGES
from deploys.knowledge.gpus import find_generation, is_newer_than_known
from deploys.plan.driver_branch import newest_production
from deploys.plan.explain import Explanation, Question, describe_explanation, explain
from deploys.plan.settings import Settings
from deploys.plan.versions import below

IDS = [device for first, last, _ in RANGES for device in (first, (first + last) // 2, last)]
MODERN = [device for device in IDS if device >= 0x1000]
RELEASE_NAMES = sorted({(r.id, r.version) for r in DISTROS} | {(r.id, r.version) for r in KNOWN_RELEASES})
KERNELS = [
    "", "3.10.0-1160.el7.x86_64", "4.14.336", "4.18.0-553.el8_10.x86_64", "5.14.0-687.15.el9.x86_64", "5.15.0-1080-aws",
    "5.15.148-tegra", "6.1.0-50-amd64", "6.1.0-50-cloud-amd64", "6.8.0-60-generic", "6.12.96+deb13-amd64",
    "6.12.117+deb13-amd64", "6.12.0-100.el9uek.x86_64", "6.18.40-1-lts", "7.0.0-31-generic", "7.1.2-zen1-1-zen", "damage",
]  # fmt: skip
PINS = [None, None, None, "390", "470", "535", "580", "580.95.05", "595", "610", "615", "999"]

WISHES = st.builds(
    Settings,
    kernel_modules=st.sampled_from(["auto", "auto", "open", "proprietary"]),
    driver_branch=st.sampled_from(PINS),
    driver_source=st.sampled_from(["distro", "nvidia"]),
    cuda=st.sampled_from(["auto", "auto", None, *((r.version,) for r in RELEASES), ("11.3",), ("12.4", "13.0")]),
)
QUESTIONS = st.builds(
    lambda devices, release, **rest: Question(tuple(devices), *release, **rest),
    st.lists(
        st.one_of(st.sampled_from(MODERN), st.sampled_from(IDS), st.integers(0, 0xFFFF), st.just(0x22A3)),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(RELEASE_NAMES),
    kernel=st.sampled_from(KERNELS),
    architecture=st.sampled_from(["", "aarch64"]),
    secure_boot=st.booleans(),
    key_enrolled=st.booleans(),
    settings=WISHES,
)


@settings(max_examples=600, deadline=None)
@given(QUESTIONS)
def test_every_answer_is_a_sound_decision_or_a_refusal_with_its_reason(question: Question) -> None:
    answer = explain(question)
    assert answer == explain(question)
    assert describe_explanation(answer).strip()
    assert all(r.found and r.needed and r.fix and r.source.title for r in answer.refusals)
    assert all(r.text.strip() and r.source.title and r.source.as_of for r in answer.rules)
    assert all(warning.strip() for warning in answer.warnings)
    driver = answer.driver
    if driver is None or driver.problem:
        assert answer.refusals
        return
    assert driver.why
    assert driver.rules
    assert_driver_serves(question, answer)
    assert_cuda(answer)


def assert_driver_serves(question: Question, answer: Explanation) -> None:
    """The branch carries every GPU, in a flavour that each allows; unknown ids only where they are newer than all."""
    driver = answer.driver
    assert driver is not None
    branch = int(driver.branch)
    row = find_branch(branch)
    assert row is not None
    assert row.has(driver.flavour)
    assert driver.version.split(".")[0] == driver.branch
    pin = question.settings.driver_branch
    assert pin in (None, driver.branch, driver.version)
    assert question.settings.kernel_modules in ("auto", driver.flavour)
    for device in question.devices:
        generation = find_generation(device)
        if device in SWITCH_IDS:
            continue
        if generation is None:
            assert is_newer_than_known(device)
            assert (driver.flavour, branch >= newest_production().number) == ("open", True)
            assert driver.warnings
            continue
        assert generation.first_branch <= branch <= (generation.last_branch or branch)
        assert {"must": "open", "cannot": "proprietary"}.get(generation.open_modules, driver.flavour) == driver.flavour
    assert_kernel(question, answer)


def assert_kernel(question: Question, answer: Explanation) -> None:
    """No driver passes on a kernel that it is known not to build on; no unsigned module passes Secure Boot."""
    driver = answer.driver
    assert driver is not None
    if answer.refusals:
        return
    row = find_branch(driver.branch)
    assert row is not None
    assert below(question.kernel, row.min_kernel) is not True
    prebuilt = "the distribution's version" in describe_explanation(answer)
    if question.secure_boot and not question.key_enrolled:
        assert prebuilt
        assert find_distro(question.distro, question.version) is None or question.settings.driver_source == "nvidia"
    for bad in KNOWN_BAD:
        if prebuilt or driver.flavour != bad.flavour or driver.branch != str(bad.branch):
            continue
        good = bad.fixed_in is not None and below(driver.version, bad.fixed_in) is False
        hit = any(
            below(question.kernel, first) is False and (end is None or below(question.kernel, end))
            for first, end in bad.kernels
        )
        assert good or not hit


def assert_cuda(answer: Explanation) -> None:
    """Never CUDA 11.3 or older, and every toolkit compiles for every GPU."""
    for version in answer.cuda.versions if answer.cuda else ():
        assert below(version, "11.3.1") is False
    assert answer.cuda is None or bool(answer.cuda.problem) is (not answer.cuda.versions)
    assert answer.cuda is None or not answer.cuda.problem or answer.refusals
