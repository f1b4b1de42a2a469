"""Which loss a model is trained with, where nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.zoo.datasets.base import Array, Split


def usual_loss(model: Any, train: Split, task: str | None) -> Any | None:
    """The usual loss of `task`, or what labels and outputs allow where it is None; None where they say nothing.

    Classes: sparse cross-entropy, of logits unless the untrained outputs are probabilities already; one unit:
    binary cross-entropy. A ranking is a choice among its candidates, by logits. Else the mean squared error.
    """
    import keras

    labels = train.labels
    if task == "reconstruction":
        return "mse"
    if labels is None:
        return None
    one_output = len(model.outputs) == 1
    units = model.outputs[0].shape[-1]
    if task == "ranking":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    numbers = labels.ndim == 1 and labels.dtype.kind in "iu"
    if task == "classification" and units == 1:
        return keras.losses.BinaryCrossentropy(from_logits=not _within(_first(model, train), 0, 1))
    if task == "classification" or (task is None and numbers and one_output and units not in (None, 1)):
        first = _first(model, train)
        probabilities = _within(first, 0, 1) and bool(np.allclose(np.sum(first, axis=-1), 1, atol=1e-3))
        return keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)
    return "mse" if task == "regression" or (one_output and labels.dtype.kind == "f") else None


def given(inputs: Sequence[Array]) -> Any:
    """The inputs as Keras takes them: a list, or the one array there is."""
    return list(inputs) if len(inputs) > 1 else inputs[0]


def _first(model: Any, train: Split) -> Array:
    return np.asarray(model.predict(given([array[:32] for array in train.inputs]), verbose=0))


def _within(values: Array, low: float, high: float) -> bool:
    return bool(np.all(values >= low) and np.all(values <= high))
