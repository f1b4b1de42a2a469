"""Ratios, what they could show, many of them, dominance, outliers and shares."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control, ttest_rel

from bench.stats.dominance import dominates, standings, times_to_decide, times_to_part
from bench.stats.estimate import TooFew
from bench.stats.fdr import adjusted, discoveries
from bench.stats.mde import minimal_detectable_effect, rounds_needed
from bench.stats.outliers import modified_z, outliers
from bench.stats.proportion import wilson
from bench.stats.ratio import log_ratios, ratio_of_medians, ratio_p_value

medians = st.lists(st.tuples(st.floats(1, 100), st.floats(1, 100)), min_size=2, max_size=20)


# ratio


@given(medians, st.floats(0.01, 100), st.sampled_from(["t", "bootstrap"]))
@settings(deadline=None)
def test_scaling_b_scales_the_ratio(rounds, scale, method):
    a, b = zip(*rounds, strict=True)
    plain = ratio_of_medians(a, b, method=method, resamples=200)
    scaled = ratio_of_medians(a, [x * scale for x in b], method=method, resamples=200)
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx(
        (plain.value * scale, plain.low * scale, plain.high * scale), rel=1e-6
    )


@given(medians)
def test_exchanging_the_sides_inverts_the_ratio(rounds):
    a, b = zip(*rounds, strict=True)
    there, back = ratio_of_medians(a, b), ratio_of_medians(b, a)
    assert (back.value, back.low, back.high) == pytest.approx((1 / there.value, 1 / there.high, 1 / there.low))


@given(medians)
def test_test_and_interval_agree(rounds):
    a, b = zip(*rounds, strict=True)
    assume(np.ptp(np.log(np.array(b) / np.array(a))) > 1e-6)
    answer = ratio_of_medians(a, b)
    p = ratio_p_value(a, b)
    assert p == pytest.approx(ttest_rel(np.log(b), np.log(a)).pvalue, rel=1e-6)
    assume(abs(p - 0.05) > 1e-6)
    assert (p < 0.05) == (not answer.low <= 1 <= answer.high)


def test_drift_common_to_both_sides_cancels():
    rng = np.random.default_rng(0)
    levels = np.exp(np.cumsum(rng.normal(0, 0.2, 12)))
    a = [level * rng.lognormal(0, 0.01, 500) for level in levels]
    b = [1.03 * level * rng.lognormal(0, 0.01, 500) for level in levels]
    answer = ratio_of_medians(a, b)
    assert answer.low < 1.03 < answer.high
    assert answer.relative_half_width < 0.002


def test_the_t_interval_covers_with_five_rounds():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        answer = ratio_of_medians(np.ones(5), 1.1 * rng.lognormal(0, 0.03, 5))
        held += answer.low <= 1.1 <= answer.high
    assert 0.93 <= held / 1000 <= 0.97


def test_one_round_is_too_few():
    assert ratio_of_medians([1.0], [2.0]) == TooFew(n=1, n_effective=1.0, needed=2)
    assert ratio_p_value([1.0], [2.0]) == 1
    assert log_ratios([], []).size == 0


def test_identical_rounds_are_certain():
    assert ratio_p_value([1, 1], [2, 2]) == 0
    assert ratio_p_value([1, 1], [2, 2], alternative="less") == 1
    assert ratio_p_value([1, 1], [1, 1]) == 1
    assert ratio_of_medians([1, 1], [2, 2]).high == pytest.approx(2)


@pytest.mark.parametrize(
    ("a", "b", "said"), [([1], [1, 2], "pairs"), ([[]], [[1]], "no sample"), ([0], [1], "positive")]
)
def test_rounds_that_are_none_are_refused(a, b, said):
    with pytest.raises(ValueError, match=said):
        ratio_of_medians(a, b)


# minimal detectable effect


def test_the_effect_said_to_be_detectable_is_detected_with_that_power():
    rng, rounds, spread = np.random.default_rng(2), 6, 0.02
    effect = minimal_detectable_effect(rounds, spread)
    found = [
        ratio_p_value(np.ones(rounds), (1 + effect) * rng.lognormal(0, spread, rounds)) < 0.05 for _ in range(2000)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


@given(st.integers(2, 200), st.floats(0.001, 0.3))
@settings(deadline=None, max_examples=40)
def test_more_rounds_show_less_and_more_spread_hides_more(rounds, spread):
    effect = minimal_detectable_effect(rounds, spread)
    assert minimal_detectable_effect(rounds + 1, spread) < effect
    assert minimal_detectable_effect(rounds, spread * 1.5) > effect


@given(st.floats(0.01, 0.5), st.floats(0.005, 0.1))
@settings(deadline=None, max_examples=20)
def test_the_rounds_needed_are_the_fewest(effect, spread):
    n = rounds_needed(effect, spread)
    assert minimal_detectable_effect(n, spread) <= effect
    assert n == 2 or minimal_detectable_effect(n - 1, spread) > effect


def test_edges_of_the_detectable_effect():
    assert minimal_detectable_effect(1, 0.1) == math.inf
    assert minimal_detectable_effect(5, 0.0) == 0
    with pytest.raises(ValueError, match="positive"):
        rounds_needed(0, 0.1)
    with pytest.raises(ValueError, match="spread"):
        minimal_detectable_effect(5, -1)


# false discovery rate


@given(st.lists(st.floats(0, 1), max_size=40))
def test_adjusted_values_are_scipys_and_never_smaller(p):
    ours = adjusted(p)
    if p:
        assert ours == pytest.approx(false_discovery_control(p))
        assert (ours >= np.array(p) - 1e-12).all()
    assert discoveries(p).shape == (len(p),)


def test_a_matrix_of_nulls_rarely_raises_an_alarm():
    rng = np.random.default_rng(3)
    alarms = [discoveries(rng.random(50)).any() for _ in range(500)]
    assert np.mean(alarms) < 0.08


# dominance


def test_dominance_under_uncertainty():
    better = ("lower", "higher")
    assert dominates([(1, 2), (0.9, 0.95)], [(3, 4), (0.8, 0.85)], better) == "surely"
    assert dominates([(1, 3.5), (0.9, 0.95)], [(3, 4), (0.8, 0.85)], better) == "possibly"
    assert dominates([(5, 6), (0.9, 0.95)], [(3, 4), (0.8, 0.85)], better) == "not"


boxes = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda t: (min(t), max(t))), min_size=2, max_size=2
)


@given(boxes, boxes)
def test_nothing_dominates_both_ways_and_turning_the_axis_changes_nothing(a, b):
    better = ("lower", "lower")
    assert not (dominates(a, b, better) == "surely" and dominates(b, a, better) != "not")
    turned = [[(-h, -low) for low, h in box] for box in (a, b)]
    assert dominates(*turned, ("higher", "higher")) == dominates(a, b, better)


@given(st.lists(boxes, min_size=1, max_size=6))
def test_some_point_is_always_not_off_the_front(points):
    found = standings(points, ("lower", "lower"))
    assert len(found) == len(points)
    assert any(s != "off" for s in found)


def test_equal_points_are_both_on_the_front():
    assert standings([[(1, 1)], [(1, 1)], [(2, 2)]], ["lower"]) == ["on", "on", "off"]
    assert standings([[(1, 3)], [(2, 4)]], ["lower"]) == ["maybe", "maybe"]


around_values = st.tuples(*[st.floats(1, 100)] * 3).map(sorted).map(lambda e: (e[1], (e[0], e[2])))


@given(around_values, around_values)
def test_intervals_shrunk_by_the_root_of_the_times_that_are_told_just_part(one, other):
    (a, x), (b, y) = one, other
    times = times_to_part(x, y, (a, b))
    assert times == times_to_part(y, x, (b, a))
    assume(abs(a - b) > 1e-3 and times > 1e-6)

    def shrunk(value, bounds, by):
        return tuple(value + (end - value) / math.sqrt(by) for end in bounds)

    lower, upper = sorted(((a, x), (b, y)), key=lambda pair: pair[0])
    assert shrunk(*lower, times * 1.001)[1] < shrunk(*upper, times * 1.001)[0]
    assert not (x[0] <= y[1] and y[0] <= x[1]) or times >= 1 - 1e-9


def test_what_it_takes_to_decide_a_pair():
    assert times_to_part((9, 11), (10, 12), (10, 11)) == 4
    assert times_to_part((9, 11), (9, 11), (10, 10)) == math.inf
    assert times_to_part((-math.inf, math.inf), (1, 1), (0, 1)) == math.inf
    lower = ("lower", "lower")
    # The first is worse in the second objective: showing that alone is enough.
    assert times_to_decide([(9, 11), (10, 12)], [(10, 12), (9.5, 10.5)], ((10, 11), (11, 10)), lower) == (2.25, 1)
    # Worse in none: it has to be surely no worse in both, and the one that takes more decides.
    assert times_to_decide([(9, 11), (9, 11)], [(10, 12), (9.5, 10.5)], ((10, 9.9), (11, 10)), lower)[1] == 1
    assert times_to_decide([(1, 1)], [(1, 1)], ((1,), (1,)), ("higher",)) == (math.inf, 0)


def test_an_interval_upside_down_is_refused():
    with pytest.raises(ValueError, match="upside down"):
        dominates([(2, 1)], [(1, 2)], ["lower"])


# outliers


def test_outliers_are_counted_on_each_side():
    x = np.r_[np.random.default_rng(4).normal(100, 1, 1000), 500, 600, 1]
    found = outliers(x)
    assert (found.low, found.high, found.n) == (1, 2, 1003)
    assert found.share == pytest.approx(3 / 1003)


@given(st.lists(st.integers(0, 1000), max_size=50), st.floats(0.01, 100), st.floats(-100, 100))
def test_z_scores_do_not_depend_on_the_unit(values, scale, offset):
    x = np.array(values, dtype=float)
    assert modified_z(x * scale + offset) == pytest.approx(modified_z(x), abs=1e-4, rel=1e-4) or modified_z(x).any()


def test_an_outlier_is_one_by_the_rule_of_hyperfine():
    away = 10 * 1.4826 * 2  # of a median of 0 and a MAD of 2
    x = np.tile([-2.0, 2.0], 500)
    assert outliers(np.r_[x, 0, 0.999 * away, -0.999 * away]).share == 0
    found = outliers(np.r_[x, 0, 1.001 * away, -1.001 * away])
    assert (found.low, found.high) == (1, 1)


def test_a_coarse_clock_does_not_hide_outliers():
    assert outliers(np.r_[np.full(900, 10), 10_000]).high == 1
    assert outliers(np.full(9, 3)).share == 0
    assert outliers([]).share == 0
    with pytest.raises(ValueError, match="positive"):
        outliers([1.0], threshold=0)


# proportion


@given(st.integers(1, 5000), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_is_scipys(n, share, confidence):
    k = round(share * n)
    theirs = binomtest(k, n).proportion_ci(confidence, method="wilson")
    ours = wilson(k, n, confidence)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(ValueError, match="successes"):
        wilson(k, n)
