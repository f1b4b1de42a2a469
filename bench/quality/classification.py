"""Accuracy, macro F1 and area under the ROC curve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.quality.metric import Array, Scored, class_numbers, mean_over_examples, misfit, not_finite
from bench.record.measurement import Measurement
from bench.stats.checks import Floats, Ints
from bench.stats.resample import Statistic

_NO_CLASS = -1  # the decision of an output that is not finite: always wrong
_THRESHOLD = 0.5


def accuracy(outputs: Floats, labels: Array) -> Scored:
    """The share of right decisions: argmax over the last axis, or output > 0.5 for a single unit.

    `outputs` (N, C) or (N, 1) or (N,) with `labels` (N,) of class numbers, (N, 1), or one-hot (N, C).
    More than one decision an example (N, T, C): its share of right ones counts, since the decisions within
    one are not independent. An output that is not finite counts as wrong.
    """
    decided, true = decisions("accuracy", outputs, labels)
    right = (decided == true).reshape(decided.shape[0], -1)
    scored = mean_over_examples(right.mean(axis=1))
    # Examples of several decisions that happen to be all right or all wrong are still no single decisions.
    return scored if right.shape[1] == 1 else Scored(scored.n, scored.statistic)


def macro_f1(outputs: Floats, labels: Array) -> Scored:
    """The unweighted mean over classes of F1 = 2 TP / (2 TP + FP + FN).

    Shapes as `accuracy`. Classes are those that occur among labels or decisions, as in scikit-learn.
    """
    decided, true = decisions("macro_f1", outputs, labels)
    n = decided.shape[0]
    decided, true = decided.reshape(n, -1), true.reshape(n, -1)
    classes = np.union1d(decided, true)
    classes = classes[classes != _NO_CLASS]
    hits, claims, truths = (
        np.stack([part.sum(axis=1) for part in parts], axis=1).astype(np.float64)
        for parts in (
            [(decided == c) & (true == c) for c in classes],
            [decided == c for c in classes],
            [true == c for c in classes],
        )
    )

    # Side by side: one product instead of three.
    counts = np.concatenate([2 * hits, claims + truths], axis=1)

    def statistic(w: Floats) -> Floats:
        twice, asked = np.split(w @ counts, 2, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = np.where(asked > 0, twice / asked, np.nan)  # absent from the resample: no F1
        found: Floats = np.nanmean(f1, axis=1)
        return found

    return Scored(n, statistic)


def auc(outputs: Floats, labels: Array) -> Scored | Measurement:
    """The chance that a positive example scores above a negative one, ties one half.

    The Mann-Whitney form of the area under the ROC curve (Hanley & McNeil 1982). `outputs` (N,) or (N, 1)
    are scores of the positive class with `labels` of 0 and 1. (N, C): the mean over the classes that
    have both kinds of examples, each against the rest; for two classes that is the score of class 1.
    """
    scores = outputs.reshape(outputs.shape[0], -1) if outputs.ndim == 1 else outputs
    if scores.ndim != 2:
        raise misfit("auc", outputs, labels, "outputs (N,), (N, 1) or (N, classes)")
    if bad := not_finite("1", scores):
        return bad
    n, units = scores.shape
    true = class_numbers("auc", scores, labels)
    if true.shape != (n,):
        raise misfit("auc", outputs, labels, "one label an example")
    columns = range(units) if units > 2 else (units - 1,)
    parts = [_auc_of_weights(scores[:, c], true == (c if units > 1 else 1)) for c in columns if _both(true, c, units)]
    if not parts:
        return Measurement.unavailable("1", "the labels hold one class only", n)
    return Scored(n, lambda w: np.mean([part(w) for part in parts], axis=0))


def _both(true: Ints, column: int, units: int) -> bool:
    positive = true == (column if units > 1 else 1)
    return bool(positive.any() and not positive.all())


def _auc_of_weights(scores: Floats, positive: npt.NDArray[np.bool_]) -> Statistic:
    """The AUC of `scores` as a function of weights (R, N); sorts once for all of them."""
    order = np.argsort(scores, kind="stable")
    in_order = scores[order]
    ties = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
    is_positive = positive[order].astype(np.float64)

    def statistic(w: Floats) -> Floats:
        sorted_w = w[:, order]
        up = np.add.reduceat(sorted_w * is_positive, ties, axis=1)
        down = np.add.reduceat(sorted_w * (1 - is_positive), ties, axis=1)
        below = np.cumsum(down, axis=1) - down / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            area: Floats = (up * below).sum(axis=1) / (up.sum(axis=1) * down.sum(axis=1))
        return area

    return statistic


def decisions(metric: str, outputs: Floats, labels: Array) -> tuple[Ints, Ints]:
    """Decided and true classes, of one shape (N, ...)."""
    units = outputs.shape[-1] if outputs.ndim > 1 else 1
    if units == 1:
        single = outputs[..., 0] if outputs.ndim > 1 else outputs
        decided = np.where(np.isfinite(single), single > _THRESHOLD, _NO_CLASS).astype(np.int64)
    else:
        sound = np.isfinite(outputs).all(axis=-1)
        decided = np.where(sound, np.argmax(outputs, axis=-1), _NO_CLASS).astype(np.int64)
    true = class_numbers(metric, outputs, labels)
    if true.shape != decided.shape:
        raise misfit(metric, outputs, labels, "labels (N,) of class numbers, or one-hot like the outputs")
    return decided, true
