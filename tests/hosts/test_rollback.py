"""The way back, in whole runs: by itself where an upgrade of the driver fails its proof, and by hand."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.hosts import rollback_lab
from tests.hosts.families_lab import VERSIONS
from tests.hosts.rollback_lab import NAMES, Site

OLD, NEW = VERSIONS["580"][-1], VERSIONS["595"][-1]


@dataclass
class Upgrade:
    """A proven host, and the run that upgrades it to a driver that does not answer."""

    site: Site
    proven: dict[str, str]
    first: dict[str, dict[str, Any]]
    second: dict[str, dict[str, Any]]
    done: subprocess.CompletedProcess[str]
    downloads: int


@pytest.fixture(scope="module")
def upgrade(
    bed: Bed, make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrade]:
    with rollback_lab.make_site(make_module_host, tmp_path_factory.mktemp("rollback"), bed.network.gateway) as site:
        site.run()
        first, proven = site.results(), {name: site.packages(name) for name in NAMES}
        site.break_driver(NEW)
        before = site.downloads(OLD)
        done = site.run(branch="595")
        yield Upgrade(site, proven, first, site.results(), done, site.downloads(OLD) - before)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_upgrade_that_fails_its_proof_goes_back_in_the_same_run(upgrade: Upgrade, name: str) -> None:
    host, result = f"back-{name}", upgrade.second[f"back-{name}"]
    assert upgrade.first[host]["state"] == "ready"
    assert upgrade.done.returncode == 1
    assert result["state"] == "rolled-back"
    assert result["detail"].startswith(f"driver {NEW} failed its proof (nvml: nvidia-smi ended with 9")
    assert f"was given up for driver {OLD}" in result["detail"]
    assert result["detail"].endswith("; now ready")
    assert upgrade.site.packages(name) == upgrade.proven[name]
    assert upgrade.site.loaded(name) == OLD
    assert upgrade.downloads == 0, "what comes back was kept"


def test_host_that_went_back_is_what_was_proven(upgrade: Upgrade, name: str) -> None:
    if name == NAMES[0]:
        assert upgrade.site.run("deploys/verify.py").returncode == 0
    result = upgrade.site.results()[f"back-{name}"]
    assert (result["state"], result["drift"]) == ("ready", [])


def test_set_that_was_given_up_is_not_installed_again(upgrade: Upgrade, name: str) -> None:
    if name == NAMES[0]:
        assert upgrade.site.run(branch="595").returncode == 1
    result = upgrade.site.results()[f"back-{name}"]
    assert result["state"] == "failed"
    log = upgrade.site.families[name].host.nsenter("tail -n 3 /var/log/gpu-host/rehearsal.log").stdout
    assert f"driver {NEW} failed its proof here on " in log
    assert upgrade.site.packages(name) == upgrade.proven[name]


def test_way_back_by_hand_is_remembered(upgrade: Upgrade, name: str) -> None:
    """What was proven before is what is proven now, and the other way around: nothing has drifted."""
    site = upgrade.site
    if name == NAMES[0]:
        site.break_driver("")
        for family in site.families.values():
            family.host.nsenter("rm /var/lib/gpu-host/given-up")
        assert site.run(branch="595").returncode == 0
        assert {site.loaded(n) for n in NAMES} == {NEW}
        assert site.run("deploys/rollback.py").returncode == 0
        assert site.run("deploys/verify.py").returncode == 0
    assert site.packages(name) == upgrade.proven[name]
    now, before = site.proven(name)
    assert (now.driver, before and before.driver) == (OLD, NEW)
    result = site.results()[f"back-{name}"]
    assert (result["state"], result["drift"]) == ("ready", [])
