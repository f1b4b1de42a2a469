"""Bootstraps: fast forms agree with the plain ones."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.bootstrap import _weighted_quantiles, hierarchical_interval
from bench.stats.resample import weighted_bootstrap


def labels(invocations, blocks, calls):
    return np.repeat(np.arange(invocations), blocks * calls), np.tile(np.repeat(np.arange(blocks), calls), invocations)


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(1, 12), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_a_weighted_quantile_is_that_of_the_samples_laid_out(n, blocks, q, seed):
    rng = np.random.default_rng(seed)
    x, group = rng.integers(0, 50, n).astype(float), rng.integers(0, blocks, n)
    weights = rng.integers(0, 3, (4, blocks)).astype(float)
    weights[:, group[0]] += 1  # at least one sample has weight
    found = _weighted_quantiles(x, group, weights, q)
    for row, ours in zip(weights, found, strict=True):
        laid_out = np.sort(np.repeat(x, row[group].astype(int)))
        rank = int(np.ceil(q * laid_out.size * (1 - 1e-9)))
        assert ours == laid_out[max(0, rank - 1)]


@pytest.mark.parametrize("statistic", ["median", "mean", 0.9])
def test_value_and_interval_are_sound_and_repeatable(statistic):
    who, where = labels(3, 30, 20)
    x = np.random.default_rng(0).lognormal(size=1800)
    one = hierarchical_interval(x, who, where, statistic=statistic)
    assert one == hierarchical_interval(x, who, where, statistic=statistic)
    assert one.low < one.value < one.high
    wider = hierarchical_interval(x, who, where, statistic=statistic, confidence=0.99)
    assert wider.low <= one.low < one.high <= wider.high
    scaled = hierarchical_interval(x * 1000, who, where, statistic=statistic)
    assert (scaled.low, scaled.high) == pytest.approx((one.low * 1000, one.high * 1000))


def test_for_independent_samples_the_mean_has_the_classical_error():
    x = np.random.default_rng(1).normal(100, 10, 20_000)
    _, where = labels(1, 200, 100)
    answer = hierarchical_interval(x, np.zeros(20_000), where, statistic="mean")
    assert (answer.high - answer.low) / 2 == pytest.approx(1.96 * 10 / np.sqrt(20_000), rel=0.15)


def test_with_one_invocation_only_blocks_are_drawn():
    _, where = labels(1, 40, 25)
    answer = hierarchical_interval(np.random.default_rng(2).lognormal(size=1000), np.zeros(1000), where)
    assert answer.method == "bootstrap of 40 blocks"


def test_levels_of_invocations_dominate_the_width():
    who, where = labels(5, 20, 20)
    x = np.random.default_rng(3).lognormal(0, 0.01, 2000)
    apart = hierarchical_interval(x * (1 + 0.1 * who), who, where)
    assert apart.high - apart.low > 10 * np.ptp([hierarchical_interval(x, who, where).low, 1])


def test_three_invocations_of_20000_samples_take_below_a_second():
    who, where = labels(3, 40, 500)
    x = np.random.default_rng(4).lognormal(size=60_000)
    start = time.perf_counter()
    hierarchical_interval(x, who, where)
    assert time.perf_counter() - start < 1.0


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        hierarchical_interval([1.0, 2.0], [0], [0])
    with pytest.raises(ValueError, match="must be there"):
        hierarchical_interval([], [], [])
    with pytest.raises(ValueError, match="between 0 and 1"):
        hierarchical_interval([1.0], [0], [0], statistic=1.5)
    with pytest.raises(ValueError, match="positive"):
        weighted_bootstrap(0, lambda w: w.sum(axis=1))


def test_the_weighted_bootstrap_of_a_mean_has_the_classical_error():
    x = np.random.default_rng(5).normal(5, 2, 1000)
    answer = weighted_bootstrap(1000, lambda w: w @ x / 1000)
    assert answer.value == pytest.approx(x.mean())
    assert (answer.high - answer.low) / 2 == pytest.approx(1.96 * 2 / np.sqrt(1000), rel=0.15)
    assert answer == weighted_bootstrap(1000, lambda w: w @ x / 1000)
