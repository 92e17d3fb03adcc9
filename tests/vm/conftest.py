"""Fixtures of the VM tier. Everything in this folder carries the marker `vm`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.bed import VmBed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.vm.image import BaseImage
    from tests.vm.machine import Vm

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.vm)


@pytest.fixture(scope="session")
def vm_bed() -> Iterator[VmBed]:
    """Bridge, lock and work folder for the run."""
    with VmBed() as bed:
        yield bed


@pytest.fixture(scope="session")
def base_image(vm_bed: VmBed) -> BaseImage:
    """The disk that every guest starts from; names the kernel release to build modules for."""
    return vm_bed.base_image()


@pytest.fixture
def vm(vm_bed: VmBed, request: pytest.FixtureRequest) -> Iterator[Vm]:
    """A fresh guest for one test."""
    yield from _fresh(vm_bed, request.node.name)


@pytest.fixture(scope="module")
def module_vm(vm_bed: VmBed, request: pytest.FixtureRequest) -> Iterator[Vm]:
    """A fresh guest for the tests of one module, which run in order and see each other's changes."""
    yield from _fresh(vm_bed, Path(request.node.name).stem)


def _fresh(bed: VmBed, name: str) -> Iterator[Vm]:
    guest = bed.new_vm("".join(c if c.isalnum() else "-" for c in name))
    try:
        yield guest
    finally:
        bed.discard(guest)
