"""The stopping rule of the measured phase."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from bench.stats.estimate import Estimate
from bench.stats.interval import median_interval
from bench.stats.percentile import percentile
from bench.stats.precision import median_half_width


def test_few_samples_are_infinitely_unsure():
    assert median_half_width([]) == math.inf
    assert median_half_width([5] * 4) == math.inf


def test_equal_samples_are_sure():
    assert median_half_width(np.full(1000, 7)) == 0


def test_for_independent_samples_it_is_the_exact_rank_interval():
    x = np.random.default_rng(0).lognormal(10, 0.2, 20_000)
    exact = percentile(x, 0.5)
    assert median_half_width(x) == pytest.approx(exact.relative_half_width, rel=0.6)
    assert median_half_width(x) >= 0.95 * exact.relative_half_width


def test_dependence_widens_as_theory_says():
    phi, n = 0.95, 200_000
    e = np.random.default_rng(1).normal(size=n) * math.sqrt(1 - phi**2)
    dependent = np.exp(0.1 * lfilter([1], [1, -phi], e))
    shuffled = np.random.default_rng(2).permutation(dependent)
    ratio = median_half_width(dependent) / median_half_width(shuffled)
    # For the sign of a Gaussian AR(1): tau = 1 + 2 sum of (2/pi) arcsin(phi^k).
    tau = 1 + 2 * sum(2 / math.pi * math.asin(phi**k) for k in range(1, 400))
    assert ratio == pytest.approx(math.sqrt(tau), rel=0.35)


def test_more_samples_are_surer():
    x = np.random.default_rng(3).lognormal(10, 0.2, 100_000)
    assert median_half_width(x) < median_half_width(x[:1000]) < median_half_width(x[:50])


@given(st.integers(30, 3000), st.floats(1e-6, 1e6), st.integers(0, 2**32 - 1))
def test_the_unit_does_not_matter(n, scale, seed):
    x = np.random.default_rng(seed).lognormal(size=n)
    assert median_half_width(x * scale) == pytest.approx(median_half_width(x))


@given(st.integers(30, 3000), st.floats(0.5, 0.99), st.floats(0.5, 0.99), st.integers(0, 2**32 - 1))
def test_more_confidence_is_wider(n, one, other, seed):
    x = np.random.default_rng(seed).lognormal(size=n)
    low, high = sorted((one, other))
    assert median_half_width(x, low) <= median_half_width(x, high)


def test_a_million_samples_are_quick():
    x = np.random.default_rng(4).integers(80_000, 120_000, 1_000_000)
    start = time.perf_counter()
    median_half_width(x)
    assert time.perf_counter() - start < 1.0


def test_a_median_of_zero_with_spread_is_unsure():
    assert median_half_width(np.r_[np.full(500, -1), 0, np.full(500, 1)]) == math.inf


@pytest.mark.parametrize("level_spread", [0.0, 0.02])
def test_with_blocks_the_rule_agrees_with_the_interval_of_the_row(level_spread: float) -> None:
    """What stops the measuring must not promise more than the row then shows."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        levels = np.repeat(1 + level_spread * rng.standard_normal(30), 200)
        x = 1e5 * levels * rng.lognormal(0, 0.05, levels.size)
        block = np.repeat(np.arange(30), 200)
        row = median_interval(x, block=block)
        assert isinstance(row, Estimate)
        assert median_half_width(x, 0.95, block) == pytest.approx(row.relative_half_width, rel=0.35)
