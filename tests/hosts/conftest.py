"""Fixtures for tests on booted Debian hosts. All of them need root, and are chosen explicitly: `pytest tests/hosts`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.repository import Repository

HERE = Path(__file__).parent


# The longest files; ./run-tests lets two processes share the tier: one has these, the other one all others.
LONGEST = frozenset(
    {"test_road.py", "test_kill_points.py", "test_families.py", "test_gpu_lists.py", "test_rollback.py"}
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything in this folder carries the marker `hosts`; GPU_HOST_TEST_HALF ("long" or "rest") leaves the other half out."""
    half = os.environ.get("GPU_HOST_TEST_HALF", "")
    left_out = []
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.hosts)
            if half and (half == "long") != (item.path.name in LONGEST):
                left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The run's bed; it and all its hosts are gone when the session ends, whatever the way."""
    if os.geteuid() != 0:
        pytest.fail(
            "tests/hosts need root (namespaces, mounts, apt-get): run them as root, e.g. with sudo", pytrace=False
        )

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt  # as Ctrl-C: pytest then tears its fixtures down

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with Bed.open() as bed:
            yield bed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _maker(bed: Bed) -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(suite: str = "bookworm", name: str = "", **options: object) -> Host:
        made.append(bed.make_host(suite, name, **options))
        return made[-1]

    yield make
    for host in made:
        host.remove()


@pytest.fixture
def make_host(bed: Bed) -> Iterator[Callable[..., Host]]:
    """`make_host(suite, name, gpus=..., disguise=..., ...)`: fresh hosts (fields of `Spec`), removed after the test."""
    yield from _maker(bed)


@pytest.fixture(scope="module")
def make_module_host(bed: Bed) -> Iterator[Callable[..., Host]]:
    """As `make_host`, for hosts that all tests of a module share."""
    yield from _maker(bed)


@pytest.fixture(scope="session")
def toolkit_repository(bed: Bed) -> Repository:
    """The stand-in repository of the container toolkit."""
    return bed.repository()
