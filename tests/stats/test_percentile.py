"""Percentiles: how many samples they need, and ranks that enclose them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bench.stats.estimate import Estimate, TooFew
from bench.stats.percentile import min_samples, percentile, rank_interval
from bench.stats.ranks import nearest_rank

shares = st.floats(0.01, 0.99)
confidences = st.floats(0.5, 0.999)


@pytest.mark.parametrize(("q", "needed"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)])
def test_the_needed_counts_are_those_of_mlperf_early_stopping(q, needed):
    assert min_samples(q) == needed


@given(shares, confidences)
def test_the_needed_count_is_the_smallest_that_meets_the_binomial_condition(q, confidence):
    n = min_samples(q, confidence)
    assert binom.cdf(1, n, 1 - q) <= (1 - confidence) * (1 + 1e-9)
    assert n == 2 or binom.cdf(1, n - 1, 1 - q) > (1 - confidence) * (1 - 1e-9)


@given(shares, confidences, confidences)
def test_more_confidence_needs_more_samples(q, one, other):
    low, high = sorted((one, other))
    assert min_samples(q, low) <= min_samples(q, high)


@given(st.integers(1, 5000), shares)
def test_the_value_is_numpys_inverted_cdf(n, q):
    x = np.arange(1, n + 1)
    # NumPy stumbles over q * n in floating point, so a rank beside it is allowed there alone.
    expected = np.quantile(x, q, method="inverted_cdf")
    assert nearest_rank(n, q) == expected or abs(q * n - round(q * n)) < 1e-6


def test_a_product_just_above_a_whole_number_does_not_move_the_rank():
    assert 0.07 * 100 > 7
    assert nearest_rank(100, 0.07) == 7


@given(st.integers(1, 3000), shares, confidences)
def test_ranks_enclose_the_percentile_with_the_confidence_asked_for(n, q, confidence):
    ranks = rank_interval(n, q, confidence)
    if ranks is None:
        return
    low, high = ranks
    assert 1 <= low <= high <= n
    assert binom.cdf(high - 1, n, q) - binom.cdf(low - 1, n, q) >= confidence - 1e-9


@given(st.integers(1, 3000), shares, confidences)
def test_ranks_are_missing_only_where_a_tail_cannot_be_closed(n, q, confidence):
    tail = (1 - confidence) / 2
    impossible = max(q, 1 - q) ** n > tail
    assert (rank_interval(n, q, confidence) is None) == impossible or max(q, 1 - q) ** n == pytest.approx(tail)


@given(st.integers(11, 2000), st.floats(0.5, 0.94), st.integers(0, 2**32 - 1))
def test_more_confidence_widens(n, confidence, seed):
    x = np.random.default_rng(seed).lognormal(size=n)
    narrow, wide = percentile(x, 0.5, confidence=confidence), percentile(x, 0.5, confidence=0.95)
    assert isinstance(narrow, Estimate)
    assert isinstance(wide, Estimate)
    assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


@given(st.integers(700, 3000), st.floats(1e-3, 1e6), st.integers(0, 2**32 - 1))
def test_scale_and_order_do_not_matter(n, scale, seed):
    rng = np.random.default_rng(seed)
    x = rng.lognormal(size=n)
    plain, scaled = percentile(x, 0.99), percentile(rng.permutation(x) * scale, 0.99)
    assert isinstance(plain, Estimate)
    assert isinstance(scaled, Estimate)
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx(
        (plain.value * scale, plain.low * scale, plain.high * scale)
    )


@given(st.integers(700, 3000), st.integers(662, 700), st.integers(0, 2**32 - 1))
def test_fewer_effective_samples_widen(n, worth, seed):
    x = np.random.default_rng(seed).lognormal(size=n)
    full, thin = percentile(x, 0.99), percentile(x, 0.99, n_effective=min(n, worth))
    assert isinstance(full, Estimate)
    assert isinstance(thin, Estimate)
    # Rounding of ranks outward may cost the full interval one rank at most.
    assert thin.low <= full.low
    assert (
        thin.high >= full.high or np.searchsorted(np.sort(x), full.high) - np.searchsorted(np.sort(x), thin.high) <= 1
    )
    assert full.value == thin.value


def test_a_tail_without_enough_samples_is_missing_and_says_what_is_needed():
    answer = percentile(np.arange(100.0), 0.99)
    assert answer == TooFew(n=100, n_effective=100.0, needed=662)
    figure = answer.measurement("s")
    assert figure.value is None
    assert figure.reason == "too few samples (100 of 662)"


def test_dependent_samples_count_for_less():
    answer = percentile(np.arange(1000.0), 0.99, n_effective=100)
    assert isinstance(answer, TooFew)
    assert answer.reason == "too few independent samples (100 of 662)"


def test_a_demanding_confidence_raises_the_need_beyond_early_stopping():
    answer = percentile(np.arange(11.0), 0.5, confidence=0.9999)
    assert isinstance(answer, TooFew)
    assert rank_interval(answer.needed, 0.5, 0.9999) is not None
    assert rank_interval(answer.needed - 1, 0.5, 0.9999) is None


def test_an_estimate_becomes_a_figure_in_seconds():
    figure = percentile(np.full(50, 2_000_000), 0.5).measurement("s", "measured:perf_counter", scale=1e-9)
    assert (figure.value, figure.low, figure.high, figure.n) == (0.002, 0.002, 0.002, 50)


def test_the_interval_covers_on_average():
    rng = np.random.default_rng(3)
    truth = float(np.exp(0.5 * 2.3263478740408408))
    answers = [percentile(rng.lognormal(0, 0.5, 1500), 0.99) for _ in range(800)]
    covered = np.mean([a.low <= truth <= a.high for a in answers])
    assert 0.94 <= covered <= 0.98


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.5, 1.5])
def test_a_share_outside_0_to_1_is_refused(bad):
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile([1.0], bad)
    with pytest.raises(ValueError, match="between 0 and 1"):
        min_samples(0.5, bad)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        percentile([1.0, float("nan")], 0.5)
