"""The way out of dnf 4, dnf 5, zypper and pacman: only the proxy knows the repository's name, and only with its login."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from deploys.operations.packages import script
from deploys.plan.plan import PackagePlan
from deploys.plan.settings_proxy import Proxy
from deploys.support.logged import start_command
from tests.bed import proxy, repository, rpms
from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.pack import Package
from tests.bed.proxy import Way
from tests.bed.rpms import DISTRO, Rpm, RpmRepositories
from tests.hosts import pacman_lab
from tests.hosts.lab import Lab
from tests.hosts.rpm_lab import DISTRO_KEY, TOOLS, RpmLab

NAME, LOGIN = "packages.invalid", "ann:s3cret"


@pytest.fixture(scope="module")
def repos(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpmRepositories]:
    folder = tmp_path_factory.mktemp("proxied") / "bed"
    repos = rpms.start(folder, bed.network.gateway)
    repos.build("base", [Rpm("far-away", "1-1", ("Provides: /bin/sh",))], DISTRO)
    repos.sign("base", DISTRO)
    yield repos
    rpms.stop(folder)


def rehearse(lab: Lab, way_out: Proxy) -> int:
    """The rehearsal of one package; returns its exit status. The login stays out of everything that is printed."""
    plan = replace(lab.plan(PackagePlan(wanted=("far-away",))), proxy=way_out)
    done = lab.host.ssh(
        start_command("rehearsal", 120), text_in=script(plan, "rehearse", lab.now()), check=False, timeout=180
    )
    log = lab.host.nsenter("cat /var/log/gpu-host/rehearsal.log").stdout
    assert "s3cret" not in done.stdout + done.stderr + log
    return done.returncode


def goes_through(lab: Lab, way: Way) -> None:
    url = f"http://{LOGIN}@{way.address}"
    assert rehearse(lab, Proxy(f"http://{way.address}")) == 1
    assert way.turned_away
    assert not way.asked
    assert rehearse(lab, Proxy(url, url)) == 0
    assert any("far-away" in path for path in way.asked)


@pytest.mark.parametrize("family", list(TOOLS))
def test_rpm_managers_go_through_the_proxy_with_its_login(
    family: str, make_host: Callable[..., Host], repos: RpmRepositories, bed: Bed
) -> None:
    lab = RpmLab(make_host(family, f"way-{family}", disguise=False), TOOLS[family], repos)
    lab.host.nsenter(f"rm -f {lab.tool.sources}/*.repo; mkdir -p /etc/pki/rpm-gpg")
    lab.host.nsenter("sed -i 's/^enabled *=.*/enabled = 0/' /etc/dnf/*plugins/local.conf", check=False)
    lab.host.put(DISTRO_KEY, repos.key(DISTRO))
    lab.host.nsenter(f"rpm --import {DISTRO_KEY}")
    text = f"[base]\nname=base\nbaseurl=http://{NAME}/base\nenabled=1\ngpgcheck=1\ngpgkey=file://{DISTRO_KEY}\n"
    lab.host.put(f"{lab.tool.sources}/base.repo", text)
    with proxy.running(bed.network.gateway, LOGIN, NAME, repos.base_url) as way:
        goes_through(lab, way)


def test_pacman_goes_through_the_proxy_with_its_login(make_host: Callable[..., Host], bed: Bed) -> None:
    """The index is the host's own, as old as the system; the package comes from far away."""
    lab = pacman_lab.trust(make_host("arch", "way-arch", disguise=False))
    served = lab.host.folder / "served"
    try:
        lab.offer([Package(name, version) for name, version in lab.packages()] + [Package("far-away", "1-1")])
        lab.type("-Syy")
        lab.host.nsenter(f"sed -i 's|^Server = .*|Server = http://{NAME}/extra|' {pacman_lab.CONF}")
        (served / "www").mkdir(parents=True)
        (lab.host.root / pacman_lab.REPOSITORY).rename(served / "www/extra")
        server, port = repository.serve(served, bed.network.gateway)
        with proxy.running(bed.network.gateway, LOGIN, NAME, f"http://{bed.network.gateway}:{port}") as way:
            goes_through(lab, way)
        server.end()
    finally:
        pacman_lab.stop(lab)
