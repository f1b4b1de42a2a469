"""Expected calibration error: confidence against the share of right decisions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.quality import calibration_error
from bench.record.measurement import Measurement

seeds = st.integers(0, 2**32 - 1)


def figure(outputs, labels):
    found = calibration_error(outputs, labels)
    return found if isinstance(found, Measurement) else found.measurement()


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(2, 12))
def test_a_classifier_whose_confidence_comes_true_has_a_small_error(seed, classes):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), 4000)
    labels = (rng.random((4000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    assert figure(probabilities, labels).value < 0.05


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(0.55, 1.0), st.floats(0.0, 1.0))
def test_with_one_confidence_the_error_is_its_distance_from_the_share_of_right_decisions(seed, confidence, share):
    right = np.random.default_rng(seed).random(300) < share
    sure_of_class_1 = np.tile([1 - confidence, confidence], (300, 1))
    assert figure(sure_of_class_1, right.astype(int)).value == pytest.approx(abs(confidence - right.mean()))


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_the_figure_is_the_definition_written_out(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(4, 0.5), 200)
    labels = rng.integers(0, 4, 200)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    found = figure(probabilities, labels)
    assert found.value == pytest.approx(expected)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (found.n, found.confidence, found.how) == (200, 0.95, "measured:evaluation")


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([(-1,), (-1, 1)]))
def test_a_single_unit_is_the_probability_of_class_one(seed, shape):
    rng = np.random.default_rng(seed)
    p, labels = rng.random(100), rng.integers(0, 2, 100)
    single = figure(p.reshape(shape), labels)
    assert single.value == pytest.approx(figure(np.stack([1 - p, p], axis=1), labels).value)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(2, 20))
def test_probabilities_rounded_to_int8_still_are_some(seed, classes):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), 100)
    rounded = np.clip(np.round(probabilities * 256), 0, 255) / 256
    labels = rng.integers(0, classes, 100)
    assert figure(rounded, labels).value == pytest.approx(figure(probabilities, labels).value, abs=0.05)


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        (np.array([[2.0, -1.0], [0.5, 0.5]]), "they reach from -1 to 2"),
        (np.array([[0.9, 0.9], [0.5, 0.5]]), "those of example 0 add up to 1.8"),
        (np.array([[0.2, 0.3], [0.5, 0.5]]), "add up to 0.5"),
        (np.array([3.0, 0.5]), "they reach from 0.5 to 3"),
        (np.array([[np.nan, 0.5], [0.5, 0.5]]), "1 of 4 output values are not finite"),
        (np.full((2, 3, 2), 0.5), "not one decision an example"),
    ],
)
def test_outputs_that_are_no_probabilities_have_no_figure_and_say_why(outputs, reason):
    found = figure(outputs, [0, 1])
    assert found.value is None
    assert reason in found.reason


def test_labels_that_do_not_fit_are_the_users_to_mend():
    with pytest.raises(UserError, match="calibration_error needs one label an example"):
        calibration_error(np.full((3, 2), 0.5), [0, 1])
