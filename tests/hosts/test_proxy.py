"""The package manager's way out: a name that only the proxy knows, a proxy that asks for a login, and a login that stays secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from deploys.knowledge.paths import DOCKER_PROXY_UNIT, DOCKER_PROXY_VALUES
from deploys.operations.files import write
from deploys.operations.packages import script
from deploys.plan.machine import Machine
from deploys.plan.plan import PackagePlan, Plan, make_plan
from deploys.plan.settings import Mirror, Settings
from deploys.plan.settings_proxy import Proxy
from tests.bed import proxy
from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.proxy import Way
from tests.bed.repository import Repository
from tests.bed.sources import machine_archive
from tests.plan.hosts import debian_13_converged, distro_of

NAME = "toolkit.invalid"  # RFC 2606: no name server answers for it
LOGIN = "ann:s3cret"


@pytest.fixture
def way(bed: Bed, toolkit_repository: Repository) -> Iterator[Way]:
    with proxy.running(bed.network.gateway, LOGIN, NAME, toolkit_repository.base_url) as found:
        yield found


def toolkit_plan(machine: Machine, repository: Repository, way_out: Proxy | None) -> Plan:
    """Only the container toolkit, from a name that the host cannot resolve."""
    distro = distro_of(machine)
    url = repository.url.replace(repository.base_url, f"http://{NAME}")
    mirror = Mirror(url, repository.key_path.read_text(), repository.fingerprint)
    settings = Settings(profile="containers", proxy=way_out, mirrors={"nvidia-container-toolkit": mirror})
    packages = distro.repositories["nvidia-container-toolkit"].packages
    return replace(make_plan(machine, settings, distro), packages=PackagePlan(wanted=packages), sources=())


def bare() -> Machine:
    """What the script needs to know: nothing is installed."""
    machine = debian_13_converged()
    return replace(machine, packages=replace(machine.packages, installed={}), files={})


def test_the_package_manager_goes_through_the_proxy_with_its_login(
    make_host: Callable[..., Host], toolkit_repository: Repository, way: Way
) -> None:
    host = make_host("trixie", "proxied")
    direct = ",".join(
        filter(None, (urlsplit(u).hostname or "" for u in (machine_archive().main, machine_archive().security)))
    )
    url = f"http://{LOGIN}@{way.address}"
    for way_out, good in (
        (None, False),
        (Proxy(f"http://{way.address}", "", direct), False),
        (Proxy(url, url, direct), True),
    ):
        plan = toolkit_plan(bare(), toolkit_repository, way_out)
        text = script(plan, "rehearse", bare(), plan.files)
        run = host.ssh("mkdir -p /var/lib/gpu-host && unshare -m sh -s", text_in=text, check=False, timeout=600)
        assert (run.returncode == 0) is good, run.stdout[-3000:]
        assert "s3cret" not in run.stdout + run.stderr
    assert way.turned_away
    assert any(path.endswith("InRelease") for path in way.asked)
    assert any(path.endswith(".deb") for path in way.asked)
    assert host.ssh("dpkg-query -W nvidia-container-toolkit", check=False).returncode != 0, "only rehearsed"


def test_dockerd_gets_the_proxy_from_a_file_for_root_only(
    make_host: Callable[..., Host], toolkit_repository: Repository
) -> None:
    host = make_host("trixie", "docker-proxy")
    plan = toolkit_plan(bare(), toolkit_repository, Proxy(f"http://{LOGIN}@proxy.invalid:3128", "", "localhost"))
    for change in plan.files:
        if change.path in (DOCKER_PROXY_UNIT, DOCKER_PROXY_VALUES):
            host.ssh(write(change).get_raw_value(), text_in=change.content)
    # Any program will do as a daemon: the drop-in is what counts.
    host.ssh(
        "printf '[Service]\\nExecStart=/bin/sleep 600\\n' >/etc/systemd/system/docker.service; systemctl daemon-reload; systemctl start docker"
    )
    environment = host.ssh("tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value docker)/environ").stdout
    assert f"http_proxy=http://{LOGIN}@proxy.invalid:3128" in environment
    assert "NO_PROXY=localhost" in environment
    nobody = "setpriv --reuid=65534 --clear-groups"
    assert (
        "s3cret"
        not in host.ssh(f"{nobody} systemctl show docker; {nobody} cat {DOCKER_PROXY_VALUES} 2>&1", check=False).stdout
    )
    assert host.ssh(f"stat -c %a {DOCKER_PROXY_VALUES}").stdout.strip() == "600"
