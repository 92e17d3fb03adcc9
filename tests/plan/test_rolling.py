"""A fleet in waves: never more hosts down than may be, and an end within the budget. A thousand fleets by chance."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from deploys.plan.rolling import Wave, roll
from deploys.plan.states import GOOD


class Fleet:
    """Hosts of which some fail; what is down is counted at every moment of a wave."""

    def __init__(self, bad: Mapping[str, str]) -> None:
        self.bad = bad
        self.down: set[str] = set()
        self.most_down = 0
        self.waves: list[Wave] = []

    def run(self, number: int, wave: Wave) -> Mapping[str, str]:
        assert number == len(self.waves) + 1
        self.waves.append(wave)
        self.down |= set(wave)
        self.most_down = max(self.most_down, len(self.down))
        states = {host: self.bad.get(host, "ready") for host in wave if self.bad.get(host) != "lost"}
        self.down -= {host for host, state in states.items() if state in GOOD}
        return states


def test_the_first_host_goes_alone() -> None:
    fleet = Fleet({})
    rolled = roll(["a", "b", "c", "d", "e", "f"], 2, 0, fleet.run)
    assert fleet.waves == [("a",), ("b", "c"), ("d", "e"), ("f",)]
    assert set(rolled.states.values()) == {"ready"}
    assert (rolled.left, rolled.why) == ((), "")


def test_a_canary_that_fails_ends_it() -> None:
    fleet = Fleet({"a": "not-ready"})
    rolled = roll(["a", "b", "c"], 3, 0, fleet.run)
    assert fleet.waves == [("a",)]
    assert rolled.left == ("b", "c")
    assert "1 host (a) failed, 0 may (gpu_max_failed)" in rolled.why


def test_a_host_that_is_down_takes_a_place_of_the_next_wave() -> None:
    fleet = Fleet({"b": "reboot-pending"})
    rolled = roll(list("abcdef"), 3, 2, fleet.run)
    assert fleet.waves == [("a",), ("b", "c", "d"), ("e", "f")]
    assert rolled.failed == ("b",)


def test_no_room_left_ends_it_too() -> None:
    fleet = Fleet({"a": "failed"})
    rolled = roll(list("abc"), 1, 5, fleet.run)
    assert rolled.left == ("b", "c")
    assert "1 host (a) down, no more than 1 may be (gpu_max_unavailable)" in rolled.why


def test_a_host_of_which_nobody_hears_is_down() -> None:
    fleet = Fleet({"a": "lost"})
    assert roll(["a", "b"], 1, 0, fleet.run).states == {"a": "failed"}


@pytest.mark.parametrize("seed", range(1000))
def test_a_thousand_fleets(seed: int) -> None:
    dice = random.Random(seed)
    hosts = [f"gpu-{n:03}" for n in range(dice.randrange(1, 120))]
    share = dice.choice([0, 0.02, 0.2, 0.9])
    bad = {h: dice.choice(["failed", "not-ready", "unreachable", "lost"]) for h in hosts if dice.random() < share}
    most_down, budget = dice.randrange(1, 12), dice.randrange(6)
    fleet = Fleet(bad)
    rolled = roll(hosts, most_down, budget, fleet.run)
    assert fleet.most_down <= most_down
    assert len(fleet.waves[0]) == 1
    assert [h for wave in fleet.waves for h in wave] == hosts[: len(hosts) - len(rolled.left)], "each once, in order"
    before_last = {h for wave in fleet.waves[:-1] for h in wave}
    assert len(before_last & set(bad)) <= budget, "no wave is begun beyond the budget"
    assert bool(rolled.left) == bool(rolled.why)
    assert set(rolled.failed) == set(bad) - set(rolled.left)
