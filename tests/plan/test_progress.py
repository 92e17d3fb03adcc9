"""Progress in words: how long a step may take, and lines that fit a terminal."""

from __future__ import annotations

import pytest

from deploys.plan.progress import Running, beat, expected, live, took

BUILD = "Sources | The transaction is rehearsed in an overlay"
TIMES = {BUILD: {"gpu-01": [300.0, 0.1], "gpu-02": [500.0, 700.0, 0.1]}}


@pytest.mark.parametrize(
    ("host", "seconds", "whole"),
    [
        ("gpu-01", 10.0, 300.0),  # what this host took itself
        ("gpu-01", 0.0, 150.05),  # it may also be over at once
        ("gpu-01", 400.0, 600.0),  # longer than ever: by the others
        ("gpu-09", 10.0, 500.0),
        ("gpu-01", 900.0, None),
    ],
)
def test_expected_time_is_of_those_that_took_longer(host: str, seconds: float, whole: float | None) -> None:
    assert expected(TIMES, Running(host, BUILD, seconds)) == whole


def test_nothing_is_expected_of_a_new_step() -> None:
    assert expected({}, Running("a", BUILD, 1.0)) is None


def test_line_per_host_has_step_elapsed_and_expected_time() -> None:
    lines = live([Running("gpu-02", BUILD, 61.0), Running("gpu-01", BUILD, 130.0)], TIMES, width=110, height=20)
    assert lines[0].startswith("gpu-01  Sources | The transaction is rehearsed in an overlay ")
    assert lines[0].endswith("2 min 10 s of about 5 min 0 s")
    assert lines[1].endswith("1 min 1 s of about 10 min")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("height", [1, 5, 30])
def test_lines_fit_any_terminal(width: int, height: int) -> None:
    running = [Running(f"gpu-{n:04d}.a-rather-long-domain.example", BUILD, float(n)) for n in range(100)]
    lines = live(running, TIMES, width=width, height=height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert lines[-1] == f"and {100 - height + 1} more hosts"[:width]


def test_beat_has_a_line_per_step() -> None:
    running = [*(Running(f"h{n}", BUILD, 30.0 + n) for n in range(8)), Running("x", "Read the host", 45.0)]
    assert beat(running, {}) == [
        f"still running: {BUILD} (37 s): h7, h6, h5, h4, h3 and 3 more",
        "still running: Read the host (45 s): x",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.004, "4 ms"), (4.25, "4.2 s"), (59.4, "59 s"), (61.0, "1 min 1 s"), (742.0, "12 min"), (7300.0, "2 h 1 min")],
)
def test_length_of_time_in_words(seconds: float, words: str) -> None:
    assert took(seconds) == words
