"""Intervals of dependent samples: known answers, the formulas written out plainly, and what happens at each bound."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom, norm, t

from bench.stats import resample
from bench.stats.autocorrelation import (
    autocorrelation,
    effective_sample_size,
    inflation,
    integrated_time,
    quantile_effective_size,
)
from bench.stats.blocks import block_variance, consecutive
from bench.stats.bootstrap import _groups, _multiplicities, _weighted_quantiles, hierarchical_interval
from bench.stats.estimate import Estimate, TooFew
from bench.stats.interval import median_interval, over_invocations, quantile_interval
from bench.stats.percentile import enclose, min_samples, percentile, rank_interval
from bench.stats.precision import _student, median_half_width
from bench.stats.ranks import nearest_rank
from bench.stats.resample import joint_bootstrap, weighted_bootstrap


def ar1(phi: float, n: int, seed: int = 0) -> np.ndarray:
    e = np.random.default_rng(seed).normal(size=n)
    x = np.zeros(n)
    for i in range(1, n):
        x[i] = phi * x[i - 1] + e[i]
    return x


def known(answer: Estimate | TooFew) -> Estimate:
    assert isinstance(answer, Estimate)
    return answer


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("q", lambda bad: quantile_effective_size([1.0], bad)),
        ("q", min_samples),
        ("confidence", lambda bad: min_samples(0.5, bad)),
        ("q", lambda bad: rank_interval(10, bad)),
        ("confidence", lambda bad: rank_interval(10, 0.5, bad)),
        ("q", lambda bad: quantile_interval([1.0], bad)),
        ("confidence", lambda bad: quantile_interval([1.0], 0.5, confidence=bad)),
        ("confidence", lambda bad: median_interval([1.0], confidence=bad)),
        ("confidence", lambda bad: over_invocations([1.0], confidence=bad)),
        ("confidence", lambda bad: median_half_width([1.0], bad)),
        ("confidence", lambda bad: hierarchical_interval([1.0], [0], [0], confidence=bad)),
        ("statistic", lambda bad: hierarchical_interval([1.0], [0], [0], statistic=bad)),
        ("confidence", lambda bad: weighted_bootstrap(2, lambda w: w.sum(axis=1), confidence=bad)),
    ],
)
def test_a_share_that_is_none_is_refused_by_its_name(name, call) -> None:
    for bad in (0.0, 1.0):
        with pytest.raises(ValueError, match=rf"^{name} must lie between 0 and 1"):
            call(bad)


# Autocorrelation


def test_autocorrelation_by_hand() -> None:
    # About their mean 2.5: -1.5, -0.5, 0.5, 1.5.
    assert autocorrelation([1, 2, 3, 4]) == pytest.approx([1, 1.25 / 5, -1.5 / 5, -2.25 / 5])
    assert autocorrelation([7, 7, 7]).tolist() == [1, 0, 0]
    assert autocorrelation([7]).tolist() == [1]
    assert autocorrelation([]).tolist() == []
    for scale in (1e200, 1e-200):
        assert autocorrelation(np.arange(1, 5) * scale) == pytest.approx([1, 1.25 / 5, -1.5 / 5, -2.25 / 5])


def plain_time(x: np.ndarray) -> float:
    """Sokal's windowed sum with its two corrections, lag by lag, as the docstring of `integrated_time` has it."""
    n = x.size
    y = x - x.mean()
    tau = 1.0
    for lag in range(1, n // 4 + 1):
        tau += 2 * float(y[: n - lag] @ y[lag:]) / float(y @ y)
        if lag >= 5 * max(tau, 1.0):
            break
    tau /= 1 - (2 * lag + 1) / n
    return tau if tau > 1 + 3 * math.sqrt(4 * lag / n) else 1.0


@pytest.mark.parametrize(("phi", "n"), [(0.5, 2000), (0.9, 2000), (0.97, 400), (0.3, 5000), (0.99, 64), (0.15, 20_000)])
def test_the_time_is_the_windowed_sum_less_its_bias(phi: float, n: int) -> None:
    x = ar1(phi, n)
    assert plain_time(x) > 1
    assert integrated_time(x) == pytest.approx(plain_time(x), rel=1e-9)


def test_what_noise_may_have_made_is_no_dependence() -> None:
    x = np.random.default_rng(3).normal(size=1000)
    assert integrated_time(x) == plain_time(x) == 1.0
    assert integrated_time([0, 0, 0, 0, 1, 1, 1]) == 1.0
    assert integrated_time([4.0] * 50) == 1.0
    steps = np.repeat([0.0, 1.0, 0.0, 1.0], 16)
    assert integrated_time(steps) == pytest.approx(plain_time(steps))
    assert integrated_time(steps) > 2


def test_a_dependence_that_lasts_is_seen_in_the_means_of_128_batches() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=10_003) + 0.3 * np.append(np.zeros(3), np.repeat(rng.normal(size=50), 200))
    means = x[-9984:].reshape(128, 78).mean(axis=1)
    ratio = 78 * means.var(ddof=1) / x.var(ddof=1)
    assert ratio > 1 + 3 * math.sqrt(2 / 128)
    assert inflation(x) == pytest.approx(max(plain_time(x), ratio * plain_time(means)))
    assert effective_sample_size(x) == pytest.approx(10_003 / inflation(x))
    # With less than two samples in a batch, the series is all there is.
    short = ar1(0.9, 255)
    assert inflation(short) == pytest.approx(plain_time(short))
    longer = ar1(0.9, 256)
    means = longer.reshape(128, 2).mean(axis=1)
    ratio = 2 * means.var(ddof=1) / longer.var(ddof=1)
    assert inflation(longer) == pytest.approx(max(plain_time(longer), ratio * plain_time(means)))


