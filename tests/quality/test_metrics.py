"""Quality metrics from outputs and labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, mannwhitneyu

from bench.errors import UserError
from bench.quality import METRICS

seeds = st.integers(0, 2**32 - 1)
accuracy, macro_f1, auc = METRICS["accuracy"], METRICS["macro_f1"], METRICS["auc"]


def classified(seed, n=80, classes=3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(n, classes)) + np.eye(classes)[labels], labels


def judged(metric, rng, n=80):
    """Outputs and labels that suit the metric, good but not perfect."""
    if metric.judges == "values":
        truth = rng.normal(size=n)
        return truth + 0.1 * rng.normal(size=n), truth
    candidates = 3 if metric.judges == "classes" else 30
    labels = rng.integers(0, candidates, n)
    return rng.normal(size=(n, candidates)) + np.eye(candidates)[labels], labels


def test_the_table_knows_every_metric_by_its_own_name():
    assert set(METRICS) == {"accuracy", "macro_f1", "auc", "hit_rate_at_10", "mae", "rmse", "r2"}
    assert all(METRICS[name].name == name for name in METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_every_figure_has_unit_count_interval_and_provenance(name):
    rng = np.random.default_rng(0)
    figure = METRICS[name](*judged(METRICS[name], rng))
    assert figure.how == "measured:evaluation"
    assert (figure.n, figure.confidence, figure.unit) == (80, 0.95, "1")
    assert figure.low < figure.value < figure.high


def test_accuracy_is_argmax_with_wilsons_interval():
    outputs, labels = classified(1)
    right = int((outputs.argmax(axis=1) == labels).sum())
    figure = accuracy(outputs, labels)
    assert figure.value == right / 80
    theirs = binomtest(right, 80).proportion_ci(0.95, method="wilson")
    assert (figure.low, figure.high) == pytest.approx((theirs.low, theirs.high))


def test_a_single_unit_is_compared_with_one_half():
    assert accuracy([0.4, 0.6, 0.5, 0.9], [0, 1, 0, 0]).value == 0.75
    assert accuracy([[0.4], [0.6]], [[0], [1]]).value == 1


def test_labels_may_be_one_hot_or_a_column():
    outputs, labels = classified(2)
    plain = accuracy(outputs, labels)
    assert accuracy(outputs, np.eye(3)[labels]) == plain
    assert accuracy(outputs, labels[:, None]) == plain
    assert accuracy(outputs, labels.astype(float)) == plain


def test_decisions_within_an_example_are_bootstrapped_by_example():
    rng = np.random.default_rng(3)
    labels = np.repeat(rng.integers(0, 2, (50, 1)), 100, axis=1)  # all 100 right or all wrong
    figure = accuracy(np.stack([np.ones((50, 100)), np.zeros((50, 100))], axis=-1), labels)
    assert figure.n == 50
    assert figure.high - figure.low > 0.2


def test_an_output_that_is_not_finite_is_wrong_never_right():
    assert accuracy([[np.nan, 0.0], [0.0, 1.0]], [0, 1]).value == 0.5
    assert accuracy([np.nan, 0.1], [0, 0]).value == 0.5


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_the_order_of_examples_does_not_matter(seed):
    outputs, labels = classified(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    for metric in (accuracy, macro_f1, auc):
        assert metric(outputs[order], labels[order]).value == pytest.approx(metric(outputs, labels).value)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_macro_f1_is_scikit_learns(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    outputs, labels = classified(seed, n=30, classes=5)
    expected = metrics.f1_score(labels, outputs.argmax(axis=1), average="macro", zero_division=0)
    assert macro_f1(outputs, labels).value == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(METRICS)), seeds)
def test_a_weight_counts_an_example_as_often_as_it_says(name, seed):
    rng = np.random.default_rng(seed)
    outputs, labels = judged(METRICS[name], rng, n=30)
    drawn = rng.integers(0, 30, 30)
    weighed = METRICS[name].scored(outputs, labels).statistic(np.bincount(drawn, minlength=30)[None].astype(float))
    assert weighed[0] == pytest.approx(METRICS[name](outputs[drawn], labels[drawn]).value)


def test_macro_f1_by_hand():
    # class 0: TP 1, FP 0, FN 1 -> 2/3; class 1: TP 1, FP 1, FN 0 -> 2/3
    assert macro_f1([[1, 0], [0, 1], [0, 1]], [0, 0, 1]).value == pytest.approx(2 / 3)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_auc_is_the_mann_whitney_share_with_ties(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 6, 60).astype(float), np.r_[0, 1, rng.integers(0, 2, 58)]
    u = mannwhitneyu(scores[labels == 1], scores[labels == 0]).statistic
    expected = u / (labels.sum() * (60 - labels.sum()))
    assert auc(scores, labels).value == pytest.approx(expected)
    assert auc(np.exp(scores), labels).value == pytest.approx(expected)  # only the order counts
    assert auc(np.stack([-scores, scores], axis=1), labels).value == pytest.approx(expected)


def test_auc_of_one_class_is_missing():
    assert auc([0.1, 0.2], [1, 1]).reason == "the labels hold one class only"


def test_regression_figures_by_hand():
    outputs, labels = [[1.0], [2.0], [5.0]], [[1.0], [2.0], [3.0]]
    assert METRICS["mae"](outputs, labels).value == pytest.approx(2 / 3)
    assert METRICS["rmse"](outputs, labels).value == pytest.approx((4 / 3) ** 0.5)
    assert METRICS["r2"](outputs, labels).value == pytest.approx(1 - 4 / 2)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.1, 100))
def test_errors_scale_with_the_labels_and_r2_does_not(seed, scale):
    rng = np.random.default_rng(seed)
    labels = rng.normal(1e4, 1, (40, 2))
    outputs = labels + 0.3 * rng.normal(size=(40, 2))
    for name in ("mae", "rmse"):
        assert METRICS[name](outputs * scale, labels * scale).value == pytest.approx(
            METRICS[name](outputs, labels).value * scale
        )
    assert METRICS["r2"](outputs * scale, labels * scale).value == pytest.approx(METRICS["r2"](outputs, labels).value)


def test_labels_that_do_not_vary_have_no_r2():
    assert METRICS["r2"]([1.0, 2.0], [3.0, 3.0]).reason == "the labels do not vary"


@pytest.mark.parametrize("name", ["mae", "rmse", "r2", "auc"])
def test_outputs_that_are_not_finite_leave_the_figure_missing(name):
    assert METRICS[name]([1.0, np.nan, np.inf], [0, 1, 1]).reason == "2 of 3 output values are not finite"


@pytest.mark.parametrize(
    ("name", "outputs", "labels"),
    [
        ("accuracy", np.zeros((3, 4)), np.zeros(2)),
        ("accuracy", np.zeros((0, 4)), np.zeros(0)),
        ("accuracy", np.zeros((3, 4)), np.zeros((3, 2))),
        ("accuracy", np.zeros((3, 4)), np.array([0.5, 1, 2])),
        ("accuracy", np.zeros((3, 4)), np.array(["a", "b", "c"])),
        ("auc", np.zeros((3, 4, 5)), np.zeros(3)),
        ("auc", np.zeros((3, 1)), np.zeros((3, 2))),
        ("mae", np.zeros((3, 4)), np.zeros((3, 5))),
    ],
)
def test_shapes_that_do_not_suit_are_the_users_to_mend(name, outputs, labels):
    with pytest.raises(UserError, match=name) as raised:
        METRICS[name](outputs, labels)
    assert "shape" in str(raised.value.where)


def test_ten_thousand_examples_are_scored_quickly():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 10, 10_000)
    outputs = rng.normal(size=(10_000, 10)) + np.eye(10)[labels]
    for metric in (accuracy, macro_f1):
        assert metric(outputs, labels).high - metric(outputs, labels).low < 0.03
