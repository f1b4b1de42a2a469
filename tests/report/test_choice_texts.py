"""Figures of choices as texts: what was not measured says so, and what would decide is told as far as it is known."""

from __future__ import annotations

import pytest

from bench.record.front import More
from bench.record.measurement import Measurement
from bench.report.choices import figure, needed


@pytest.mark.parametrize(("how", "told"), [("measured:clock", "81.2 µs"), ("projected:a100", "≈81.2 µs projected")])
def test_a_projected_figure_is_marked_and_says_so_in_words_too(how: str, told: str) -> None:
    assert figure("p50_latency", Measurement(value=81.2e-6, unit="s", n=9, how=how)) == told


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (None, ""),
        (More(metric="p50_latency", why="the values are equal"), "cannot be decided in p50: the values are equal"),
        (More(metric="energy", times=1.5, of="samples"), "about 1.5 times as many samples behind energy"),
        (
            More(metric="p50_latency", times=1.5, samples=1200, of="samples"),
            "about 1,200 more samples of p50 each (1.5 times as many)",
        ),
    ],
)
def test_what_would_decide_is_a_count_where_there_is_one(more: More | None, told: str) -> None:
    assert needed(more) == told
