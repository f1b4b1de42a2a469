"""The pieces of the search for change points: by hand, by their definition, and by counting all orders."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm

from bench.stats import changepoint
from bench.stats.changepoint import ChangePoint, change_points


def noisy(levels: list[float], size: int, sd: float = 0.01, seed: int = 0) -> np.ndarray:
    y = np.repeat(np.array(levels, dtype=float), size)
    return y + np.random.default_rng(seed).normal(0, sd, y.size)


def test_scores_are_normal_quantiles_of_ranks_and_ties_share_theirs() -> None:
    assert changepoint._scores(np.array([30.0, 10, 20])) == pytest.approx(norm.ppf([0.75, 0.25, 0.5]))
    assert changepoint._scores(np.array([1.0, 1, 5])) == pytest.approx(norm.ppf([1.5 / 4, 1.5 / 4, 0.75]))


def test_intervals_shrink_by_the_root_of_two_and_overlap_by_half() -> None:
    start, split, stop, weight, handicap = changepoint._splits(11)
    whole = [(0, at, 11) for at in range(3, 9)]
    shorter = [(a, at, a + 8) for a in (0, 1, 3) for at in range(a + 3, a + 6)]
    assert list(zip(start.tolist(), split.tolist(), stop.tolist(), strict=True)) == whole + shorter
    left, right = split - start, stop - split
    assert weight == pytest.approx(np.sqrt(left * right / (left + right)))
    assert handicap == pytest.approx(np.sqrt(2 * np.log(math.e * 11 / (left + right))))
    assert [each.tolist() for each in changepoint._splits(6)[:3]] == [[0], [3], [6]]


def test_a_contrast_is_a_weighted_difference_of_means_less_its_handicap() -> None:
    scores = np.random.default_rng(0).normal(size=(20, 3))
    start, split, stop, weight, handicap = changepoint._splits(20)
    expected = [
        w * np.abs(scores[s:e].mean(axis=0) - scores[b:s].mean(axis=0)) - h
        for b, s, e, w, h in zip(start, split, stop, weight, handicap, strict=True)
    ]
    assert changepoint._contrasts(scores) == pytest.approx(np.array(expected))


def test_the_p_value_is_the_share_of_all_orders_with_as_clear_a_step() -> None:
    """All 40,320 orders of eight values, against 10,000 random ones."""
    low, high = [1.0, 1.01, 0.99, 1.02], [2.0, 2.01, 1.99, 2.02]
    (point,) = change_points(low + high)
    scores = changepoint._scores(np.array(low + high))
    orders = np.array(list(itertools.permutations(scores))).T
    seen = changepoint._contrasts(scores[:, None]).max()
    exact = float((changepoint._contrasts(orders).max(axis=0) >= seen - 1e-9).mean())
    assert point.p_value == pytest.approx(exact, rel=0.15)
    assert (point.at, point.before, point.after) == (4, pytest.approx(1.005), pytest.approx(2.005))
    assert point.ratio == pytest.approx(2.005 / 1.005)


def test_the_p_value_of_a_plain_step_comes_from_all_the_orders_there_are() -> None:
    (point,) = change_points(noisy([1.0, 2.0], 20))
    assert point.p_value == 1 / 10_001
    assert change_points(noisy([1.0, 2.0], 20), seed=0) == (point,)
    # Of a long series fewer orders are drawn: in 300 values there are thousands of contrasts.
    (far,) = change_points(noisy([1.0, 2.0], 150))
    contrasts = changepoint._splits(300)[0].size
    assert far.p_value == pytest.approx(1 / (1 + 250 * (10_000_000 // contrasts // 250)))


def test_random_orders_are_those_of_the_seed_sorted_and_enough() -> None:
    scores = tuple(np.sort(changepoint._scores(np.arange(12.0))).tolist())
    one = changepoint._null(scores, 0, 0)
    assert one.size == 250
    assert (np.diff(one) >= 0).all()
    assert not np.array_equal(one, changepoint._null(scores, 1, 0))
    assert not np.array_equal(one, changepoint._null(scores, 0, 1))
    rng = np.random.default_rng([0, 0])
    orders = rng.permuted(np.tile(np.array(scores)[:, None], (1, 250)), axis=0)
    assert one == pytest.approx(np.sort(changepoint._contrasts(orders).max(axis=0)))
    # An unclear step: as soon as 250 orders are beyond it, the p-value is known.
    ordered = changepoint._scores(np.arange(12.0))
    median = float(np.median(one))
    beyond = 0
    for batch in itertools.count():
        null = changepoint._null(scores, 0, batch)
        beyond += int((null >= median - 1e-9).sum())
        if beyond >= 250:
            break
    assert changepoint._p_value(ordered, median, 0) == (1 + beyond) / (1 + 250 * (batch + 1))


def test_levels_are_drawn_in_to_three_robust_deviations_beyond_the_outermost() -> None:
    y = np.array([0.0, 1, 2, 10, 11, 12, 100, 11])
    assert changepoint._levels(y, [0, 3, 8], np.median).tolist() == [1, 1, 1, 11, 11, 11, 11, 11]
    assert changepoint._levels(y, [1, 3], np.mean).tolist() == [1.5, 1.5]
    drawn = changepoint._drawn_in(y, [0, 3, 8])
    # Away from their level by 1 0 1 1 0 1 89 0: the median is 1, the reach 3 × 1.4826.
    assert drawn == pytest.approx([0, 1, 2, 10, 11, 12, 11 + 4.4478, 11])
    assert changepoint._drawn_in(-y, [0, 3, 8]) == pytest.approx(-drawn)
    assert changepoint._drawn_in(2 * y, [0, 3, 8]) == pytest.approx(2 * drawn)
    assert changepoint._drawn_in(y, [3, 6]).tolist() == [10, 11, 12]


@pytest.mark.parametrize("seed", range(5))
def test_the_best_split_has_the_least_squares_about_the_means_of_its_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.r_[rng.normal(0, 1, 9), rng.normal(1, 1, 8)]
    z = changepoint._drawn_in(y, [0, 9, 17])
    squares = {at: z[:at].var() * at + z[at:].var() * (17 - at) for at in range(3, 15)}
    assert changepoint._best_split(y, 9) == min(squares, key=lambda at: squares[at])


def test_places_move_to_where_levels_fit_best() -> None:
    y = noisy([0.0, 5.0, 0.0], 10)
    assert changepoint._refined(y, [8, 22]) == [10, 20]
    assert changepoint._refined(y, [13, 17]) == [10, 20]
    assert changepoint._refined(y, []) == []
    assert changepoint._refined(y[:20], [7]) == [10]
    # The last place has to move before the ones in front of it can.
    more = np.repeat([0.0, 5.0, 0.0, 7.0], 10) + np.tile([0.0, 0.01], 20)
    assert changepoint._refined(more, [4, 7, 10]) == [10, 20, 30]
    # A level of three at the start and at the end, the shortest there is; a shorter one is none.
    ends = np.repeat([0.0, 5.0, 0.0], [3, 10, 3])
    assert changepoint._refined(ends, [4, 12]) == [3, 13]
    assert changepoint._best_split(np.repeat([0.0, 5.0], [10, 2]), 9) == 9
    assert changepoint._best_split(np.repeat([5.0, 0.0], [2, 10]), 3) == 3
    given = [8, 22]
    changepoint._refined(y, given)
    assert given == [8, 22]


def test_levels_go_one_way_where_all_steps_rise_or_all_fall() -> None:
    y = np.repeat([1.0, 2.0, 3.0, 2.0], 4)
    assert changepoint._one_way(y, [0, 4, 8, 12])
    assert changepoint._one_way(-y, [0, 4, 8, 12])
    assert not changepoint._one_way(y, [0, 4, 8, 12, 16])
    assert not changepoint._one_way(y, [4, 8, 12, 16])
    assert changepoint._one_way(y, [0, 4, 8])
    flat = np.repeat([1.0, 1.0, 2.0], 4)
    assert not changepoint._one_way(flat, [0, 4, 8, 12])
    assert not changepoint._one_way(-flat, [0, 4, 8, 12])
    assert changepoint._one_way(flat, [0, 4, 8])


@pytest.mark.parametrize("edges", [[0, 10, 20], [0, 7, 14, 20], [5, 9, 15, 20]])
def test_the_favour_for_a_line_is_the_difference_of_two_bics(edges: list[int]) -> None:
    y = np.linspace(0, 3, 20) + np.random.default_rng(1).normal(0, 0.3, 20)
    z = changepoint._drawn_in(y, edges)
    inner = [edge - edges[0] for edge in edges]
    levels = sum(float(((z[a:b] - z[a:b].mean()) ** 2).sum()) for a, b in itertools.pairwise(inner))
    slope, offset = np.polyfit(np.arange(z.size), z, 1)
    line = float(((z - slope * np.arange(z.size) - offset) ** 2).sum())
    extra = 2 * (len(edges) - 3)
    expected = z.size * math.log(levels / line) + extra * math.log(z.size)
    assert changepoint._for_a_line(y, edges) == pytest.approx(expected)
    # A perfect fit is finite, whichever it is of.
    assert changepoint._for_a_line(np.arange(20.0), [0, 10, 20]) > 1000
    assert changepoint._for_a_line(np.repeat([0.0, 1.0], 10), [0, 10, 20]) < -1000


def test_a_line_drops_all_places_along_it_and_no_other() -> None:
    rng = np.random.default_rng(2)
    ramp = np.linspace(0, 2, 30) + rng.normal(0, 0.05, 30)
    assert changepoint._without_drift(ramp, [8, 15, 22]) == []
    assert changepoint._without_drift(ramp, [15]) == []
    stairs = noisy([0, 1, 2], 10)
    assert changepoint._without_drift(stairs, [10, 20]) == [10, 20]
    # A ramp, and then a step back: the step stays.
    both = np.r_[ramp, rng.normal(-3, 0.05, 15)]
    assert changepoint._without_drift(both, [10, 20, 30]) == [30]
    assert changepoint._without_drift(np.r_[rng.normal(-3, 0.05, 15), ramp], [15, 25, 35]) == [15]
    assert changepoint._without_drift(ramp, []) == []
    # Two ramps with a step between them.
    two = np.r_[ramp, ramp - 8]
    assert changepoint._without_drift(two, [15, 30, 45]) == [30]


def test_a_point_tells_the_medians_of_its_two_sides() -> None:
    y = [5.0, 5.1, 4.9, 5.0, 9.0, 5.0, 2.0, 2.1, 1.9, 2.0, 2.0, 2.1, 8.0, 8.1, 7.9, 8.0, 8.2, 8.0]
    first, second = change_points(y * 1)
    assert first == ChangePoint(at=6, before=5.0, after=2.0, ratio=0.4, p_value=first.p_value)
    assert second == ChangePoint(at=12, before=2.0, after=8.0, ratio=4.0, p_value=second.p_value)
    assert first.p_value != second.p_value
    assert max(first.p_value, second.p_value) <= 0.05


def test_the_chance_allowed_is_five_percent_and_shared_out_by_length() -> None:
    low, high = [1.0, 1.01, 0.99, 1.02], [2.0, 2.01, 1.99, 2.02]
    (point,) = change_points(low + high)
    assert change_points(low + high, seed=0) == (point,)
    assert change_points(low + high, seed=1) != (point,)
    with pytest.raises(ValueError, match=r"^alpha must lie between 0 and 1"):
        change_points(low, alpha=1.0)
    assert 0.01 < point.p_value < 0.05
    assert change_points(low + high, alpha=point.p_value) == (point,)
    assert change_points(low + high, alpha=point.p_value * 0.999) == ()
    # On a side that is half of the whole only half of alpha is allowed.
    series = np.r_[low, high, np.array([50.0, 50.1, 49.9, 50.2, 50.05, 49.95, 50.15, 50.25])]
    assert [p.at for p in change_points(series)] == [8]
    assert [p.at for p in change_points(series[::-1])] == [8]
    assert [p.at for p in change_points(series, alpha=0.5)][:2] == [4, 8]
    # With enough allowed, six values are two levels.
    assert [p.at for p in change_points([1.0, 1.01, 0.99, 2.0, 2.01, 1.99], alpha=0.5)] == [3]


def test_growth_by_equal_shares_is_a_line_in_the_logarithms() -> None:
    drift = np.linspace(-9, -1, 40) + np.random.default_rng(3).normal(0, 0.02, 40)
    assert change_points(np.exp(drift)) == ()
    assert change_points(np.exp(drift) - 10) != ()
    assert [p.at for p in change_points([0.0] * 12 + [1.0] * 12)] == [12]
