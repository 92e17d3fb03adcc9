"""When a host may go back to the set that it was proven with, and what moves."""

from __future__ import annotations

from typing import Any

import pytest

from deploys.plan.machine import Machine, Package, ProvenSet
from deploys.plan.proof_step import Step
from deploys.plan.rollback import GoingBack, describe_way_back, unrelated, way_back
from tests.plan.hosts import changed, debian_13_converged, holders

OLD, NEW = "550.163.01-2", "590.10.01-1"
SET = ("nvidia-driver", "nvidia-kernel-dkms", "libcuda1")
PROVEN = ProvenSet(
    time="2026-11-01T00:00:00Z",
    kernel="6.12.107+deb13-amd64",
    driver="550.163.01",
    manager="apt",
    packages={
        **dict.fromkeys(SET, OLD),
        "nvidia-modprobe": "570.133.07-1",
        "docker.io": "26.1.5-1",
        "nvidia-cuda-toolkit": "12.4.1-3",
        "nvidia-container-toolkit": "1.18.0-1",
    },
    holds=("nvidia-driver",),
)


def host(**changes: Any) -> Machine:
    """The proven set was upgraded, and its proof has failed."""
    versions = {
        **dict.fromkeys(SET, NEW),
        "nvidia-modprobe": "570.133.07-1",
        "docker.io": "28.5.2-1",
        "nvidia-cuda-toolkit": "12.5.0-1",
        "nvidia-container-toolkit": "1.18.0-1",
    }
    return changed(
        debian_13_converged(),
        **{
            "packages__manager": "apt",
            "packages__installed": {n: Package(n, v) for n, v in versions.items()},
            "driver__holders": (),
            "docker__gpu_containers": (),
            "docker__running": 0,
            "driver__user_space": "590.10.01",
            **changes,
        },
    )


def test_exactly_what_differs_goes_back_to_its_full_version() -> None:
    back = way_back(host(), PROVEN)
    assert back.why_not == ""
    assert back.packages == {**dict.fromkeys(SET, OLD), "docker.io": "26.1.5-1"}
    assert set(back.same_version) == set(SET)
    assert back.holds == ("nvidia-driver",)
    page = describe_way_back(back, "gpu-01")
    assert "from          driver 590.10.01" in page
    assert "to            driver 550.163.01 (proven 2026-11-01T00:00:00Z)" in page
    assert "libcuda1 550.163.01-2" in page


def test_engine_stays_where_its_restart_would_end_containers() -> None:
    assert "docker.io" not in way_back(host(docker__running=1, docker__live_restore=False), PROVEN).packages
    assert "docker.io" not in way_back(host(docker__running=None), PROVEN).packages
    assert "docker.io" in way_back(host(docker__running=1, docker__live_restore=True), PROVEN).packages


@pytest.mark.parametrize(
    ("machine", "target", "words"),
    [
        (host(), None, "was never proven"),
        (host(packages__manager="rpm"), PROVEN, "by rpm has not been built"),
        (host(packages__manager="zypper"), PROVEN, "by zypper has not been built"),
        (host(packages__manager="apt"), ProvenSet(manager="apt", time="t"), "would change nothing"),
        (host(driver__holders=holders("python3 -m vllm")), PROVEN, "in use by python3 -m vllm"),
    ],
)
def test_host_without_a_way_back_says_why(machine: Machine, target: ProvenSet | None, words: str) -> None:
    assert words in way_back(machine, target).why_not


def step(name: str, result: str = "FAIL") -> Step:
    return Step(name, result, "why")  # type: ignore[arg-type]


def test_what_is_given_up_is_what_moved() -> None:
    """A driver that was proven, and stays, is not given up for the engine beside it."""
    engine = {n: Package(n, OLD) for n in SET} | {"docker.io": Package("docker.io", "28.5.2-1")}
    back = way_back(host(packages__installed=engine), PROVEN)
    assert (back.same_version, back.failed) == ((), "the container toolkit or engine that came")
    assert way_back(host(), PROVEN).failed == "driver 590.10.01"


@pytest.mark.parametrize(
    ("failed", "driver_moves", "words"),
    [
        (["nvml"], True, ""),
        (["container_gpu"], True, ""),
        (["container_gpu", "gpus_option"], False, ""),
        (["nvml", "container_gpu"], False, "nvml failed, and the driver is the one that was proven"),
        (["pci_gpus", "nvml"], True, "pci_gpus failed, which no package brings about"),
        (["kernel_log"], True, "kernel_log failed"),
    ],
)
def test_packages_go_back_only_for_what_packages_break(failed: list[str], driver_moves: bool, words: str) -> None:
    back = GoingBack(same_version=SET if driver_moves else ())
    steps = [step("driver_built", "PASS"), *map(step, failed), step("compose_gpu", "SKIP")]
    assert unrelated(back, steps).startswith(words)
    assert bool(words) == bool(unrelated(back, steps))


def test_no_set_is_given_up_twice_unless_a_person_asks_for_it() -> None:
    identity = way_back(host(), PROVEN).identity
    again = host(boot__given_up=("0123", identity))
    assert "was given up once before" in way_back(again, PROVEN).why_not
    assert way_back(again, PROVEN, again=True).why_not == ""
    other = {n: Package(n, "595.1-1") for n in SET}
    assert way_back(changed(again, packages__installed=other), PROVEN).why_not == "", "another set is another matter"


def test_kernel_that_was_proven_and_is_gone_is_named() -> None:
    kernel = host().kernels.running or ""
    assert way_back(host(), changed_set(kernel)).kernel == ""
    assert way_back(host(), changed_set("6.1.0-1-amd64")).kernel == "6.1.0-1-amd64"


def changed_set(kernel: str) -> ProvenSet:
    return ProvenSet(**{**vars(PROVEN), "kernel": kernel})
