"""Training that mends a model after something was taken from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.export.errors import CannotMake
from bench.training.losses import given, usual_loss
from bench.training.report import Report
from bench.zoo.card import Pruning
from bench.zoo.datasets.base import Inputs, Split

VaryOnce = Callable[[np.random.Generator], Inputs]
"""The training inputs as one epoch sees them."""

_BATCH = 32


def steps_in(train: Split, epochs: int) -> int:
    """How many steps `fine_tune` makes."""
    return epochs * -(-len(train) // _BATCH)


def fine_tune(
    model: Any,
    train: Split,
    options: Pruning,
    report: Report,
    *,
    task: str | None = None,
    loss: Any = None,
    vary: VaryOnce | None = None,
    seed: int = 0,
    callbacks: Sequence[Any] = (),
    state: Callable[[], str] | None = None,
) -> None:
    """Train for `options.epochs` with Adam, its rate falling by a cosine from `options.learning_rate`, in place.

    `task` is that of a model card, `loss` its own or that of a compiled model (see `_loss`). `vary` gives the
    inputs of each epoch, as in training. `state` is told with every epoch.

    Raises:
        CannotMake: no loss is known for the training data.
    """
    import keras

    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps_in(train, options.epochs))
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=_loss(model, train, task, loss))
    targets = train.inputs[0] if task == "reconstruction" else train.labels
    rng = np.random.default_rng(seed)
    for epoch in range(options.epochs):
        inputs = given(train.inputs if vary is None else vary(rng))
        seen = model.fit(inputs, targets, batch_size=_BATCH, verbose=0, callbacks=list(callbacks)).history
        text = f"fine-tuning epoch {epoch + 1}/{options.epochs}, loss {seen['loss'][0]:.4f}"
        report(text if state is None else f"{text}, {state()}", (epoch + 1) / options.epochs)


def _loss(model: Any, train: Split, task: str | None, given: Any) -> Any:
    """A zoo model's own loss or the usual one of its task. Of a user's model: what class numbers ask for, else
    the loss that it was compiled with (which may want one-hot labels), else what the labels allow.
    """
    classes = train.labels is not None and train.labels.ndim == 1 and train.labels.dtype.kind in "iu"
    loss = given if given is not None and not (task is None and classes) else usual_loss(model, train, task)
    if loss is None and given is None:
        raise CannotMake("fine-tuning needs a loss: compile the model before it is saved")
    return given if loss is None else loss
