"""The loss that fits a task, its labels and what the untrained model gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.training.losses import usual_loss
from bench.zoo.datasets.base import Split

CLASSES = np.array([0, 1, 2, 1])
REAL = np.array([[0.5], [1.5], [-1.0], [0.0]], np.float32)


def model(units: int, activation: str | None = None, outputs: int = 1) -> Any:
    import keras

    x = keras.Input((3,))
    last = [keras.layers.Dense(units, activation=activation, bias_initializer="ones")(x) for _ in range(outputs)]
    return keras.Model(x, last if outputs > 1 else last[0])


def chosen(of: Any, task: str | None, labels: np.ndarray | None) -> Any:
    # Inputs so large that what is not bounded leaves 0..1.
    x = np.linspace(-9, 9, 12, dtype=np.float32).reshape(4, 3)
    found = usual_loss(of, Split((x,), labels), task)
    if found is None or isinstance(found, str):
        return found
    return type(found).__name__, found.get_config()["from_logits"]


@pytest.mark.parametrize(
    ("units", "activation", "task", "labels", "loss"),
    [
        (3, "softmax", "classification", CLASSES, ("SparseCategoricalCrossentropy", False)),
        (3, None, "classification", CLASSES, ("SparseCategoricalCrossentropy", True)),
        # Each within 0..1, but no distribution.
        (3, "sigmoid", "classification", CLASSES, ("SparseCategoricalCrossentropy", True)),
        (1, "sigmoid", "classification", CLASSES % 2, ("BinaryCrossentropy", False)),
        (1, None, "classification", CLASSES % 2, ("BinaryCrossentropy", True)),
        (3, "softmax", "ranking", CLASSES, ("SparseCategoricalCrossentropy", True)),
        (1, None, "regression", REAL, "mse"),
        (3, None, "reconstruction", None, "mse"),
        (3, None, "classification", None, None),
        # Nobody says what the task is.
        (3, "softmax", None, CLASSES, ("SparseCategoricalCrossentropy", False)),
        (1, None, None, REAL, "mse"),
        (1, None, None, CLASSES, None),
        (3, None, None, None, None),
    ],
)
def test_task_labels_and_outputs_choose_it(
    units: int, activation: str | None, task: str | None, labels: np.ndarray | None, loss: object
) -> None:
    assert chosen(model(units, activation), task, labels) == loss


def test_of_two_outputs_nobody_knows_which_the_labels_are_for() -> None:
    assert chosen(model(3, outputs=2), None, CLASSES) is None
    assert chosen(model(3, outputs=2), None, REAL) is None
