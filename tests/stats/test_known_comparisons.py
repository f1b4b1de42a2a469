"""Ratios, dominance, looks, places and outliers: known answers, and what happens at each bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct, norm, t

from bench.stats.checks import check_share, finite_1d
from bench.stats.dominance import dominates, standings, times_to_decide, times_to_part
from bench.stats.estimate import Estimate, TooFew
from bench.stats.fdr import adjusted, discoveries
from bench.stats.location import Location, kept, location
from bench.stats.mde import minimal_detectable_effect, rounds_needed
from bench.stats.outliers import modified_z, outliers
from bench.stats.proportion import wilson
from bench.stats.ratio import log_ratios, ratio_of_medians, ratio_p_value
from bench.stats.sequential import Schedule, schedule
from bench.stats.steady import SteadyDetector, drifted, is_steady, shift, theil_sen_slope, trend

# Checks


def test_what_is_checked_says_its_name_and_what_was_given() -> None:
    for bad in (0.0, 1.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"^alpha must lie between 0 and 1: ") as caught:
            check_share("alpha", bad)
        assert str(caught.value).endswith(f": {bad}")
    check_share("alpha", 1e-9)
    check_share("alpha", 1 - 1e-9)
    with pytest.raises(ValueError, match=r"^a sample is not finite$"):
        finite_1d([1.0, math.inf])
    flat = finite_1d([[1, 2], [3, 4]])
    assert (flat.tolist(), flat.dtype) == ([1, 2, 3, 4], np.float64)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("confidence", lambda bad: ratio_of_medians([1.0], [1.0], confidence=bad)),
        ("confidence", lambda bad: wilson(1, 2, bad)),
        ("confidence", lambda bad: schedule(2, 5, bad)),
        ("confidence", lambda bad: Location(0.0, 1.0, 5).half_width(bad)),
        ("rate", lambda bad: discoveries([0.5], rate=bad)),
        ("power", lambda bad: minimal_detectable_effect(5, 0.1, power=bad)),
        ("alpha", lambda bad: minimal_detectable_effect(5, 0.1, alpha=bad)),
    ],
)
def test_a_share_that_is_none_is_refused_by_its_name(name, call) -> None:
    for bad in (0.0, 1.0):
        with pytest.raises(ValueError, match=rf"^{name} must lie between 0 and 1"):
            call(bad)


# Estimates


def test_an_estimate_and_a_lack_become_figures() -> None:
    found = Estimate(value=4.0, low=3.0, high=7.0, confidence=0.9, n=8, n_effective=5.0, method="by hand")
    assert found.relative_half_width == 0.5
    figure = found.measurement("s", "measured:clock", scale=0.5)
    assert (figure.value, figure.low, figure.high) == (2.0, 1.5, 3.5)
    assert (figure.unit, figure.n, figure.how, figure.confidence) == ("s", 8, "measured:clock", 0.9)
    assert found.measurement("s", "measured:clock").value == 4.0
    below = Estimate(value=-4.0, low=-7.0, high=-3.0, confidence=0.9, n=8, n_effective=5.0, method="")
    assert below.relative_half_width == 0.5
    assert (
        Estimate(value=0.0, low=-1, high=1, confidence=0.9, n=8, n_effective=5, method="").relative_half_width
        == math.inf
    )
    assert Estimate(value=0.0, low=0, high=0, confidence=0.9, n=8, n_effective=5, method="").relative_half_width == 0
    lack = TooFew(n=100, n_effective=100.0, needed=662)
    figure = lack.measurement("s", "measured:clock", scale=0.5)
    assert (figure.value, figure.unit, figure.n, figure.how) == (
        None,
        "s",
        100,
        "unavailable:too few samples (100 of 662)",
    )
    assert lack.measurement("s") == figure
    assert TooFew(n=100, n_effective=99.5, needed=662).reason == "too few samples (100 of 662)"
    assert TooFew(n=100, n_effective=99.4, needed=662).reason == "too few independent samples (99 of 662)"


# Ratios


def test_a_ratio_with_students_interval_by_hand() -> None:
    """Log ratios 0, ln 2 and ln 4: mean ln 2, standard deviation ln 2, t at 2 degrees of freedom 4.3027."""
    found = ratio_of_medians([1.0, 1.0, 1.0], [1.0, 2.0, 4.0])
    half = 4.302652729911275 * math.log(2) / math.sqrt(3)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(2)
    assert found.low == pytest.approx(2 * math.exp(-half))
    assert found.high == pytest.approx(2 * math.exp(half))
    assert (found.confidence, found.n, found.n_effective) == (0.95, 3, 3.0)
    assert found.method == "t interval over 3 paired rounds"
    narrow = ratio_of_medians([1.0, 1.0, 1.0], [1.0, 2.0, 4.0], confidence=0.5)
    assert isinstance(narrow, Estimate)
    assert narrow.high == pytest.approx(2 * math.exp(float(t.ppf(0.75, 2)) * math.log(2) / math.sqrt(3)))


def test_a_round_may_be_its_samples() -> None:
    assert log_ratios([[1, 2, 9]], [[3, 4, 100, 4]]).tolist() == pytest.approx([math.log(2)])
    with pytest.raises(ValueError, match=r"^rounds are pairs: 1 of a, 2 of b$"):
        log_ratios([1], [1, 2])
    with pytest.raises(ValueError, match=r"^a round holds no sample$"):
        log_ratios([[]], [1])
    with pytest.raises(ValueError, match=r"^the median of a round is not positive: 0\.0$"):
        log_ratios([1], [0])


def test_a_bootstrap_over_rounds_has_the_classical_width() -> None:
    logs = np.random.default_rng(5).normal(0.1, 0.05, 60)
    found = ratio_of_medians(np.ones(60), np.exp(logs), method="bootstrap", seed=1)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(math.exp(logs.mean()))
    half = 1.96 * logs.std(ddof=1) / math.sqrt(60)
    assert math.log(found.high) == pytest.approx(logs.mean() + half, abs=0.1 * half)
    assert math.log(found.low) == pytest.approx(logs.mean() - half, abs=0.1 * half)
    assert found.method == "bootstrap over 60 paired rounds"
    pair = {"a_rounds": [1.0, 1.0], "b_rounds": [1.0, 4.0], "method": "bootstrap"}
    two = ratio_of_medians(**pair)
    assert isinstance(two, Estimate)
    assert (two.low, two.value, two.high) == pytest.approx((1, 2, 4))
    inner = ratio_of_medians(**pair, confidence=0.4)
    assert isinstance(inner, Estimate)
    assert (inner.low, inner.high) == pytest.approx((2, 2))
    again = ratio_of_medians(np.ones(60), np.exp(logs), method="bootstrap", seed=1)
    assert again == found
    assert ratio_of_medians(np.ones(60), np.exp(logs), method="bootstrap", seed=2) != found
    assert ratio_of_medians(np.ones(60), np.exp(logs), method="bootstrap").confidence == 0.95
    default = ratio_of_medians(np.ones(60), np.exp(logs), method="bootstrap")
    assert default == ratio_of_medians(np.ones(60), np.exp(logs), method="bootstrap", resamples=10_000, seed=0)


def test_one_sided_p_values_are_halves_of_the_two_sided_one() -> None:
    a, b = np.ones(4), np.exp([0.1, 0.2, 0.3, 0.6])
    statistic = 0.3 / (np.std([0.1, 0.2, 0.3, 0.6], ddof=1) / 2)
    two = 2 * float(t.sf(statistic, 3))
    assert ratio_p_value(a, b) == pytest.approx(two)
    assert ratio_p_value(a, b, alternative="greater") == pytest.approx(two / 2)
    assert ratio_p_value(a, b, alternative="less") == pytest.approx(1 - two / 2)
    assert ratio_p_value(a, b, ratio=math.exp(0.3)) == pytest.approx(1)
    assert ratio_p_value(a[:2], b[:2]) < 1


@pytest.mark.parametrize(
    ("b", "ratio", "alternative", "p"),
    [
        (2.0, 1.0, "two-sided", 0.0),
        (2.0, 2.0, "two-sided", 1.0),
        (2.0, 1.0, "greater", 0.0),
        (2.0, 2.0, "greater", 1.0),
        (0.5, 1.0, "greater", 1.0),
        (0.5, 1.0, "less", 0.0),
        (0.5, 0.5, "less", 1.0),
        (2.0, 1.0, "less", 1.0),
    ],
)
def test_rounds_without_spread_leave_no_doubt(b, ratio, alternative, p) -> None:
    assert ratio_p_value([1.0, 1.0], [b, b], ratio=ratio, alternative=alternative) == p


def test_a_ratio_that_is_none_is_refused() -> None:
    for ratio in (0, -1):
        with pytest.raises(ValueError, match=rf"^a ratio is positive: {ratio}$"):
            ratio_p_value([1], [1], ratio=ratio)


# What could be shown


def test_the_detectable_effect_has_its_power_by_the_noncentral_t() -> None:
    for rounds, spread, power, alpha in (
        (6, 0.02, 0.8, 0.05),
        (30, 0.1, 0.9, 0.01),
        (2, 0.01, 0.5, 0.1),
        (3, 0.1, 0.06, 0.05),
    ):
        effect = minimal_detectable_effect(rounds, spread, power=power, alpha=alpha)
        away = math.log1p(effect) / spread * math.sqrt(rounds)
        critical = float(t.ppf(1 - alpha / 2, rounds - 1))
        shown = float(nct.sf(critical, rounds - 1, away) + nct.cdf(-critical, rounds - 1, away))
        assert shown == pytest.approx(power, abs=1e-6)
    assert minimal_detectable_effect(6, 0.02) == minimal_detectable_effect(6, 0.02, power=0.8, alpha=0.05)


def test_a_power_that_chance_alone_has_needs_no_effect() -> None:
    assert minimal_detectable_effect(5, 0.1, power=0.05, alpha=0.05) == pytest.approx(0, abs=1e-6)
    assert minimal_detectable_effect(5, 0.1, power=0.04, alpha=0.05) == 0
    assert minimal_detectable_effect(5, 1.0) > minimal_detectable_effect(5, 0.9)
    assert minimal_detectable_effect(2, 0.1) < math.inf
    assert minimal_detectable_effect(2, 1e6) == math.inf
    # With that many rounds the estimate of the spread costs next to nothing.
    assert minimal_detectable_effect(5000, 0.1) == pytest.approx(math.expm1(0.1 * 2.8016 / math.sqrt(5000)), rel=2e-3)


@pytest.mark.filterwarnings("ignore:Error in function cdf")
def test_a_level_far_beyond_what_scipy_can_reckon_still_has_its_effect() -> None:
    # With two rounds and a bound so far out only the spread that they estimate matters: |N(0, 1)| is over 1 in 1.2816.
    spread, critical = 1e-13, float(t.ppf(1 - 5e-13, 1))
    effect = minimal_detectable_effect(2, spread, power=0.8, alpha=1e-12)
    assert math.log1p(effect) / spread * math.sqrt(2) / critical == pytest.approx(1.2816, rel=0.06)


def test_the_rounds_needed_for_an_effect() -> None:
    assert rounds_needed(0.03, 0.0) == 2
    for effect, spread in ((0.05, 0.02), (0.01, 0.02), (0.2, 0.01)):
        n = rounds_needed(effect, spread)
        assert minimal_detectable_effect(n, spread) <= effect
        assert n == 2 or minimal_detectable_effect(n - 1, spread) > effect
    assert rounds_needed(0.05, 0.02, power=0.99) > rounds_needed(0.05, 0.02)
    assert rounds_needed(0.05, 0.02, alpha=0.001) > rounds_needed(0.05, 0.02)
    # An effect that three rounds just show needs three, not four.
    assert rounds_needed(minimal_detectable_effect(3, 0.02), 0.02) == 3
    assert isinstance(rounds_needed(0.01, 0.02), int)
    with pytest.raises(ValueError, match=r"^no practical number of rounds shows 0\.01% with a spread of 50\.00%$"):
        rounds_needed(0.0001, 0.5)
    with pytest.raises(ValueError, match=r"^an effect is positive: nan$"):
        rounds_needed(math.nan, 0.5)
    for spread in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"^a spread is finite and not negative: "):
            minimal_detectable_effect(5, spread)


# Many at once


def test_p_values_adjusted_by_hand() -> None:
    """Benjamini & Hochberg: each times m over its rank, never above that of the next."""
    assert adjusted([0.04, 0.01, 0.03]).tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert adjusted([]).tolist() == []
    assert adjusted([[0.5], [0.5]]).shape == (2,)
    assert adjusted([1, 0]).tolist() == [1, 0]
    assert discoveries([0.02, 0.04, 0.9]).tolist() == [False, False, False]
    assert discoveries([0.01, 0.03, 0.9]).tolist() == [True, True, False]
    assert discoveries([0.05]).tolist() == [True]
    assert discoveries([0.3], rate=0.3).tolist() == [True]


# Dominance


@pytest.mark.parametrize(
    ("a", "b", "answer"),
    [
        ([(1, 2)], [(3, 4)], "surely"),
        ([(1, 2)], [(2, 3)], "possibly"),  # both may be 2, and then neither is better
        ([(2, 2)], [(2, 2)], "not"),
        ([(1, 2)], [(2, 2)], "possibly"),
        ([(2, 2)], [(1, 2)], "not"),
        ([(1, 2), (5, 5)], [(3, 4), (5, 5)], "surely"),
        ([(1, 2), (5, 6)], [(3, 4), (5, 5)], "possibly"),
        ([(1, 2), (6, 7)], [(3, 4), (5, 5)], "not"),
        ([(3, 4)], [(1, 3)], "not"),
        ([(2, 9)], [(1, 3)], "possibly"),
        ([(2, 9), (1, 1)], [(2, 2), (1, 1)], "not"),
    ],
)
def test_who_dominates_whom_at_the_edges(a, b, answer) -> None:
    turned = [[(-high, -low) for low, high in side] for side in (a, b)]
    assert dominates(a, b, ["lower"] * len(a)) == answer
    assert dominates(*turned, ["higher"] * len(a)) == answer


ends = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: (min(pair), max(pair)))


@settings(deadline=None)
@given(st.lists(st.tuples(ends, ends), min_size=1, max_size=5))
def test_where_a_point_stands_follows_from_who_dominates_it(points) -> None:
    better = ("lower", "higher")
    answers = []
    for point in points:
        others = {dominates(other, point, better) for other in points if other is not point}
        answers.append("off" if "surely" in others else "maybe" if "possibly" in others else "on")
    assert standings(points, better) == answers


def test_points_without_a_front_and_intervals_upside_down() -> None:
    assert standings([], ["lower"]) == []
    with pytest.raises(ValueError, match=r"^an interval is upside down$"):
        standings([[(1, 2)], [(2, 1)]], ["lower"])
    with pytest.raises(ValueError, match=r"^an interval is upside down: \(2, 1\)$"):
        dominates([(1, 1)], [(2, 1)], ["higher"])
    for lengths in (([(1, 1)] * 2, [(1, 1)], ["lower"]), ([(1, 1)], [(1, 1)], ["lower"] * 2)):
        with pytest.raises(ValueError, match="zip"):
            dominates(*lengths)
    with pytest.raises(ValueError, match="zip"):
        times_to_decide([(1, 1)], [(1, 1)], ((1, 2), (1,)), ["lower"])


def test_the_samples_until_two_intervals_part() -> None:
    """Half-widths shrink as the root of the samples: (h_a + h_b)² / (a - b)²."""
    assert times_to_part((8, 12), (11, 15), (10, 13)) == pytest.approx((4 / 3) ** 2)
    # The upper end of the lower one reaches further than half of its width, and that side counts.
    assert times_to_part((9, 14), (12, 14), (10, 13)) == pytest.approx((5 / 3) ** 2)
    assert times_to_part((9, 11), (9, 14), (10, 13)) == pytest.approx((5 / 3) ** 2)
    assert times_to_part((0, 1), (9, 10), (0.5, 9.5)) == pytest.approx((1 / 9) ** 2)
    # Of an interval that reaches further outwards than towards the other one, half of its width counts.
    assert times_to_part((4, 11), (12, 18), (10, 13)) == pytest.approx(((3.5 + 3) / 3) ** 2)
    assert times_to_part((1, 1), (2, 2), (1, 2)) == 0
    assert times_to_part((1, math.inf), (2, 2), (1, 2)) == math.inf


def test_which_objective_decides_and_after_how_many_times_the_samples() -> None:
    wide, other = (9, 11), (10, 12)
    # What is equal and exact decides nothing; what is equal and has a width may.
    assert times_to_decide([(1, 1), wide], [(1, 1), other], ((1, 10), (1, 11)), ["lower"] * 2) == (4, 1)
    assert times_to_decide([(1, 3)], [(1, 3)], ((2,), (2.5,)), ["lower"]) == (25, 0)
    # Exact and worse: that is known already.
    assert times_to_decide([(2, 2), wide], [(1, 1), other], ((2, 10), (1, 11)), ["lower"] * 2) == (0, 0)
    # Worse where more is better.
    assert times_to_decide([wide], [other], ((10,), (11,)), ["higher"]) == (4, 0)
    assert times_to_decide([wide, wide], [other, other], ((10, 10), (11, 11)), ["lower", "higher"]) == (4, 1)
    # Worse in two: the one that shows it first. Better in two: the one that shows it last.
    far = ((9, 11), (19, 21))
    a, b = [wide, far[0]], [other, far[1]]
    assert times_to_decide(a, b, ((10, 10), (11, 20)), ["higher"] * 2) == (pytest.approx(0.04), 1)
    assert times_to_decide(a, b, ((10, 10), (11, 20)), ["lower"] * 2) == (4, 0)


# Several looks


def test_looks_are_even_and_grow_by_1_6() -> None:
    assert schedule(6, 50).looks == (6, 10, 16, 26, 42, 50)
    assert schedule(5, 12).looks == (6, 10, 12)
    assert schedule(3, 4).looks == (4,)
    assert schedule(2, 2) == Schedule((2,), 0.95)
    assert schedule(2, 5, 0.9) == Schedule((2, 4, 5), 0.9)
    for first, last in ((1, 5), (6, 5)):
        with pytest.raises(
            ValueError, match=rf"^looks from {first} to {last} rounds: 2 at least, and not before the first$"
        ):
            schedule(first, last)


def test_what_a_look_spends_by_pococks_function() -> None:
    plan = Schedule((6, 10, 20), 0.9)

    def spent(share: float) -> float:
        return 0.1 * math.log(1 + (math.e - 1) * share)

    assert plan.at(6) == pytest.approx(1 - spent(0.3))
    assert plan.at(10) == pytest.approx(1 - (spent(0.5) - spent(0.3)))
    assert plan.at(20) == pytest.approx(1 - (0.1 - spent(0.5)))
    assert plan.last(6) == pytest.approx(0.9)
    assert plan.last(7) == plan.last(10) == pytest.approx(1 - (0.1 - spent(0.3)))
    assert plan.last(20) == plan.at(20)
    assert Schedule((5,)).at(5) == pytest.approx(0.95)
    with pytest.raises(ValueError, match="no look"):
        plan.at(7)


# Places


def test_a_trimmed_mean_with_its_error_by_hand() -> None:
    """Of 1 to 10 the middle six; the sum of squares about 5.5 of 3 3 3 4 5 6 7 8 8 8 is 42.5."""
    found = location(np.arange(10, 0, -1))
    assert (found.middle, found.kept) == (5.5, 6)
    assert found.error == pytest.approx(math.sqrt(42.5 / (6 * 5)))
    assert found.half_width(0.95) == pytest.approx(2.570581835636314 * found.error)
    assert found.half_width(0.5) == pytest.approx(float(t.ppf(0.75, 5)) * found.error)
    assert [kept(n) for n in (2, 9, 10, 14, 15, 100)] == [2, 9, 6, 10, 9, 60]
    pair = location([3.0, 1.0])
    assert (pair.middle, pair.error, pair.kept) == (2, pytest.approx(1), 2)
    with pytest.raises(ValueError, match=r"^two values or more, not 1$"):
        location([1.0])


# Outliers


def test_modified_z_scores_by_hand() -> None:
    assert modified_z([1, 2, 3, 4, 100]) == pytest.approx(0.6745 * np.array([-2, -1, 0, 1, 97]))
    assert modified_z([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(0.6745 * np.array([-2, -1, 0, 1, 2]))
    # More than half are equal: the mean of what they are away, 0.1, stands in.
    assert modified_z([5, 5, 5, 5.4]) == pytest.approx(0.7979 * np.array([0, 0, 0, 4]))
    assert modified_z([5, 5, 5, 13]) == pytest.approx(0.7979 * np.array([0, 0, 0, 4]))
    assert modified_z([7.0]).tolist() == modified_z([0.0]).tolist() == [0]
    assert modified_z([3, 3, 3]).tolist() == [0, 0, 0]
    assert modified_z([]).tolist() == []


def test_an_outlier_is_beyond_the_threshold_not_on_it() -> None:
    on = outliers([1, 2, 3, 4, 5], threshold=0.6745 * 2)
    assert (on.n, on.low, on.high, on.threshold, on.share) == (5, 0, 0, 0.6745 * 2, 0)
    beyond = outliers([1, 2, 3, 4, 5], threshold=0.6745)
    assert (beyond.low, beyond.high, beyond.share) == (1, 1, 0.4)
    assert outliers([1, 2, 3, 4, 5]).threshold == 10
    for threshold in (0, -1):
        with pytest.raises(ValueError, match=rf"^a threshold is positive: {threshold}$"):
            outliers([1.0], threshold=threshold)


# Shares


def test_wilson_at_the_ends_and_by_hand() -> None:
    none, all_of = wilson(0, 10), wilson(10, 10)
    assert (none.value, none.low, none.high) == (0, 0.0, pytest.approx(0.27753, abs=1e-5))
    assert (all_of.value, all_of.low, all_of.high) == (1, pytest.approx(1 - 0.27753, abs=1e-5), 1.0)
    half = wilson(5, 10, 0.9)
    z = float(norm.ppf(0.95))
    width = z * math.sqrt(0.25 / 10 + z**2 / 400) / (1 + z**2 / 10)
    assert (half.value, half.low, half.high) == pytest.approx((0.5, 0.5 - width, 0.5 + width))
    assert (half.n, half.n_effective, half.confidence, half.method) == (10, 10.0, 0.9, "Wilson score interval")
    assert wilson(5, 10).confidence == 0.95
    assert wilson(1, 1).value == 1
    # Not one rounding off, however many there are.
    assert {(wilson(0, n).low, wilson(n, n).high) for n in range(1, 500)} == {(0.0, 1.0)}
    for k, n in ((0, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError, match=rf"^successes must lie in 0\.\.n with n positive: {k} of {n}$"):
            wilson(k, n)


# Steady state and drift


def test_steady_is_up_to_the_cut_off_in_spread_and_in_trend() -> None:
    # A line: the change from first to last is 2 of 101, 1.98 %.
    assert is_steady([100, 101, 102], k=3)
    assert not is_steady([100, 101, 102], k=3, cov=0.0197)
    assert not is_steady([100, 101.1, 102.2], k=3)
    assert not is_steady([102.2, 101.1, 100], k=3)
    # One of three is left out, the one that is farthest off: the other two are equal.
    assert is_steady([100, 50, 100], k=3)
    assert is_steady([100, 150, 100], k=3)
    assert is_steady([150, 100, 100], k=3, cov=0.6)
    assert not is_steady([100, 100, 150], k=3)
    # Without the odd one in the middle 99, 101, 101 and 99 are left: 1.155 %.
    values = [99, 101, 120, 101, 99]
    assert is_steady(values, cov=0.0116)
    assert not is_steady(values, cov=0.0115)
    # On the cut-off is within it: a change of exactly a sixteenth.
    assert is_steady([31.0, 32.0, 33.0], k=3, cov=2 / 32)
    assert is_steady([-1.0] * 3, k=3)
    assert is_steady([0.5, 0.8, 0.5], k=3)
    assert not is_steady([0.0, 0.0, 1e-9], k=3)
    for k, cov in ((2, 0.02), (3, 0.0), (3, -1.0)):
        with pytest.raises(ValueError, match=rf"^k must be at least 3 and cov positive: k={k}, cov={cov}$"):
            is_steady([1.0], k=k, cov=cov)


def test_a_detector_tells_its_rule_and_its_answer() -> None:
    detector = SteadyDetector()
    assert detector.steady is False
    assert detector.how == "last 5 window medians within 2% (CoV and trend): not steady after 0 windows"
    own = SteadyDetector(k=3, cov=0.1)
    assert [own.add([1.0, 2.0, 90.0]), own.add([2.0]), own.add([2.0])] == [False, False, True]
    assert own.medians == [2.0, 2.0, 2.0]
    assert own.steady
    assert own.how == "last 3 window medians within 10% (CoV and trend): steady after 3 windows"
    loose = SteadyDetector(k=3, cov=0.6)
    assert [loose.add([value]) for value in (100, 150, 110)][-1]
    with pytest.raises(ValueError, match=r"^a window holds no latency$"):
        own.add([])


def test_slopes_by_hand() -> None:
    assert theil_sen_slope([1, 2, 4]) == 1.5
    assert theil_sen_slope([5, 3]) == -2
    assert theil_sen_slope([5]) == theil_sen_slope([]) == 0


@pytest.mark.parametrize(
    ("values", "change", "p"),
    [
        ([1, 2, 3, 4, 5], 4 / 3, 0.02749),  # S = 10 of variance 50 / 3
        ([5, 4, 3, 2, 1], -4 / 3, 0.02749),
        ([1, 1, 2, 3], 5 / 3, 0.14861),  # S = 5 of variance 23 / 3, a tie
        ([1, 2, 3], 1.0, 0.29627),
        ([1, 3, 2], 0.5, 1.0),  # S = 1: nothing is left after the correction
        ([1, 2, 1, 2, 1], 0.0, 1.0),
        ([2, 2, 2], 0.0, 1.0),
        ([], 0.0, 1.0),
        ([3, 3.5, 4], 1 / 3.5, 0.29627),
        ([1, 2], 0.0, 1.0),
        ([-1, 0, 1], 0.0, 1.0),
        ([0.1, 0.2, 0.3], 1.0, 0.29627),
    ],
)
def test_trends_by_hand(values, change, p) -> None:
    found = trend(values)
    assert (found.change, found.p_value) == pytest.approx((change, p), abs=1e-4)


@pytest.mark.parametrize(
    ("values", "at", "change", "p"),
    [
        ([1] * 5 + [2] * 5, 5, 1.0, 2 * math.exp(-6 * 25**2 / 1100)),
        ([2] * 4 + [1] * 6, 4, -0.5, 2 * math.exp(-6 * 24**2 / 1100)),
        ([1, 1, 2], 2, 1.0, 1.0),
        ([0, 0, 0, 0, 3, 3, 3, 3], 4, 0.0, 2 * math.exp(-6 * 16**2 / 576)),
        ([3, 3, 3], 0, 0.0, 1.0),
        ([1, 2], 0, 0.0, 1.0),
        ([], 0, 0.0, 1.0),
    ],
)
def test_shifts_by_hand(values, at, change, p) -> None:
    found = shift(values)
    assert (found.at, found.change, found.p_value) == (at, pytest.approx(change), pytest.approx(p))


def test_the_sentence_on_drift_says_what_moved_how_far_and_where() -> None:
    few = drifted([1.0, 2.0] * 3 + [1.0])
    assert (few.drifted, few.sentence) == (False, "7 blocks are too few to tell drift from noise (8 are needed)")
    assert few.trend == trend([1.0, 2.0] * 3 + [1.0])
    assert few.shift == shift([1.0, 2.0] * 3 + [1.0])
    ramp = drifted(np.linspace(100, 90, 8))
    assert (ramp.drifted, ramp.sentence) == (True, "latency fell by 10.5% from the first to the last of 8 blocks")
    assert ramp.trend == trend(np.linspace(100, 90, 8))
    step = drifted([100.0] * 30 + [110.0] * 10)
    assert (step.drifted, step.sentence) == (True, "latency rose by 10.0% at block 31 of 40 and stayed there")
    assert step.shift.at == 30
    quiet = drifted([100.0] * 10 + [101.0] * 10)
    assert (quiet.drifted, quiet.sentence) == (False, "no drift beyond 2.0% in 20 blocks")
    assert drifted([100.0] * 10 + [101.0] * 10, threshold=0.009).drifted
    assert not drifted([100.0] * 10 + [150.0] * 10, threshold=0.5).drifted


def test_drift_is_tested_at_half_of_alpha_since_there_are_two_tests() -> None:
    """Three pairs of eight are out of order: S = 22, p = 0.0094."""
    values = [2.0, 1, 4, 3, 6, 5, 7, 8]
    assert trend(values).p_value == pytest.approx(0.0094, abs=1e-4)
    assert not drifted(values).drifted
    assert not drifted(values, alpha=0.0187).drifted
    assert drifted(values, alpha=0.0189).drifted
    # A step alone: p = 0.0661, doubled 0.1322. The trend changes by 75 %, the step by 100 %.
    step = [1.0] * 5 + [2.0] * 5
    assert drifted(step, threshold=0.9, alpha=0.1323).sentence.startswith("latency rose by 100.0% at block 6 of 10")
    assert not drifted(step, threshold=0.9, alpha=0.1321).drifted
