"""Change points: steps are found where they are; noise, outliers and drifts are none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bench.stats.changepoint import LEAST, SHORTEST, change_points

SD = 0.02
"""Standard deviation of the noise, a share of the value."""


def noise(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(0, SD, n)


def found(log_values: np.ndarray) -> list[int]:
    return [point.at for point in change_points(80e-6 * np.exp(log_values))]


@pytest.mark.parametrize("n", [12, 30, 80])
def test_noise_has_a_change_in_no_more_series_than_allowed(n: int) -> None:
    rng = np.random.default_rng(n)
    trials = 400
    alarms = sum(bool(found(noise(rng, n))) for _ in range(trials))
    assert binomtest(alarms, trials, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("kind", ["heavy tails", "whole numbers", "few distinct values"])
def test_noise_of_another_kind_has_no_more(kind: str) -> None:
    rng = np.random.default_rng(1)
    draws: dict[str, Callable[[], npt.ArrayLike]] = {
        "heavy tails": lambda: 80 * np.exp(SD * rng.standard_t(2, 30)),
        "whole numbers": lambda: rng.poisson(40, 30),
        "few distinct values": lambda: rng.integers(0, 3, 30),
    }
    alarms = sum(bool(change_points(draws[kind]())) for _ in range(200))
    assert binomtest(alarms, 200, 0.05, alternative="greater").pvalue > 0.01


def test_a_step_of_three_standard_deviations_is_found_where_it_is() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        at = int(rng.integers(8, 23))
        series = noise(rng, 30)
        series[at:] += 3 * SD
        hits += any(abs(place - at) <= 1 for place in found(series))
    assert hits >= 0.95 * 200


def test_a_step_says_how_large_it_is() -> None:
    series = noise(np.random.default_rng(4), 40)
    series[25:] += math.log(1.5)
    (point,) = change_points(np.exp(series))
    assert point.at == 25
    assert point.ratio == pytest.approx(1.5, rel=0.03)
    assert point.ratio == pytest.approx(point.after / point.before)
    assert point.before == pytest.approx(np.median(np.exp(series[:25])))
    assert point.p_value < 0.01


def test_a_step_that_is_taken_back_is_two_changes() -> None:
    rng = np.random.default_rng(5)
    series = [noise(rng, 40) + np.repeat([0, 6 * SD, 0], [15, 8, 17]) for _ in range(50)]
    assert sum({15, 23} <= set(found(each)) for each in series) >= 45


def test_a_staircase_is_not_a_drift() -> None:
    rng = np.random.default_rng(6)
    series = [noise(rng, 45) + np.repeat([0, 6 * SD, 12 * SD], 15) for _ in range(50)]
    assert sum({15, 30} <= set(found(each)) for each in series) >= 45


@pytest.mark.parametrize("factor", [0.3, 1.5, 100.0])
def test_a_single_odd_value_is_no_change(factor: float) -> None:
    rng = np.random.default_rng(7)
    told = 0
    for _ in range(100):
        at = int(rng.integers(0, 30))
        series = noise(rng, 30)
        series[at] += math.log(factor)
        told += bool(found(series))
    assert binomtest(told, 100, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(("n", "rise"), [(30, 6.0), (60, 6.0), (60, 20.0), (100, 10.0)])
def test_a_slow_drift_is_not_told_as_steps(n: int, rise: float) -> None:
    rng = np.random.default_rng(8)
    counts = [len(found(noise(rng, n) + np.linspace(0, rise * SD, n))) for _ in range(60)]
    assert np.mean([count == 0 for count in counts]) >= 0.7
    assert np.mean([count <= 2 for count in counts]) >= 0.9


def test_eight_values_are_the_fewest_that_can_tell_a_step() -> None:
    low, high = [1.0, 1.01, 0.99, 1.02], [2.0, 2.01, 1.99, 2.02]
    assert len(low + high) == LEAST
    assert [point.at for point in change_points(low + high)] == [4]
    assert change_points(low + high[1:]) == ()
    assert change_points(low[1:] + high) == ()


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40),
    factor=st.sampled_from([2.0**-20, 0.5, 1024.0]),
)
def test_levels_are_long_enough_and_a_change_of_unit_changes_nothing_else(values: list[float], factor: float) -> None:
    points = change_points(values)
    edges = [0, *(point.at for point in points), len(values)]
    assert not points or min(np.diff(edges)) >= SHORTEST
    scaled = change_points([value * factor for value in values])
    assert [(p.at, p.p_value) for p in scaled] == [(p.at, p.p_value) for p in points]
    assert change_points(values) == points, "the same series has the same answer"


def test_what_has_no_logarithm_is_searched_too() -> None:
    rng = np.random.default_rng(9)
    (point,) = change_points([*np.zeros(12), *rng.normal(5, 0.1, 12)])
    assert (point.at, point.before, point.ratio) == (12, 0.0, None)
    assert [p.at for p in change_points([*rng.normal(-5, 0.1, 12), *rng.normal(5, 0.1, 12)])] == [12]


def test_a_constant_and_an_empty_series_have_none() -> None:
    assert change_points([3.0] * 50) == ()
    assert change_points([]) == ()


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_impossible_level_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        change_points([1.0, 2.0], alpha=alpha)


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        change_points([1.0, math.nan])
