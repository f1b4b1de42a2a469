"""Effective sample size."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from bench.stats.autocorrelation import (
    autocorrelation,
    effective_sample_size,
    integrated_time,
    quantile_effective_size,
)


def ar1(phi, n, seed):
    e = np.random.default_rng(seed).normal(size=n) * math.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], e)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=50))
def test_the_fft_gives_the_sums_of_the_definition(values):
    y = np.array(values) - np.mean(values)
    if np.ptp(y) < 1e-6:
        return
    direct = np.array([np.dot(y[: y.size - k], y[k:]) for k in range(y.size)]) / np.dot(y, y)
    assert autocorrelation(values) == pytest.approx(direct, abs=1e-9)


@pytest.mark.parametrize("phi", [0.3, 0.6, 0.9, 0.97])
def test_an_autoregressive_series_has_the_time_of_theory(phi):
    assert integrated_time(ar1(phi, 200_000, 0)) == pytest.approx((1 + phi) / (1 - phi), rel=0.15)


def test_independent_samples_count_in_full_nearly_always():
    rng = np.random.default_rng(1)
    sizes = np.array([effective_sample_size(rng.normal(size=2000)) for _ in range(200)])
    assert (sizes == 2000).mean() > 0.85
    assert sizes.mean() > 1950


def test_a_weak_dependence_that_lasts_is_seen():
    rng = np.random.default_rng(2)
    x = rng.normal(size=100_000) + 0.3 * np.repeat(rng.normal(size=50), 2000)
    assert effective_sample_size(x) < 2000


def test_an_alternating_series_counts_no_more_than_in_full():
    assert effective_sample_size(np.tile([0.0, 1.0], 500)) == 1000


@pytest.mark.parametrize("n", [0, 1, 5, 1000])
def test_a_constant_series_counts_in_full(n):
    assert effective_sample_size(np.full(n, 3.0)) == n


@given(st.integers(8, 400), st.floats(0.1, 1e6), st.floats(-1e3, 1e3), st.integers(0, 2**32 - 1))
def test_unit_and_offset_do_not_matter(n, scale, offset, seed):
    x = ar1(0.8, n, seed)
    ours = effective_sample_size(x)
    assert 1 <= ours <= n
    assert effective_sample_size(scale * x + offset) == pytest.approx(ours, rel=1e-3)


def test_bursts_of_slow_calls_make_the_tail_worth_less_than_the_median():
    rng = np.random.default_rng(3)
    burst = np.repeat(rng.random(1000) < 0.03, 50)
    x = rng.lognormal(size=50_000) + 50 * burst
    assert quantile_effective_size(x, 0.99) < 0.2 * quantile_effective_size(x, 0.5)
    assert quantile_effective_size([], 0.5) == 0


def test_a_million_samples_take_about_a_second():
    assert effective_sample_size(np.random.default_rng(4).normal(size=1_000_000)) > 900_000
