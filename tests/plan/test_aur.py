"""What comes from the Arch User Repository: the only way for older GPUs, on request for the runtime, never without a pin."""

from __future__ import annotations

from typing import Any

import pytest

from deploys.knowledge.distros.arch import ARCH
from deploys.plan.aur import RISK
from deploys.plan.checks import judge
from deploys.plan.describe import describe
from deploys.plan.machine import Machine
from deploys.plan.plan import make_plan
from deploys.plan.settings import AurPin, Mirror, Settings, SettingsError, parse_settings
from facts.probe import parse_machine
from inventories.releases import RELEASES, recording
from tests.plan.gpg_keys import LIVING
from tests.plan.hosts import B200, GTX_1080, K80, T4, V100, changed, gpus, installed

COMMIT, DIGEST = "0123456789abcdef" * 2 + "01234567", "ab" * 32
PIN = AurPin(COMMIT, DIGEST)
PINNED = {"nvidia-580xx-utils": PIN}
BARE = parse_machine(recording(next(r for r in RELEASES if r.name == "arch")))


def arch(*cards: int) -> Machine:
    return changed(BARE, pci=gpus(*cards))


def settings(**more: Any) -> Settings:
    return Settings(**{"cuda": None, "aur": PINNED, **more})


@pytest.mark.parametrize(
    ("cards", "base", "packages"),
    [
        ((GTX_1080,), "nvidia-580xx-utils", ("nvidia-580xx-dkms", "nvidia-580xx-utils")),
        ((V100, T4), "nvidia-580xx-utils", ("nvidia-580xx-dkms", "nvidia-580xx-utils")),
        ((K80,), "nvidia-470xx-utils", ("nvidia-470xx-dkms", "nvidia-470xx-utils")),
    ],
)
def test_older_gpus_get_the_newest_recipe_that_carries_all(
    cards: tuple[int, ...], base: str, packages: tuple[str, ...]
) -> None:
    plan = make_plan(arch(*cards), settings(aur={base: PIN}), ARCH)
    assert plan.driver.packages == packages
    assert plan.driver.flavour == "proprietary"
    (job,) = plan.packages.aur
    assert (job.base, job.url, job.commit, job.sha256) == (base, "https://aur.archlinux.org", COMMIT, DIGEST)


@pytest.mark.parametrize(("cards", "branch"), [((T4,), None), ((B200,), None), ((T4,), "615")])
def test_what_the_official_repositories_carry_never_comes_from_the_aur(
    cards: tuple[int, ...], branch: str | None
) -> None:
    plan = make_plan(arch(*cards), settings(driver_branch=branch), ARCH)
    assert plan.packages.aur == ()
    assert plan.driver.packages == ("nvidia-open-dkms", "nvidia-utils")


def test_a_branch_that_is_asked_for_may_come_from_the_aur() -> None:
    plan = make_plan(arch(T4), settings(driver_branch="580"), ARCH)
    assert plan.packages.aur[0].base == "nvidia-580xx-utils"


def test_no_recipe_carries_volta_and_blackwell() -> None:
    plan = make_plan(arch(V100, B200), settings(), ARCH)
    assert plan.driver.problem
    assert plan.packages.aur == ()


def test_the_page_says_what_is_built_and_why_it_is_a_risk() -> None:
    machine = arch(V100)
    page = describe(make_plan(machine, settings(), ARCH), machine, "arch")
    assert (
        f"build nvidia-580xx-utils from https://aur.archlinux.org at commit {COMMIT}, PKGBUILD SHA-256 {DIGEST}" in page
    )
    assert RISK in page


def test_a_mirror_replaces_the_aur() -> None:
    plan = make_plan(arch(V100), settings(mirrors={"aur": Mirror("https://mirror.example/aur")}), ARCH)
    assert plan.packages.aur[0].url == "https://mirror.example/aur"


def test_without_a_pin_it_is_refused_and_nothing_else_is() -> None:
    stops = [f for f in judge(arch(V100), settings(aur={})) if f.stops]
    assert [f.check for f in stops] == ["aur_pinned"]
    assert "git clone https://aur.archlinux.org/nvidia-580xx-utils.git" in stops[0].fix
    assert [f.check for f in judge(arch(V100), settings()) if f.stops] == []


def test_a_host_that_has_it_needs_no_pin_and_keeps_it() -> None:
    """Also where its GPU could have the newer driver by now."""
    machine = installed(arch(T4), nvidia_580xx_dkms="580.159.03-1", nvidia_580xx_utils="580.159.03-1")
    plan = make_plan(machine, settings(aur={}), ARCH)
    assert plan.driver.branch == "580"
    assert plan.packages.aur == ()
    assert "aur_pinned" not in [f.check for f in judge(machine, settings(aur={}))]


def test_the_runtime_comes_from_the_aur_on_request_only() -> None:
    pins = {"nvidia-container-runtime": PIN}
    asked = make_plan(arch(T4), settings(aur=pins, container_runtime="aur"), ARCH)
    assert [job.base for job in asked.packages.aur] == ["nvidia-container-runtime"]
    assert make_plan(arch(T4), settings(aur=pins), ARCH).packages.aur == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("nvidia-580xx-utils", ["a mapping of recipes"]),
        ({"../x": {}}, ["'../x'", "the name of a recipe"]),
        ({"x": "0123"}, ["gpu_aur['x']", "commit and pkgbuild_sha256"]),
        ({"x": {"commit": COMMIT}}, ["pkgbuild_sha256", "64 hexadecimal digits", "sha256sum PKGBUILD"]),
        (
            {"x": {"commit": "HEAD", "pkgbuild_sha256": DIGEST}},
            ["'HEAD'", "40 hexadecimal digits", "git rev-parse HEAD"],
        ),
        ({"x": {"commit": COMMIT, "pkgbuild_sha256": DIGEST, "branch": "a"}}, ["'branch'", "or remove it"]),
    ],
)
def test_bad_pins_are_named(value: object, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"gpu_aur": value})
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_pin_may_be_written_in_capitals() -> None:
    parsed = parse_settings({"gpu_aur": {"x": {"commit": COMMIT.upper(), "pkgbuild_sha256": DIGEST.upper()}}})
    assert parsed.aur == {"x": PIN}


def test_the_mirror_of_the_aur_has_no_key() -> None:
    entry = {"url": "https://mirror.example/aur", "key": "k.asc"}
    with pytest.raises(SettingsError, match="recipes are pinned by gpu_aur"):
        parse_settings({"gpu_mirrors": {"aur": entry}}, read_file=lambda _: LIVING)