def test_a_dependence_is_believed_from_three_standard_errors_on() -> None:
    """Of a time: 3 × √(4 M / n). Of batch means: 3 × √(2 / 128), which is 1.375."""
    just = ar1(0.2, 600, 3)
    assert integrated_time(just) == pytest.approx(plain_time(just))
    assert integrated_time(just) > 1
    rng = np.random.default_rng(9)
    for x, ratio in (
        (rng.normal(size=12_800) + 0.08 * np.repeat(rng.normal(size=32), 400), 1.4131036572616475),
        (ar1(0.5, 256), 1.555767473207701),
    ):
        means = x.reshape(128, -1).mean(axis=1)
        assert integrated_time(x) == integrated_time(means) == 1
        assert means.var(ddof=1) / x.var(ddof=1) * x.size / 128 == pytest.approx(ratio)
        assert inflation(x) == pytest.approx(ratio)


def test_means_of_batches_that_vary_no_more_than_chance_count_once() -> None:
    """Batches drawn independently but for the order of their means: the slow order counts, their spread does not."""
    rng = np.random.default_rng(8)
    batches = rng.normal(size=(128, 50))
    x = batches[np.argsort(batches.mean(axis=1))].ravel()
    means = x.reshape(128, 50).mean(axis=1)
    assert 50 * means.var(ddof=1) / x.var(ddof=1) < 1 + 3 * math.sqrt(2 / 128)
    assert inflation(x) == pytest.approx(plain_time(means))
    assert plain_time(means) > plain_time(x)


def test_the_size_for_a_quantile_is_that_of_being_below_it() -> None:
    x = ar1(0.95, 3000)
    ordered = np.sort(x)
    for q, rank in ((0.5, 1500), (0.9, 2700), (0.999, 2997)):
        assert quantile_effective_size(x, q) == effective_sample_size(np.sign(x - ordered[rank - 1]))
    assert quantile_effective_size([3.0], 0.5) == 1.0
    assert quantile_effective_size([], 0.5) == 0.0
    line = np.arange(8.0)
    assert effective_sample_size(line) == pytest.approx(8 / plain_time(line))
    assert 1 < effective_sample_size(line) < 1.1


# Blocks


def test_runs_of_equal_labels_are_numbered_and_a_new_part_begins_a_new_one() -> None:
    parts = [np.array([5, 5, 2, 5]), np.array([], dtype=np.int64), np.array([5, 5]), np.array([9])]
    found = consecutive(parts)
    assert found.tolist() == [0, 0, 1, 2, 3, 3, 4]
    assert found.dtype == np.int64
    assert consecutive([]).size == 0
    assert consecutive([]).dtype == np.int64


