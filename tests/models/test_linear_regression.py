"""The published figures of the linear regression, derived here without Keras and then met by Keras."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from bench.zoo import datasets
from bench.zoo.card import load_card
from bench.zoo.find import zoo_models

FOLDER = Path(__file__).resolve().parents[2] / "models" / "linear_regression"


def descend(x, y, rate, steps):
    """Batch gradient descent from zero on half the mean squared error."""
    t0 = t1 = 0.0
    for _ in range(steps):
        error = t0 + t1 * x - y
        t0, t1 = t0 - rate * error.mean(), t1 - rate * (error * x).mean()
    return t0, t1


@pytest.fixture(scope="module")
def x():
    return np.array([1.0, 2.0, 3.0, 4.0])


def test_a_thousand_steps_give_the_published_parameters(x):
    t0, t1 = descend(x, 2 * x, 0.01, 1000)
    assert t0 == pytest.approx(0.1363, abs=5e-5)
    assert t1 == pytest.approx(1.9536, abs=5e-5)


def test_running_on_converges_to_the_line(x):
    t0, t1 = descend(x, 2 * x, 0.01, 20_000)
    assert t0 == pytest.approx(0, abs=0.01)
    assert t1 == pytest.approx(2, abs=0.01)


def _trained(card):
    spec = importlib.util.spec_from_file_location("linear", FOLDER / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.build(card)
    module.train(model, datasets.load(card.dataset, 0, {}), card, lambda text: None)
    kernel, bias = model.get_weights()
    return float(bias[0]), float(kernel[0, 0])


@pytest.mark.slow
def test_keras_takes_the_same_steps(x):
    card = load_card(zoo_models()["linear_regression"], "line")
    assert _trained(card) == pytest.approx(descend(x, 2 * x, 0.01, 1000), abs=1e-3)


@pytest.mark.slow
def test_keras_converges_to_the_line():
    card = load_card(FOLDER, "line")
    longer = card.model_copy(update={"training": card.training.model_copy(update={"epochs": 4_000})})
    assert _trained(longer) == pytest.approx((0, 2), abs=0.01)
