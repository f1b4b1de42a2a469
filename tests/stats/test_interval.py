"""The interval of rows: its properties apart from coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.estimate import Estimate, TooFew
from bench.stats.interval import median_interval, quantile_interval
from bench.stats.percentile import percentile

seeds = st.integers(0, 2**32 - 1)


def stream(seed, n=600):
    return np.random.default_rng(seed).lognormal(size=n)


@settings(deadline=None)
@given(seeds, st.floats(1e-6, 1e6), st.integers(1, 4))
def test_the_unit_does_not_matter(seed, scale, invocations):
    x, who, where = stream(seed), np.arange(600) * invocations // 600, np.arange(600) // 20
    plain, scaled = median_interval(x, who, where), median_interval(x * scale, who, where)
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx(
        (plain.value * scale, plain.low * scale, plain.high * scale)
    )


@settings(deadline=None)
@given(seeds, st.floats(0.5, 0.99), st.floats(0.5, 0.99), st.integers(1, 4))
def test_more_confidence_is_wider(seed, one, other, invocations):
    x, who, where = stream(seed), np.arange(600) * invocations // 600, np.arange(600) // 20
    narrow, wide = (median_interval(x, who, where, confidence=c) for c in sorted((one, other)))
    assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


def test_the_value_is_the_percentile_of_all_samples():
    x = stream(0, 3000)
    for q in (0.5, 0.9, 0.99):
        assert quantile_interval(x, q).value == percentile(x, q).value


def test_the_order_of_invocations_does_not_matter():
    x, who = stream(1), np.arange(600) // 200
    back = np.concatenate([x[who == i] for i in (2, 0, 1)])
    there, turned = median_interval(x, who), median_interval(back, who)
    assert (there.value, there.low, there.high) == pytest.approx((turned.value, turned.low, turned.high))


def test_block_names_do_not_matter():
    x, where = stream(2), np.arange(600) // 20
    assert median_interval(x, None, where) == median_interval(x, None, 1000 - 7 * where)


def test_one_block_or_none_known_still_gives_an_interval():
    answer = median_interval(stream(3))
    assert isinstance(answer, Estimate)
    assert answer.low < answer.value < answer.high


def test_constant_samples_have_no_width():
    answer = median_interval(np.full(200, 5.0), np.arange(200) // 100, np.arange(200) // 10)
    assert (answer.low, answer.value, answer.high) == (5, 5, 5)
    assert answer.relative_half_width == 0


def test_a_clock_too_coarse_to_see_the_call_gives_zero_not_an_error():
    x = np.zeros(200)
    assert median_interval(x, np.arange(200) // 100).high == 0


def test_a_slow_level_shared_by_blocks_costs_samples():
    rng = np.random.default_rng(4)
    x = np.exp(0.2 * np.repeat(rng.normal(size=40), 50) + 0.02 * rng.normal(size=2000))
    answer = median_interval(x, None, np.arange(2000) // 50)
    assert answer.n_effective < 200
    assert "40 blocks of one invocation" in answer.method


def test_invocations_that_differ_widen_beyond_what_each_shows():
    x = np.concatenate([stream(i) * level for i, level in enumerate((1.0, 1.5, 2.0))])
    together = median_interval(x, np.arange(1800) // 600)
    alone = median_interval(x[:600])
    assert together.high / together.low > 3 * alone.high / alone.low
    assert "3 invocations" in together.method


def test_invocations_too_short_alone_are_taken_as_one_series():
    answer = quantile_interval(stream(5, 900), 0.99, np.arange(900) // 300)
    assert isinstance(answer, Estimate)
    assert "3 invocations taken as one series" in answer.method


def test_few_samples_have_no_interval():
    assert median_interval([1.0] * 10) == TooFew(n=10, n_effective=10.0, needed=11)
    assert median_interval([]) == TooFew(n=0, n_effective=0.0, needed=11)
    assert isinstance(quantile_interval(stream(6), 0.99), TooFew)


def test_bursts_leave_too_little_to_tell_the_tail():
    rng = np.random.default_rng(7)
    x = rng.lognormal(0, 0.1, 2000) + 5 * np.repeat(rng.random(20) < 0.1, 100)
    answer = quantile_interval(x, 0.99, None, np.arange(2000) // 100)
    assert isinstance(answer, TooFew)
    assert answer.n_effective < 662


def test_labels_must_fit():
    with pytest.raises(ValueError, match="do not fit"):
        median_interval([1.0, 2.0], [0])
