"""Which CUDA toolkits fit: by driver, by GPU, side by side, and by forward compatibility."""

from __future__ import annotations

import pytest

from deploys.knowledge.cuda import RELEASES, find_family
from deploys.plan.cuda import choose_cuda, fit_cuda, offered_by_vendor
from tests.plan.hosts import B200, GTX_1080, K80, L4, RTX_5090, T4, UNKNOWN_GPU, V100, debian_12_bare, gpus

K10 = 0x118F
ALL = tuple(r.version for r in RELEASES)


@pytest.mark.parametrize("release", RELEASES, ids=lambda r: r.version)
def test_each_toolkit_at_the_edge_of_its_driver(release: object) -> None:
    assert release in RELEASES
    row = next(r for r in RELEASES if r == release)
    family = find_family(row.version)
    assert family is not None
    host = debian_12_bare(pci=gpus(T4))
    assert fit_cuda(row.version, host, row.driver).way == "native"
    major = int(row.driver.split(".")[0])
    expected = "native" if row.driver == family.driver else "minor-version"
    assert fit_cuda(row.version, host, family.driver).way == expected
    assert fit_cuda(row.version, host, f"{major}.999").way == "native"


@pytest.mark.parametrize(
    ("version", "devices", "driver", "way", "words"),
    [
        ("11.3", (T4,), "580.178.04", "", "newer than 11.3"),
        ("11.3.0", (T4,), "580.178.04", "", "newer than 11.3"),
        ("10.2", (T4,), "580.178.04", "", "newer than 11.3"),
        ("12.7", (T4,), "580.178.04", "", "no toolkit"),
        ("99.9", (T4,), "580.178.04", "", "no toolkit"),
        ("", (T4,), "580.178.04", "", "newer than 11.3"),
        ("13.0", (GTX_1080,), "580.178.04", "", "Pascal"),
        ("12.9", (GTX_1080,), "580.178.04", "native", ""),
        ("11.4", (K80,), "470.256.02", "native", ""),
        ("11.8", (K80,), "470.256.02", "minor-version", ""),
        ("12.0", (K80,), "470.256.02", "", "Kepler"),
        ("11.4", (K10,), "470.256.02", "", "10.2"),
        ("12.4", (RTX_5090,), "580.178.04", "", "12.8"),
        ("11.4", (L4,), "535.309.01", "", "11.8"),
        ("13.2", (T4,), "580.178.04", "minor-version", ""),
        ("13.2", (T4,), "550.163.01", "forward", "cuda-compat-13-2"),
        ("13.2", (B200, T4), "570.211.01", "forward", "cuda-compat-13-2"),
        ("13.2", (RTX_5090,), "570.211.01", "", "data-centre"),
        ("13.2", (T4, RTX_5090), "570.211.01", "", "data-centre"),
        ("12.4", (UNKNOWN_GPU,), "535.309.01", "minor-version", ""),
        ("12.4", (T4,), "", "", "unknown"),
    ],
)
def test_a_toolkit(version: str, devices: tuple[int, ...], driver: str, way: str, words: str) -> None:
    fit = fit_cuda(version, debian_12_bare(pci=gpus(*devices)), driver)
    assert (fit.way, bool(fit.problem)) == (way, not way)
    assert words in f"{fit.problem} {fit.package} {fit.reason}"
    assert fit.problem or fit.reason.text


@pytest.mark.parametrize(
    ("devices", "driver", "newest"),
    [
        ((T4,), "535.309.01", "12.2"),
        ((T4,), "580.178.04", "13.0"),
        ((T4,), "615.71.09", "13.4"),
        ((GTX_1080, B200), "580.178.04", "12.9"),
        ((V100, T4), "580.178.04", "12.9"),
        ((K80,), "470.256.02", "11.4"),
        ((K10,), "470.256.02", ""),
        ((K80, RTX_5090), "580.178.04", ""),
    ],
)
def test_the_newest_that_fits_the_oldest_gpu_and_the_driver(devices: tuple[int, ...], driver: str, newest: str) -> None:
    choice = choose_cuda(debian_12_bare(pci=gpus(*devices)), driver, (), ALL, "the source")
    assert choice.versions == ((newest,) if newest else ())
    assert bool(choice.problem) is (not newest)
    assert newest or (choice.needed and choice.fix)


def test_native_is_preferred_and_minor_version_compatibility_serves_where_nothing_else_does() -> None:
    host = debian_12_bare(pci=gpus(T4))
    assert choose_cuda(host, "580.178.04", (), ("13.2", "13.0"), "x").versions == ("13.0",)
    assert choose_cuda(host, "580.178.04", (), ("13.4", "13.2"), "x").versions == ("13.4",)
    assert choose_cuda(host, "550.163.01", (), ("13.4",), "x").problem  # never forward compatibility unasked
    assert choose_cuda(host, "550.163.01", (), (), "x").problem == "no CUDA toolkit fits: x has none"


def test_side_by_side_all_or_none() -> None:
    host = debian_12_bare(pci=gpus(T4))
    both = choose_cuda(host, "580.178.04", ("11.8", "13.0"), ALL, "the source")
    assert both.versions == ("13.0", "11.8")
    assert not both.problem
    one = choose_cuda(host, "580.178.04", ("11.3", "13.0"), ALL, "the source")
    assert (one.versions, "11.3" in one.problem) == ((), True)
    absent = choose_cuda(host, "580.178.04", ("12.4", "13.0"), ("13.0",), "the source")
    assert "the source does not carry CUDA 12.4" in absent.problem
    assert absent.fix == 'set gpu_cuda = "13.0" or "auto"'


def test_what_a_repository_offers_begins_somewhere() -> None:
    assert offered_by_vendor("13.0") == ("13.0", "13.1", "13.2", "13.3", "13.4")
    assert offered_by_vendor("") == ALL
