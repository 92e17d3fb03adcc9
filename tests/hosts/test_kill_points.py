"""A run that is cut off at any moment, in any way: the next one brings the host to the same end, and nothing is left behind.

`./run-tests kill --seed SEED --points NUMBER` chooses the moments (by the commit, and 20 of them, where nothing is said). A point that
failed is tried alone with `./run-tests kill --seed SEED -k point-NUMBER`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.bed import rpms
from tests.bed.bed import Bed
from tests.bed.host import Host
from tests.bed.shell import REPOSITORY
from tests.hosts import families_lab, pacman_lab
from tests.hosts.kill_lab import Road
from tests.hosts.kill_points import Point, choose

Verdicts = Mapping[Point, "Future[list[str]]"]


def default_seed() -> int:
    """Another one for each commit, and the same one for everybody who has that commit."""
    words = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return int(done.stdout[:6], 16) if done.returncode == 0 else 1


SEED = int(os.environ.get("GPU_HOST_KILL_SEED") or default_seed())
COUNT = int(os.environ.get("GPU_HOST_KILL_POINTS") or 20)
FAMILIES = tuple((os.environ.get("GPU_HOST_KILL_FAMILIES") or "ubuntu ubuntu rocky").split())
POINTS = choose(SEED, COUNT, FAMILIES)


@pytest.fixture(scope="module")
def roads(
    bed: Bed, make_module_host: Callable[..., Host], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Road]]:
    folder = tmp_path_factory.mktemp("kill")
    repos = rpms.start(folder / "bed", bed.network.gateway)
    lab = None
    try:
        key = families_lab.vendor_key(repos, folder)
        found = {}
        for name in dict.fromkeys(FAMILIES):
            host = make_module_host(name, name, gpus="t4")
            if name == "arch":
                lab = pacman_lab.trust(host)
                stocked = families_lab.stock_arch(lab)
            elif name == "ubuntu":
                stocked = families_lab.stock_deb(host, repos, key)
            else:
                stocked = families_lab.stock_rpm(name, host, repos, key)
            found[name] = Road(stocked, folder / name)
            found[name].prepare()
        yield found
    finally:
        if lab is not None:
            pacman_lab.stop(lab)
        rpms.stop(folder / "bed")


def _walk(road: Road, verdicts: Verdicts) -> None:
    """One host's points, one after the other."""
    trouble: BaseException | None = None
    try:
        road.survey()
    except BaseException as error:  # noqa: BLE001 - it is told by each of this host's points
        trouble = error
    for point, verdict in verdicts.items():
        if point.family != road.name:
            continue
        try:
            verdict.set_exception(trouble) if trouble else verdict.set_result(road.try_out(point))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this point's
            verdict.set_exception(error)


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest, roads: dict[str, Road]) -> Iterator[Verdicts]:
    """What was found at every chosen point; the hosts work side by side."""
    chosen = {item.name.partition("[")[2].rstrip("]") for item in request.session.items}
    futures: Verdicts = {point: Future() for point in POINTS if str(point) in chosen}
    with ThreadPoolExecutor(len(roads)) as workers:
        for road in roads.values():
            workers.submit(_walk, road, futures)
        try:
            yield futures
        finally:
            for road in roads.values():
                road.stop()


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_the_next_run_converges(point: Point, verdicts: Verdicts) -> None:
    wrong = verdicts[point].result()
    assert wrong == [], f"seed {SEED}"
