"""What is left of a metric under corruption."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.quality import METRICS, worsened

seeds = st.integers(0, 2**32 - 1)
accuracy = METRICS["accuracy"]


def outputs(labels, strength, rng):
    return strength * np.eye(4)[labels] + rng.normal(size=(len(labels), 4))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(METRICS)), seeds)
def test_inputs_that_are_not_worse_leave_everything(name, seed):
    rng = np.random.default_rng(seed)
    metric = METRICS[name]
    if metric.judges == "values":
        labels = rng.normal(size=60)
        clean = labels + 0.3 * rng.normal(size=60)
    else:
        candidates = 20 if metric.judges == "ranking" else 4
        labels = rng.integers(0, candidates, 60)
        clean = rng.normal(size=(60, candidates)) + 2 * np.eye(candidates)[labels]
    found = worsened(metric, clean, {"a 1": clean, "a 2": clean}, labels)
    for share in (found.mean, found.worst, *found.ratios):
        assert (share.value, share.low, share.high) == (1, 1, 1), "the same weights on both sides"
    assert found.values == (found.clean, found.clean)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 6))
def test_ratios_are_those_of_the_metric_and_the_worst_is_the_smallest(seed, count):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 80)
    clean = outputs(labels, 3, rng)
    cells = {f"noise {at}": outputs(labels, rng.uniform(0, 3), rng) for at in range(count)}
    found = worsened(accuracy, clean, cells, labels)
    of_clean = accuracy(clean, labels).value
    expected = [accuracy(cell, labels).value / of_clean for cell in cells.values()]
    assert [ratio.value for ratio in found.ratios] == pytest.approx(expected)
    assert found.mean.value == pytest.approx(np.mean(expected))
    assert found.worst.value == pytest.approx(min(expected))
    assert found.worst.value <= found.mean.value <= 1 / of_clean
    for share in (found.mean, found.worst, *found.ratios):
        assert 0 <= share.low <= share.value <= share.high
        assert share.n == 80


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from(["mae", "rmse"]))
def test_where_lower_is_better_the_ratio_is_turned_round(seed, name):
    rng = np.random.default_rng(seed)
    labels = rng.normal(size=(50, 2))
    error = rng.normal(size=(50, 2))
    found = worsened(METRICS[name], labels + error, {"shift 1": labels + 4 * error}, labels)
    assert found.mean.value == pytest.approx(0.25), "four times the error leaves a quarter"
    assert (found.mean.low, found.mean.high) == pytest.approx((0.25, 0.25)), "of every example: nothing varies"


def test_pairing_makes_the_interval_narrower_than_that_of_the_metric_itself():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    clean = outputs(labels, 1.5, rng)
    worse = clean.copy()
    worse[:4] = -clean[:4]  # four decisions change, whatever was right before
    ratio = worsened(accuracy, clean, {"a 1": worse}, labels).mean
    alone = accuracy(clean, labels)
    assert ratio.high - ratio.low < (alone.high - alone.low) / 2


def test_a_metric_of_zero_on_clean_inputs_leaves_no_ratio():
    labels = np.zeros(20, dtype=int)
    wrong = np.tile([0.0, 1.0], (20, 1))
    assert worsened(accuracy, wrong, {"a 1": wrong}, labels) == "accuracy is 0 on clean inputs: there is no ratio"


def test_an_error_of_zero_in_a_cell_leaves_no_ratio_either():
    labels = np.arange(20.0)
    told = worsened(METRICS["mae"], labels + 1, {"a 1": labels}, labels)
    assert told == "MAE is 0 on a 1 inputs: there is no ratio"


def test_outputs_that_are_not_finite_name_their_cell():
    labels = np.arange(20.0)
    told = worsened(METRICS["mae"], labels + 1, {"a 1": labels + 2, "a 2": labels * np.nan}, labels)
    assert told == "no MAE on a 2 inputs: 20 of 20 output values are not finite"


def test_no_cell_is_refused():
    with pytest.raises(ValueError, match="no cell"):
        worsened(accuracy, np.eye(3), {}, [0, 1, 2])


def test_thirty_cells_of_250_examples_take_a_moment():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, 250)
    cells = {f"c {at}": rng.normal(size=(250, 10)) + np.eye(10)[labels] for at in range(30)}
    clean = rng.normal(size=(250, 10)) + 5 * np.eye(10)[labels]
    began = time.process_time()
    worsened(accuracy, clean, cells, labels)
    assert time.process_time() - began < 0.5
