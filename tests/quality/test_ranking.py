"""Hit rate: whether the right candidate is among the ten first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bench.errors import UserError
from bench.quality import METRICS

hit_rate = METRICS["hit_rate_at_10"]
seeds = st.integers(0, 2**32 - 1)


def ranked(seed, n=60, candidates=40):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, candidates, n)
    return rng.normal(size=(n, candidates)) + 2 * np.eye(candidates)[labels], labels


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_without_ties_it_is_the_share_with_fewer_than_ten_above_and_wilsons_interval(seed):
    scores, labels = ranked(seed)
    hits = sum(int((row > row[at]).sum() < 10) for row, at in zip(scores, labels, strict=True))
    figure = hit_rate(scores, labels)
    assert figure.value == hits / 60
    theirs = binomtest(hits, 60).proportion_ci(0.95, method="wilson")
    assert (figure.low, figure.high) == pytest.approx((theirs.low, theirs.high))


@settings(max_examples=30, deadline=None)
@given(st.integers(11, 200), seeds)
def test_a_scorer_that_tells_nothing_apart_has_the_rate_of_chance(candidates, seed):
    labels = np.random.default_rng(seed).integers(0, candidates, 20)
    assert hit_rate(np.zeros((20, candidates)), labels).value == pytest.approx(10 / candidates)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_ties_count_as_random_breaking_of_them_does_on_average(seed):
    rng = np.random.default_rng(seed)
    scores, labels = ranked(seed, n=20)
    coarse = np.round(scores)  # as int8 outputs: many candidates score the same
    broken = [hit_rate.scored(coarse + 1e-3 * rng.random(coarse.shape), labels).right / 20 for _ in range(400)]
    assert hit_rate(coarse, labels).value == pytest.approx(np.mean(broken), abs=0.03)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_order_of_candidates_does_not_matter(seed):
    scores, labels = ranked(seed, n=20)
    scores = np.round(scores)
    order = np.random.default_rng(seed).permutation(scores.shape[1])
    place = np.argsort(order)
    assert hit_rate(scores[:, order], place[labels]).value == pytest.approx(hit_rate(scores, labels).value)


def test_scores_that_are_not_finite_are_no_hit():
    scores, labels = ranked(0)
    assert hit_rate(np.full_like(scores, np.nan), labels).value == 0
    scores[:] = np.inf
    assert hit_rate(scores, labels).value == 0


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        (np.zeros((3, 10)), [0, 1, 2]),
        (np.zeros(30), np.zeros(30)),
        (np.zeros((3, 20)), [0, 1, 20]),
        (np.zeros((3, 20)), [0, -1, 2]),
        (np.zeros((3, 20)), [0.5, 1, 2]),
    ],
    ids=["only ten candidates", "no candidates", "past the last", "before the first", "not whole"],
)
def test_what_is_no_ranking_of_candidates_is_the_users_to_mend(scores, labels):
    with pytest.raises(UserError, match="hit_rate_at_10"):
        hit_rate(scores, labels)
