"""Every check, one row per case: what kind of host, which settings, and what the check says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploys.plan.checks import CHECK_NAMES, CHECKS, WAIVABLE, judge
from deploys.plan.machine import DkmsEntry
from deploys.plan.settings import Settings
from tests.plan.hosts import (
    changed,
    debian_12_bare,
    from_origin,
)
from tests.plan.rows.case import BARE, DEBIAN, DONE, EMPTY, Case
from tests.plan.rows.containers import CONTAINERS
from tests.plan.rows.driver import DRIVER
from tests.plan.rows.gpu import GPU
from tests.plan.rows.holds import HOLDS
from tests.plan.rows.kernel import KERNEL
from tests.plan.rows.packages import PACKAGES
from tests.plan.rows.platform import PLATFORM
from tests.plan.rows.work import WORK

CASES = [*PLATFORM, *GPU, *DRIVER, *KERNEL, *PACKAGES, *HOLDS, *CONTAINERS, *WORK]
FUNCTIONS = {check.name: check.function for check in CHECKS}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.check}: {c.name}")
def test_check(case: Case) -> None:
    finding = FUNCTIONS[case.check](case.machine, case.settings)
    assert (finding.level if finding else None) == case.level
    if finding is None:
        return
    assert finding.check == case.check
    text = f"{finding.found}\n{finding.needed}\n{finding.fix}"
    assert [word for word in case.words if word not in text] == []
    assert all(part.strip() and "None" not in part.replace("gpu_cuda = None", "") for part in text.split("\n"))


def test_every_check_has_a_passing_and_a_failing_row() -> None:
    passing = {c.check for c in CASES if c.level is None}
    failing = {c.check for c in CASES if c.level is not None}
    assert passing == failing == CHECK_NAMES


def test_row_names_are_unique() -> None:
    rows = [(c.check, c.name) for c in CASES]
    assert len(rows) == len(set(rows))


def test_a_bare_and_a_converged_host_are_not_refused() -> None:
    assert [f for m in (BARE, DONE) for f in judge(m, Settings()) if f.stops] == []


def test_all_findings_are_reported_in_the_order_of_the_checks() -> None:
    machine = debian_12_bare(
        platform__uid=1000, platform__secure_boot=True, pci=(), packages__healthy=False, docker__impostor="podman"
    )
    found = [f.check for f in judge(machine, Settings()) if f.stops]
    assert found == [
        "runs_as_root",
        "secure_boot_allows_modules",
        "nvidia_gpu_present",
        "package_database_healthy",
        "no_podman_or_snap_docker",
    ]


def test_nothing_known_is_refused() -> None:
    findings = judge(EMPTY, Settings())
    assert {"linux_x86_64", "kernel_at_least_3_10", "distro_supported", "nvidia_gpu_present"} <= {
        f.check for f in findings if f.stops
    }


@pytest.mark.parametrize("name", sorted(CHECK_NAMES))
def test_accepting_works_by_name_and_only_where_it_is_harmless(name: str) -> None:
    case = next(c for c in CASES if c.check == name and c.level is not None)
    others = tuple(sorted(CHECK_NAMES - {name}))
    plain = {f.check: f for f in judge(case.machine, case.settings)}[name]
    accepted = {f.check: f for f in judge(case.machine, replace(case.settings, accept=(name,)))}[name]
    not_named = {f.check: f for f in judge(case.machine, replace(case.settings, accept=others))}[name]
    assert accepted.accepted is (name in WAIVABLE)
    assert accepted.stops is (accepted.level == "stop" and name not in WAIVABLE)
    assert not_named == plain
    assert replace(accepted, accepted=False) == plain


def test_checks_that_guard_the_host_say_why_they_cannot_be_accepted() -> None:
    assert {c.name for c in CHECKS if c.never} == CHECK_NAMES - WAIVABLE
    assert "gpu_idle_before_driver_change" in WAIVABLE
    assert "no_foreign_driver" not in WAIVABLE


def test_a_driver_that_dkms_has_built_is_no_foreign_driver() -> None:
    machine = changed(DONE, driver__dkms=(DkmsEntry("nvidia-current", "550.163.01", "", "added"),))
    assert FUNCTIONS["no_foreign_driver"](from_origin(machine, DEBIAN, "libcuda1"), Settings()) is None