def variance_of(means: list[float], size: int = 2, labels: np.ndarray | None = None) -> tuple[float, float, int]:
    side = np.repeat(np.array(means, dtype=float), size)
    return block_variance(side, np.arange(side.size) // size if labels is None else labels)


def test_blocks_without_order_give_the_error_of_a_mean_of_as_many() -> None:
    """Twelve means, 0 and 1 in turns: s² = 3/11, over 12."""
    variance, freedom, count = variance_of([0, 1] * 6)
    assert (variance, freedom, count) == (pytest.approx(3 / 11 / 12), 11, 12)
    # Their order has a phi of 1/12, with Kendall's correction 0.1875: below 1.645 / √12, and taken for none.
    assert variance_of([0, 0, 1, 1] * 3) == (pytest.approx(3 / 11 / 12), 11, 12)
    # 0.3958, still below 0.4749.
    assert variance_of([0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0]) == (pytest.approx(3 / 11 / 12), 11, 12)


def test_blocks_in_order_count_for_less() -> None:
    # Nine of eleven neighbours... eight alike, three not: phi = (8 - 3) / 12, corrected by (1 + 3 phi) / 12.
    phi = 5 / 12 + (1 + 15 / 12) / 12
    time = (1 + phi) / (1 - phi)
    variance, freedom, count = variance_of([0, 0, 0, 1, 1, 1] * 2)
    assert (variance, freedom, count) == (pytest.approx(3 / 11 * time / 12), 3.0, 12)
    # 42 blocks: 28 neighbours alike, 13 not. There are enough to be worth more than three degrees of freedom.
    phi = 15 / 42 + (1 + 45 / 42) / 42
    time = (1 + phi) / (1 - phi)
    variance, freedom, count = variance_of([0, 0, 0, 1, 1, 1] * 7)
    assert (variance, freedom, count) == (pytest.approx(10.5 / 41 * time / 42), pytest.approx(42 / time - 1), 42)
    # A phi of more than 0.9 is taken as 0.9: a time of 19.
    assert variance_of([0] * 6 + [1] * 6) == (pytest.approx(3 / 11 * 19 / 12), 3.0, 12)


def test_below_ten_blocks_the_series_is_cut_into_twenty_of_its_own() -> None:
    own = np.array([0.0, 1.0] * 10)
    side = np.repeat(own, 2)
    for blocks in (np.zeros(40, dtype=np.int64), np.arange(40) * 9 // 40):
        assert block_variance(side, blocks) == (pytest.approx(5 / 19 / 20), 19, 20)
    assert block_variance(side, np.arange(40) // 4)[2] == 10
    assert block_variance(side[:37], np.arange(37) // 4)[2] == 10
    short = np.array([0.0, 1.0] * 7 + [0.0])
    assert block_variance(short, np.zeros(15, dtype=np.int64))[2] == 15
    assert variance_of([1.0] * 12) == (0.0, 11.0, 12)


def test_blocks_of_unequal_size_count_by_what_they_hold() -> None:
    """The residuals of the ratio estimator: (sum - size × mean of all) / mean size."""
    sizes = [1, 3] * 6
    means = [0.0, 0.0, 1.0, 1.0, 0.5, 0.5, 1.0, 0.0, 0.0, 1.0, 0.5, 0.5]
    side = np.repeat(means, sizes)
    residual = [size * (m - side.mean()) / 2 for size, m in zip(sizes, means, strict=True)]
    total = sum(r * r for r in residual)
    phi = sum(a * b for a, b in pairwise(residual)) / total
    assert phi + (1 + 3 * phi) / 12 < 1.645 / math.sqrt(12)
    found = block_variance(side, np.repeat(np.arange(12), sizes))
    assert found == (pytest.approx(total / 11 / 12), 11, 12)


# Percentiles


def test_ranks_of_percentiles_by_hand() -> None:
    assert [nearest_rank(10, q) for q in (0.001, 0.1, 0.11, 0.5, 0.95, 0.999)] == [1, 1, 2, 5, 10, 10]
    assert nearest_rank(1, 0.5) == 1
    # Of five samples 2 × 0.5^5 is over 5 %, of six it is not.
    assert rank_interval(5, 0.5) is None
    assert rank_interval(6, 0.5) == (1, 6)
    assert rank_interval(100, 0.5) == (40, 61)
    assert rank_interval(0, 0.5) is None
    for n, q in ((50, 0.3), (700, 0.99), (5000, 0.999)):
        ranks = rank_interval(n, q, 0.9)
        assert ranks == (int(binom.ppf(0.05, n, q)), int(binom.isf(0.05, n, q)) + 1)
    with pytest.raises(ValueError, match=r"^n is negative: -1$"):
        rank_interval(-1, 0.5)


def test_an_interval_of_a_percentile_by_hand() -> None:
    found = known(percentile(np.arange(100, 0, -1), 0.5))
    assert (found.value, found.low, found.high) == (50, 40, 61)
    assert (found.n, found.n_effective, found.confidence) == (100, 100.0, 0.95)
    assert found.method == "binomial rank interval"
    # The ranks 40 and 61 of a hundred, spread over a thousand: 40 and 61 times 1001 / 101, outwards.
    thin = known(percentile(np.arange(1, 1001), 0.5, n_effective=100))
    assert (thin.value, thin.low, thin.high) == (500, 396, 605)
    assert (thin.n, thin.n_effective) == (1000, 100.0)
    assert thin.method == "binomial rank interval on the effective sample size"
    assert known(percentile(np.arange(1, 1001), 0.5, n_effective=100.9)).low == 396
    assert percentile(np.arange(1, 1001), 0.5, n_effective=5000) == percentile(np.arange(1, 1001), 0.5)
    assert known(percentile(np.arange(100), 0.5, confidence=0.5)).confidence == 0.5


def test_what_is_too_little_for_a_percentile_says_how_much_is_needed() -> None:
    assert percentile([1.0] * 10, 0.5) == TooFew(n=10, n_effective=10.0, needed=11)
    assert known(percentile(np.arange(11), 0.5)).value == 5
    assert percentile(np.arange(50), 0.5, n_effective=-3) == TooFew(n=50, n_effective=0.0, needed=11)
    assert percentile(np.arange(50), 0.5, n_effective=10.9) == TooFew(n=50, n_effective=10.9, needed=11)
    # At 99.99 % the tails of 0.5^n are below 0.005 % from n = 15 on.
    assert percentile(np.arange(14), 0.5, confidence=0.9999) == TooFew(n=14, n_effective=14.0, needed=15)
    # At 99.9 % both conditions come to eleven.
    assert percentile(np.arange(10), 0.5, confidence=0.999) == TooFew(n=10, n_effective=10.0, needed=11)
    # For p90 the condition of early stopping is the harder one at 50 %.
    assert percentile(np.arange(20), 0.9, confidence=0.5) == TooFew(n=20, n_effective=20.0, needed=64)
    assert min_samples(0.5, 0.5) == 3
    assert (min_samples(0.01), min_samples(0.001)) == (3, 2)


def test_the_value_lies_within_ranks_that_are_spread() -> None:
    x = np.arange(1.0, 1001.0)
    assert enclose(x, 0.5, 5.9, 0.95) is None
    assert enclose(x, 0.5, 0, 0.95) is None
    assert enclose(x[:6], 0.5, 6, 0.95) == (3, 1, 6)
    assert enclose(x, 0.5, 6, 0.95) == (500, 143, 858)  # 1 and 6 times 1001 / 7
    assert enclose(x, 0.5, 2e9, 0.95) == enclose(x, 0.5, 1000, 0.95)
    value, low, high = enclose(x, 0.001, 900, 0.01) or (0, 0, 0)
    assert (value, low <= value <= high) == (1, True)


# Rows


def balanced(blocks: int, size: int) -> np.ndarray:
    """1 to n so that one half of each block is below the median, high and low in turns."""
    n = blocks * size
    low, high = np.arange(1, n // 2 + 1), np.arange(n // 2 + 1, n + 1)
    return np.stack([low, high], axis=1).ravel().astype(float)


def test_the_median_of_independent_samples_by_hand() -> None:
    """100 samples in 20 blocks: a standard error of 0.05, Student's t at 19 degrees 2.093."""
    x = balanced(25, 4)
    found = known(median_interval(x, None, np.arange(100) // 4))
    half = float(t.ppf(0.975, found_freedom(x, np.arange(100) // 4))) * 0.05
    assert (found.value, found.low, found.high) == (
        50,
        math.floor(100 * (0.5 - half)),
        math.ceil(100 * (0.5 + half)) + 1,
    )
    assert (found.n, found.confidence, found.method) == (100, 0.95, "rank interval over 25 blocks of one invocation")
    assert found.n_effective == pytest.approx(100)
    assert found == quantile_interval(x, 0.5, None, np.arange(100) // 4)


def found_freedom(x: np.ndarray, block: np.ndarray) -> float:
    side = (np.sign(np.sort(x)[x.size // 2 - 1] - x) + 1) / 2
    return block_variance(side, block)[1]


@pytest.mark.parametrize("q", [0.25, 0.4, 0.75])
def test_a_central_quantile_by_its_formula(q: float) -> None:
    x, block = np.exp(0.1 * ar1(0.8, 1200, 4)), np.arange(1200) // 30
    found = known(quantile_interval(x, q, None, block, confidence=0.9))
    ordered, rank = np.sort(x), math.ceil(q * 1200)
    side = (np.sign(ordered[rank - 1] - x) + 1) / 2
    alone = q * (1 - q) / 1200
    clustered, freedom, _ = block_variance(side, block)
    variance = max(alone * inflation(side), clustered)
    half = float(t.ppf(0.95, freedom)) * math.sqrt(variance)
    assert found.value == ordered[rank - 1]
    assert found.low == ordered[math.floor(1200 * (q - half)) - 1]
    assert found.high == ordered[math.ceil(1200 * (q + half))]
    assert found.n_effective == pytest.approx(1200 * alone / variance)
    assert found.confidence == 0.9


@pytest.mark.parametrize("q", [0.2, 0.9, 0.99])
def test_a_tail_by_the_exact_ranks_of_what_the_samples_are_worth(q: float) -> None:
    x, block = np.random.default_rng(5).lognormal(size=4000), np.arange(4000) // 80
    found = known(quantile_interval(x, q, None, block))
    side = (np.sign(found.value - x) + 1) / 2
    alone = q * (1 - q) / 4000
    clustered, freedom, _ = block_variance(side, block)
    variance = max(alone * inflation(side), clustered)
    worth = 4000 * alone / (variance * (float(t.ppf(0.975, freedom)) / float(norm.ppf(0.975))) ** 2)
    exact = known(percentile(x, q, n_effective=worth)) if worth >= min_samples(q) else None
    assert exact is None or (found.value, found.low, found.high) == (exact.value, exact.low, exact.high)
    assert found.n_effective == pytest.approx(4000 * alone / variance)


def test_a_tail_of_dependent_samples_says_what_they_are_worth() -> None:
    x = np.repeat(np.random.default_rng(1).permutation(40), 50).astype(float)
    found = quantile_interval(x, 0.95, None, np.arange(2000) // 50)
    assert isinstance(found, TooFew)
    assert (found.n, found.needed) == (2000, 130)
    assert 1 <= found.n_effective < 130


def test_wide_ends_stay_within_the_samples() -> None:
    x = np.arange(1.0, 12.0)
    found = known(median_interval(x, None, np.zeros(11)))
    assert (found.low, found.value, found.high) == (1, 6, 11)


def test_several_invocations_by_hand() -> None:
    """Medians 1, 2 and 4, each without spread: Student's t at 2 degrees over their logarithms."""
    x = np.repeat([4.0, 1.0, 2.0], 20)
    found = known(median_interval(x, np.repeat([7, 3, 5], 20)))
    half = 4.302652729911275 * math.log(2) / math.sqrt(3)
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 * math.exp(-half), 2 * math.exp(half)))
    assert (found.n, found.method) == (60, "t interval over 3 invocations")
    narrow = known(median_interval(x, np.repeat([7, 3, 5], 20), confidence=0.5))
    assert narrow.high == pytest.approx(2 * math.exp(float(t.ppf(0.75, 2)) * math.log(2) / math.sqrt(3)))
    # With a figure of 0 there is no logarithm: 0, 1 and 2.
    flat = known(median_interval(np.repeat([0.0, 1.0, 2.0], 20), np.repeat([0, 1, 2], 20)))
    reach = 4.302652729911275 / math.sqrt(3)
    assert (flat.low, flat.value, flat.high) == pytest.approx((1 - reach, 1, 1 + reach))


def test_invocations_that_agree_are_known_no_better_than_each_of_them() -> None:
    one = np.exp(0.2 * np.random.default_rng(6).normal(size=400))
    alone = known(median_interval(one))
    both = known(median_interval(np.r_[one, one], np.repeat([0, 1], 400)))
    error = math.log(alone.high / alone.low) / 2 / 1.959963984540054
    middle = math.log(alone.value)
    assert (math.log(both.low), math.log(both.high)) == pytest.approx(
        (middle - error / math.sqrt(2), middle + error / math.sqrt(2))
    )
    assert both.n_effective == pytest.approx(2 * alone.n_effective)
    shifted = known(median_interval(np.r_[one, one] - 10, np.repeat([0, 1], 400)))
    flat = (alone.high - alone.low) / 2 / 1.959963984540054 / math.sqrt(2)
    assert (shifted.low, shifted.high) == pytest.approx((alone.value - 10 - flat, alone.value - 10 + flat))


def test_invocations_too_short_alone_are_one_series_with_blocks_of_their_own() -> None:
    x = np.random.default_rng(7).lognormal(size=900)
    who, where = np.repeat([2, 1, 3], 300), np.tile(np.repeat(np.arange(5), 60), 3)
    found = known(quantile_interval(x, 0.99, who, where, confidence=0.9))
    series = known(quantile_interval(x, 0.99, None, np.arange(900) // 60, confidence=0.9))
    assert found.method == "rank interval over 15 blocks of 3 invocations taken as one series"
    assert (found.value, found.low, found.high, found.n, found.n_effective, found.confidence) == (
        series.value,
        series.low,
        series.high,
        900,
        series.n_effective,
        0.9,
    )


def test_invocations_that_took_turns_are_put_in_order_first() -> None:
    x, who = np.random.default_rng(7).lognormal(size=900), np.arange(900) % 2
    turned = known(quantile_interval(x, 0.99, who))
    apart = known(quantile_interval(np.r_[x[::2], x[1::2]], 0.99, np.repeat([0, 1], 450)))
    assert turned == apart
    assert turned.method == "rank interval over 20 blocks of 2 invocations taken as one series"
    slow = np.repeat([1.0, 2.0], 450) + 0.01 * x
    assert quantile_interval(slow.reshape(2, 450).T.ravel(), 0.9, who) == quantile_interval(
        slow, 0.9, np.repeat([0, 1], 450)
    )


def test_enough_samples_that_are_worth_too_few_do_not_tell_a_tail() -> None:
    """500 values, each eight times in a row: enough for ranks of p99 (368), not for what it needs (662)."""
    x = np.repeat(np.random.default_rng(1).permutation(500), 8).astype(float)
    found = quantile_interval(x, 0.99, None, np.arange(4000) // 80)
    assert isinstance(found, TooFew)
    assert 300 < found.n_effective < 662


def test_invocations_that_differ_are_known_by_their_own_values() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.lognormal(level, 0.3 + 0.2 * level, 401) for level in (0, 1, 3)]
    found = known(median_interval(np.concatenate(parts), np.repeat([0, 1, 2], 401), confidence=0.9))
    logs = np.log([np.sort(part)[200] for part in parts])
    half = float(t.ppf(0.95, 2)) * logs.std(ddof=1) / math.sqrt(3)
    assert found.value == np.sort(np.concatenate(parts))[601]
    assert (found.low, found.high) == pytest.approx((math.exp(logs.mean() - half), math.exp(logs.mean() + half)))
    assert found.confidence == 0.9


def test_labels_that_do_not_fit_are_counted() -> None:
    for labels in ({"invocation": [0]}, {"block": [0]}):
        with pytest.raises(ValueError, match=r"^1 labels do not fit 2 samples$"):
            quantile_interval([1.0, 2.0], 0.5, **labels)


def test_bounds_of_the_median_over_invocations_by_hand() -> None:
    half = 4.302652729911275 * math.log(2) / math.sqrt(3)
    assert over_invocations([1.0, 4.0, 2.0]) == pytest.approx((2 * math.exp(-half), 2 * math.exp(half)))
    tenth = over_invocations([0.1, 0.4, 0.2], confidence=0.9)
    half = float(t.ppf(0.95, 2)) * math.log(2) / math.sqrt(3)
    assert tenth == pytest.approx((0.2 * math.exp(-half), 0.2 * math.exp(half)))
    reach = 4.302652729911275 / math.sqrt(3)
    assert over_invocations([0.0, 1.0, 2.0]) == pytest.approx((1 - reach, 1 + reach))
    assert over_invocations([1.0, 1.0]) == (1, 1)
    assert over_invocations([1.0]) is None


# The stopping rule


def test_the_half_width_of_few_samples_by_hand() -> None:
    """1 to 100: the ranks 50 ± 1.96 × 10 / 2, outwards 40 and 61."""
    assert median_half_width(np.arange(100, 0, -1)) == pytest.approx(21 / 2 / 50)
    z = float(norm.ppf(0.75))
    assert z == pytest.approx(0.6745, abs=1e-4)
    assert median_half_width(np.arange(1, 101), 0.5) == pytest.approx((54 + 1 - 46) / 2 / 50)
    assert median_half_width(np.arange(1, 102)) == pytest.approx((62 - 40) / 2 / 51)


def test_batches_of_dependent_samples_widen_by_the_root_of_their_inflation() -> None:
    x = np.exp(0.1 * ar1(0.95, 3203, 1)) * 1e5
    median = np.sort(x)[1601]
    side = np.sign(x[-3200:] - median).reshape(32, 100)
    times = 100 * side.mean(axis=1).var(ddof=1) / side.var()
    half = 1.959963984540054 * math.sqrt(3203 * times) / 2
    ordered = np.sort(x)
    low, high = ordered[math.floor(3203 / 2 - half) - 1], ordered[math.ceil(3203 / 2 + half)]
    assert median_half_width(x) == pytest.approx((high - low) / 2 / median)
    # Batches begin at four samples, 128 in all.
    side = np.sign(np.arange(1, 129) - 64).reshape(32, 4)
    half = 1.959963984540054 * math.sqrt(128 * 4 * side.mean(axis=1).var(ddof=1) / side.var()) / 2
    width = math.ceil(64 + half) + 1 - math.floor(64 - half)
    assert median_half_width(np.arange(1, 129)) == pytest.approx(width / 2 / 64)
    assert median_half_width(np.arange(1, 128)) == pytest.approx((76 - 52) / 2 / 64)
    # Where they vary less than by chance, nothing is taken off.
    even = np.tile([1.0, 3.0, 2.0, 4.0], 200) + np.arange(800) * 1e-6
    half = 1.959963984540054 * math.sqrt(800) / 2
    ordered = np.sort(even)
    width = ordered[math.ceil(400 + half)] - ordered[math.floor(400 - half) - 1]
    assert median_half_width(even) == pytest.approx(width / 2 / ordered[399])


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_too_few_for_ranks_are_infinitely_unsure(n: int) -> None:
    assert median_half_width(np.arange(n) + 1.0) == math.inf


def test_from_how_many_samples_on_there_are_ranks() -> None:
    assert median_half_width(np.arange(1, 8)) == math.inf
    assert median_half_width(np.arange(1, 9)) == 7 / 2 / 4
    assert median_half_width([1.0] * 50 + [0.0] * 50 + [-1.0] * 50) == math.inf
    assert median_half_width([-2.0] * 100) == 0.0


def test_blocks_widen_the_rule_as_they_widen_the_row() -> None:
    x, block = balanced(25, 4) + 1000, np.arange(100) // 4
    side = (np.sign(1050 - x) + 1) / 2
    variance, freedom, _ = block_variance(side, block)
    inflated = max(inflation(side), 4 * 100 * variance)
    half = float(t.ppf(0.975, freedom)) * math.sqrt(100 * inflated) / 2
    ends = math.floor(50 - half), math.ceil(50 + half) + 1
    assert median_half_width(x, 0.95, block) == pytest.approx((ends[1] - ends[0]) / 2 / 1050)


def test_levels_of_blocks_widen_the_rule_by_their_variance_and_by_students_t() -> None:
    rng = np.random.default_rng(8)
    x = 1000 + np.repeat(rng.permutation(30) * 10.0, 20) + rng.normal(0, 30, 600)
    block = np.arange(600) // 20
    ordered = np.sort(x)
    side = (np.sign(ordered[299] - x) + 1) / 2
    variance, freedom, _ = block_variance(side, block)
    assert 4 * 600 * variance > inflation(side)
    z = 1.959963984540054
    half = _student(z, freedom) * math.sqrt(600 * 4 * 600 * variance) / 2
    width = ordered[math.ceil(300 + half)] - ordered[math.floor(300 - half) - 1]
    assert median_half_width(x, 0.95, block) == pytest.approx(width / 2 / ordered[299])


@pytest.mark.parametrize(("confidence", "freedom"), [(0.9, 5), (0.95, 10), (0.99, 20), (0.5, 3)])
def test_students_quantile_from_the_normal_one(confidence: float, freedom: float) -> None:
    upper = 0.5 + confidence / 2
    assert _student(float(norm.ppf(upper)), freedom) == pytest.approx(float(t.ppf(upper, freedom)), rel=4e-3)


def test_students_expansion_by_its_printed_terms() -> None:
    """Abramowitz & Stegun 26.7.5 at z = 2 and z = 1, in exact fractions."""
    for z, terms in (
        (2, (10 / 4, (160 + 128 + 6) / 96, (384 + 608 + 136 - 30) / 384)),
        (1, (2 / 4, 24 / 96, 24 / 384)),
    ):
        for freedom in (1, 2, 10):
            expected = z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
            assert _student(z, freedom) == pytest.approx(expected, rel=1e-12)


# Bootstraps


def test_a_bootstrap_of_two_blocks_by_hand() -> None:
    """A mean of 0 and 1 is redrawn as 0 (1/4), 1/2 (1/2) or 1 (1/4)."""
    call = {"samples": [0.0, 1.0], "invocation": [0, 0], "block": [0, 1]}
    found = hierarchical_interval(**call, statistic="mean")
    assert (found.low, found.value, found.high) == (0, 0.5, 1)
    assert (found.confidence, found.n, found.n_effective, found.method) == (0.95, 2, 2.0, "bootstrap of 2 blocks")
    inner = hierarchical_interval(**call, statistic="mean", confidence=0.4)
    assert (inner.low, inner.high, inner.confidence) == (0.5, 0.5, 0.4)
    # The lower one is the median by nearest rank: 1 is drawn alone in a quarter of the resamples.
    assert hierarchical_interval(**call, confidence=0.4).high == 0
    assert hierarchical_interval(**call, confidence=0.6).high == 1
    assert hierarchical_interval(**call, statistic=0.51).value == 1
    assert hierarchical_interval(**call) == hierarchical_interval(**call, statistic=0.5, resamples=2000, seed=0)
    # Of 0 0 0 1 the mean is redrawn as 0 (32 %), 1/4, 1/2, 3/4 (5 %) or 1 (0.4 %).
    skew = hierarchical_interval([0.0, 0.0, 0.0, 1.0], [0] * 4, range(4), statistic="mean", confidence=0.97)
    assert (skew.low, skew.value, skew.high) == (0, 0.25, 0.75)
    one = hierarchical_interval([3.0, 4.0], [0, 0], [0, 0], statistic="mean")
    assert (one.low, one.value, one.high, one.method) == (3.5, 3.5, 3.5, "bootstrap of 1 blocks")


def test_a_bootstrap_has_as_many_resamples_and_the_seed_that_are_asked_for() -> None:
    x, block = np.random.default_rng(1).normal(size=60), np.arange(60) // 3
    call = {"samples": x, "invocation": np.arange(60) // 30, "block": block, "statistic": "mean"}
    usual = hierarchical_interval(**call)
    assert usual == hierarchical_interval(**call, resamples=2000, seed=0)
    assert usual != hierarchical_interval(**call, seed=1)
    assert usual != hierarchical_interval(**call, resamples=2001)
    assert usual.method == "bootstrap of 20 blocks in 2 invocations"
    single = hierarchical_interval(**call, resamples=1)
    assert single.value in (single.low, single.high)
    with pytest.raises(ValueError, match=r"^samples and resamples must be there: 60, 0$"):
        hierarchical_interval(**call, resamples=0)
    with pytest.raises(ValueError, match=r"^1 labels do not fit 2 samples$"):
        hierarchical_interval([1.0, 2.0], [0], [0])


def test_a_weighted_quantile_of_many_samples_is_exact_in_every_cell() -> None:
    """5,120 samples lie ten in a cell; drawn once each, the quantile r / n is the r-th."""
    x, group = np.random.default_rng(0).permutation(5120).astype(float), np.arange(5120) % 4
    ranks = [*range(1, 23), 2560, 5119, 5120]
    for rank in ranks:
        weights = np.array([[1.0, 1, 1, 1], [2.0, 2, 2, 2]])
        assert _weighted_quantiles(x, group, weights, (rank - 0.5) / 5120).tolist() == [rank - 1] * 2


def test_blocks_are_told_apart_by_invocation_too() -> None:
    group, owner = _groups([5, 5, 2, 2, 2], [1, 0, 1, 1, 0], 5)
    assert group.tolist() == [3, 2, 1, 1, 0]
    assert owner.tolist() == [0, 0, 1, 1]


def test_each_resample_draws_as_many_invocations_and_of_each_as_many_blocks() -> None:
    owner = np.array([0, 0, 0, 1, 2, 2])
    weights = _multiplicities(owner, 4000, np.random.default_rng(0))
    drawn = np.stack([weights[:, owner == i].sum(axis=1) / (owner == i).sum() for i in range(3)], axis=1)
    assert (drawn == drawn.round()).all()
    assert (drawn.sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.1)
    assert (weights[:, 0] > 0).mean() < 0.7


def test_a_weighted_bootstrap_has_the_statistic_and_its_percentiles() -> None:
    x = np.array([0.0, 1.0])
    found = weighted_bootstrap(2, lambda w: w @ x / 2)
    assert (found.low, found.value, found.high) == (0, 0.5, 1)
    assert (found.confidence, found.n, found.n_effective, found.method) == (0.95, 2, 2.0, "bootstrap over examples")
    inner = weighted_bootstrap(2, lambda w: w @ x / 2, confidence=0.4)
    assert (inner.low, inner.high, inner.confidence) == (0.5, 0.5, 0.4)
    many = np.random.default_rng(0).normal(size=50)
    usual = weighted_bootstrap(50, lambda w: w @ many / 50)
    assert usual == weighted_bootstrap(50, lambda w: w @ many / 50, resamples=1000, seed=0)
    assert usual != weighted_bootstrap(50, lambda w: w @ many / 50, resamples=1001)
    assert usual != weighted_bootstrap(50, lambda w: w @ many / 50, seed=1)
    for n, resamples in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match=rf"^n and resamples must be positive: {n}, {resamples}$"):
            weighted_bootstrap(n, lambda w: w.sum(axis=1), resamples=resamples)
    assert weighted_bootstrap(1, lambda w: w.sum(axis=1), resamples=1).value == 1


def test_several_statistics_share_their_resamples_and_what_is_no_number_is_left_out() -> None:
    x = np.array([0.0, 1.0])

    def both(w: np.ndarray) -> np.ndarray:
        mean = w @ x / 2
        return np.stack([mean, np.where(mean == 0, np.nan, mean), np.where(len(w) == 1, mean, np.nan)], axis=1)

    plain, without, alone = joint_bootstrap(2, both, confidence=0.9)
    assert (plain.low, plain.value, plain.high) == (0, 0.5, 1)
    assert (without.low, without.high) == (0.5, 1)
    assert (alone.low, alone.value, alone.high) == (0.5, 0.5, 0.5)
    assert plain.confidence == 0.9
    assert joint_bootstrap(2, both) == joint_bootstrap(2, both, confidence=0.95, resamples=1000, seed=0)
    many = np.random.default_rng(0).normal(size=(50, 2))
    assert joint_bootstrap(50, lambda w: w @ many) == joint_bootstrap(50, lambda w: w @ many, resamples=1000, seed=0)
    assert joint_bootstrap(50, lambda w: w @ many) != joint_bootstrap(50, lambda w: w @ many, resamples=1001)
    assert joint_bootstrap(50, lambda w: w @ many) != joint_bootstrap(50, lambda w: w @ many, seed=1)
    biased = weighted_bootstrap(4, lambda w: np.where(len(w) == 1, 9.0, w[:, 0]))
    assert (biased.value, biased.high) == (9, 9)
    biased = weighted_bootstrap(4, lambda w: np.where(len(w) == 1, -9.0, w[:, 0]))
    assert (biased.value, biased.low) == (-9, -9)


@pytest.mark.parametrize(("cells", "rows"), [(50, [5, 5, 5, 5, 3]), (1, [1] * 23), (10_000, [23])])
def test_weights_come_some_resamples_at_a_time(monkeypatch, cells: int, rows: list[int]) -> None:
    monkeypatch.setattr(resample, "_CHUNK_CELLS", cells)
    seen: list[int] = []

    def count(w: np.ndarray) -> np.ndarray:
        seen.append(len(w))
        assert (w.sum(axis=1) == 10).all()
        return w[:, 0]

    found = weighted_bootstrap(10, count, resamples=23)
    assert seen == [1, *rows]
    monkeypatch.undo()
    assert weighted_bootstrap(10, lambda w: w[:, 0], resamples=23) == found
