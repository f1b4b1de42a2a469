"""The usual training: epochs of varied inputs, judged on held-out data, kept as they end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import tensorflow as tf

from bench.errors import UserError
from bench.quality import METRICS
from bench.record.artifact import Epoch
from bench.training.checkpoint import Checkpoint, Progress
from bench.training.losses import given, usual_loss
from bench.training.report import Pace, Report
from bench.zoo.card import ModelCard
from bench.zoo.datasets.base import Array, Dataset, Inputs, Ints, Split

_PREDICT_BATCH = 512


def fit(
    model: Any,
    data: Dataset,
    card: ModelCard,
    kept: Path,
    report: Report,
    *,
    loss: Any | None = None,
    after_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Progress:
    """Train `model` in place; the epochs there were, those of an earlier, killed training included.

    Adam, or AdamW where the card asks for weight decay, with a cosine schedule. The inputs of an epoch, their
    order and nothing else depend on the seed and the number of the epoch, so that a resumed training takes the
    same steps. `kept` is a folder for checkpoints. The held-out metric is told by epoch and chooses nothing.

    Raises:
        UserError: the card and the data do not fit together.
    """
    if card.training is None or data.train is None:
        raise UserError("there is nothing to train on", where=card.label, remedy="choose another data set")
    options = card.training
    rows, resting = _hold_back(len(data.train), card, data.seed)
    _check_inputs(model, data.train, card)
    targets = _targets(data.train, card)
    chosen = loss if loss is not None else usual_loss(model, data.train, card.task)
    if targets is None or chosen is None:
        raise UserError(
            f"the data have no labels for {card.task}", where=card.label, remedy="add loss(card) to model.py"
        )
    steps = options.epochs * -(-len(rows) // options.batch)
    model.compile(optimizer=_optimizer(card, steps), loss=chosen)
    checkpoint = Checkpoint(kept)
    progress = checkpoint.load(model)
    pace = Pace(report, "training", options.epochs, len(progress.epochs), _title(card))
    for number in range(len(progress.epochs) + 1, options.epochs + 1):
        if _waited(progress, card):
            break
        began = time.perf_counter()
        rng = np.random.default_rng([data.seed, number])
        _reseed(model, rng)
        inputs = _varied(data, card, rng)
        order = rows[rng.permutation(len(rows))]
        told = _Steps(pace, number, -(-len(order) // options.batch))
        try:
            seen = model.fit(
                given([array[order] for array in inputs]),
                targets[order],
                batch_size=options.batch,
                shuffle=False,
                verbose=0,
                callbacks=[told],
            ).history
        except (ValueError, tf.errors.OpError) as error:
            said = " ".join(str(error).split())[:200]
            raise UserError(
                f"the training failed: {said}", where=card.label, remedy="compare data and model"
            ) from error
        if not np.isfinite(seen["loss"][0]):
            raise UserError(
                f"the training diverged: the loss of epoch {number} is {seen['loss'][0]}",
                where=card.label,
                remedy="lower learning_rate",
            )
        seconds = time.perf_counter() - began
        epoch = Epoch(
            number=number,
            loss=float(seen["loss"][0]),
            held_out=held_out(model, data.evaluation, card),
            seconds=seconds,
        )
        progress = _next(progress, epoch, _loss_on(model, data.train.inputs, targets, resting))
        checkpoint.save(model, progress)
        pace.epoch(epoch)
        after_epoch(epoch)
    if card.training.early_stopping is not None and progress.best is not None:
        checkpoint.restore(model, progress.best)
    return progress


def held_out(model: Any, evaluation: Split, card: ModelCard) -> float | None:
    """The card's metric on the evaluation data; None where there is none."""
    if card.metric is None or evaluation.labels is None:
        return None
    outputs = model.predict(given(evaluation.inputs), batch_size=_PREDICT_BATCH, verbose=0)
    return METRICS[card.metric](outputs, evaluation.labels).value


def _check_inputs(model: Any, train: Split, card: ModelCard) -> None:
    """Whether the model takes what the data give. Raises `UserError`."""
    takes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    given_shapes = [array.shape[1:] for array in train.inputs]
    fits = len(takes) == len(given_shapes) and all(
        len(want) == len(have) and all(w in (None, h) for w, h in zip(want, have, strict=True))
        for want, have in zip(takes, given_shapes, strict=True)
    )
    if not fits:
        raise UserError(
            f"the model takes inputs of shape {takes}, the data {card.dataset} have {given_shapes}",
            where=card.label,
            remedy="change build(card) or its options, or choose another data set",
        )


def _targets(train: Split, card: ModelCard) -> Array | None:
    """What the model should answer; one-hot labels as class numbers."""
    if card.task == "reconstruction" or train.labels is None:
        return train.inputs[0] if card.task == "reconstruction" else None
    one_hot = card.task == "classification" and train.labels.ndim == 2 and train.labels.shape[1] > 1
    return np.argmax(train.labels, axis=1) if one_hot else train.labels


class _Steps(keras.callbacks.Callback):  # type: ignore[misc]
    """Passes every step on to whoever tells of it."""

    def __init__(self, pace: Pace, epoch: int, steps: int) -> None:
        super().__init__()
        self._pace, self._epoch, self._steps = pace, epoch, steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._pace.step(self._epoch, (batch + 1) / self._steps, logs or {})


def _reseed(model: Any, rng: np.random.Generator) -> None:
    """Dropout draws anew in every epoch; where it stood is not part of saved weights."""
    for variable in model.variables:
        if variable.path.endswith("seed_generator_state"):
            variable.assign(rng.integers(0, 2**31, variable.shape))


def _optimizer(card: ModelCard, steps: int) -> Any:
    options = card.training
    assert options is not None
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    if options.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=options.weight_decay)
    return keras.optimizers.Adam(rate)


def _hold_back(examples: int, card: ModelCard, seed: int) -> tuple[Ints, Ints]:
    """Positions to train on, and those that early stopping watches."""
    stopping = card.training.early_stopping if card.training else None
    order = np.random.default_rng([seed, 0]).permutation(examples)
    held = 0 if stopping is None else min(max(1, round(stopping.share * examples)), examples - 1)
    return np.sort(order[held:]), np.sort(order[:held])


def _varied(data: Dataset, card: ModelCard, rng: np.random.Generator) -> Inputs:
    assert data.train is not None
    # A data set may draw anew even where the card asks for nothing: negatives of a ranking.
    return data.train.inputs if data.vary is None else data.vary(card.augmentation, rng)


def _loss_on(model: Any, inputs: Inputs, targets: Array, resting: Ints) -> float | None:
    if not len(resting):
        return None
    held = given([array[resting] for array in inputs])
    return float(model.evaluate(held, targets[resting], batch_size=_PREDICT_BATCH, verbose=0))


def _next(progress: Progress, epoch: Epoch, watched: float | None) -> Progress:
    better = watched is not None and (progress.best_loss is None or watched < progress.best_loss)
    return msgspec.structs.replace(
        progress,
        epochs=(*progress.epochs, epoch),
        best=epoch.number if better else progress.best,
        best_loss=watched if better else progress.best_loss,
    )


def _waited(progress: Progress, card: ModelCard) -> bool:
    """Whether the watched loss has not fallen for as many epochs as early stopping is patient."""
    stopping = card.training.early_stopping if card.training else None
    if stopping is None or progress.best is None:
        return False
    return len(progress.epochs) - progress.best >= stopping.patience


def _title(card: ModelCard) -> str | None:
    return METRICS[card.metric].title if card.metric else None
