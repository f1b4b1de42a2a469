"""The middle of noisy values, some of them far off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from bench.stats.location import kept, location

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60)


@given(values)
def test_it_is_the_trimmed_mean_from_ten_values_on_and_the_mean_below(x):
    found = location(x)
    assert found.middle == pytest.approx(trim_mean(x, 0.2 if len(x) >= 10 else 0.0), abs=1e-9)
    assert found.kept == kept(len(x)) <= len(x)
    assert min(x) - 1e-9 <= found.middle <= max(x) + 1e-9


@given(values, st.floats(-5, 5), st.floats(0.1, 10))
def test_moving_and_stretching_the_values_moves_and_stretches_the_answer(x, by, times):
    first, second = location(x), location([by + times * v for v in x])
    assert second.middle == pytest.approx(by + times * first.middle, abs=1e-6)
    assert second.error == pytest.approx(times * first.error, abs=1e-6)


def test_without_cutting_the_error_is_that_of_the_mean():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert location(x).error == pytest.approx(x.std(ddof=1) / 2)


def test_rounds_in_which_the_machine_did_something_else_do_not_widen_the_interval():
    rng = np.random.default_rng(0)
    quiet = rng.normal(0, 0.01, 30)
    disturbed = quiet.copy()
    disturbed[[3, 11, 17]] = [0.4, -0.3, 0.5]
    assert location(disturbed).half_width(0.95) < 1.5 * location(quiet).half_width(0.95)
    assert disturbed.std() > 8 * quiet.std()


@pytest.mark.parametrize("n", [6, 10, 16, 42])
def test_the_interval_misses_the_truth_about_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    trials = 3000
    missed = 0
    for row in rng.normal(0, 1, (trials, n)):
        found = location(row)
        missed += abs(found.middle) > found.half_width(0.95)
    assert missed / trials < 0.065


def test_one_value_has_no_middle():
    with pytest.raises(ValueError, match="two values"):
        location([1.0])
