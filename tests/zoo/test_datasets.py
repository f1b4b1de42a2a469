"""Data sets: fixed by seed, and calibration never sees evaluation data."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import UserError
from bench.zoo.datasets import DATASETS, load

NAMES = sorted(DATASETS)


def _rows(array):
    return {row.tobytes() for row in array}


@pytest.fixture(params=NAMES)
def data(request):
    return load(request.param, 0)


def test_no_sample_crosses_from_evaluation_to_training_or_calibration(data):
    held_out = _rows(data.evaluation.inputs[0])
    assert len(held_out) > 50
    assert not held_out & _rows(data.train.inputs[0])
    assert not held_out & _rows(data.calibration[0])


def test_calibration_is_a_part_of_the_training_data(data):
    assert _rows(data.calibration[0]) <= _rows(data.train.inputs[0])


def test_the_seed_fixes_the_split():
    one, same, other = (load("digits-28x28", seed) for seed in (0, 0, 1))
    assert np.array_equal(one.evaluation.inputs[0], same.evaluation.inputs[0])
    assert np.array_equal(one.calibration[0], same.calibration[0])
    assert not np.array_equal(one.evaluation.inputs[0], other.evaluation.inputs[0])


def test_digits_are_28_by_28_from_0_to_1():
    data = load("digits-28x28", 0)
    images = np.concatenate([data.train.inputs[0], data.evaluation.inputs[0]])
    assert images.shape == (1797, 28, 28, 1)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert set(np.concatenate([data.train.labels, data.evaluation.labels])) == set(range(10))


def test_resampling_keeps_the_mean_ink_of_the_original():
    from sklearn.datasets import load_digits

    data = load("digits-28x28", 0)
    images = np.concatenate([data.train.inputs[0], data.evaluation.inputs[0]])
    assert images.mean() == pytest.approx(load_digits().images.mean() / 16, abs=0.01)


def test_the_line_is_y_equals_2x():
    data = load("line-y-2x", 0)
    assert data.train.inputs[0].ravel().tolist() == [1, 2, 3, 4]
    for split in (data.train, data.evaluation):
        assert np.array_equal(split.labels, 2 * split.inputs[0])


def test_an_unknown_name():
    with pytest.raises(UserError, match="unknown data set"):
        load("digit-28x28", 0)
