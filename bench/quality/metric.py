"""What a quality metric is, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from bench.record.measurement import Measurement
from bench.stats.checks import Floats
from bench.stats.proportion import wilson
from bench.stats.resample import Statistic, weighted_bootstrap

HOW = "measured:evaluation"
CONFIDENCE = 0.95
Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Scored:
    """What outputs score, as a function of how much each of the `n` examples counts.

    `right` is set where every example is one decision, right or wrong: how many are right.
    """

    n: int
    statistic: Statistic
    right: int | None = None

    def measurement(self, how: str = HOW) -> Measurement:
        """The score of all examples: Wilson's interval where each is one decision, else bootstrap over examples."""
        if self.right is not None:
            return wilson(self.right, self.n, CONFIDENCE).measurement("1", how)
        return weighted_bootstrap(self.n, self.statistic, confidence=CONFIDENCE).measurement("1", how)


Score = Callable[[Floats, Array], Scored | Measurement]
"""From outputs and labels to the score, or to the missing figure with its reason."""


class QualityMetric(msgspec.Struct, frozen=True):
    """A metric by name. Call it with outputs and labels.

    `better` says which direction is an improvement, `judges` what an output is: a choice among classes,
    values to come close to, or a ranking of candidates.
    """

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    judges: Literal["classes", "values", "ranking"]
    about: str
    score: Score

    def __call__(self, outputs: npt.ArrayLike, labels: npt.ArrayLike) -> Measurement:
        """Score `outputs` (N, ...) against `labels` (N, ...), with a 95 % interval over the N examples.

        Raises:
            UserError: there is no example, the counts differ, or the shapes do not suit the metric.
        """
        found = self.scored(outputs, labels)
        return found if isinstance(found, Measurement) else found.measurement()

    def scored(self, outputs: npt.ArrayLike, labels: npt.ArrayLike) -> Scored | Measurement:
        """The same score before its interval is made; raises as a call does."""
        out, told = checked(self.name, outputs, labels)
        return self.score(out, told)

    def worse(self, value: float, than: float) -> bool:
        """Whether `value` is worse than `than`."""
        return value < than if self.better == "higher" else value > than


def checked(name: str, outputs: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Array]:
    """Outputs as floats, and labels, as many as there are examples. Raises `UserError` where there are not."""
    out = np.asarray(outputs, dtype=np.float64)
    told = np.asarray(labels)
    if out.ndim == 0 or told.ndim == 0 or out.shape[0] == 0:
        raise UserError(f"{name} needs at least one example", where=_shapes(out, told))
    if out.shape[0] != told.shape[0]:
        raise UserError(
            f"{name} needs one label an example, found {out.shape[0]} outputs and {told.shape[0]} labels",
            where=_shapes(out, told),
            remedy="give labels whose first axis is as long as that of the inputs",
        )
    return out, told


def mean_over_examples(values: Floats) -> Scored:
    """The mean of one value an example, (N,); values of 0 and 1 only are decisions."""
    n = values.size
    decisions = bool(np.isin(values, (0.0, 1.0)).all())
    return Scored(n, lambda w: w @ values / n, right=int(values.sum()) if decisions else None)


def misfit(metric: str, outputs: Array, labels: Array, expected: str) -> UserError:
    """The error for shapes that do not suit `metric`."""
    return UserError(
        f"{metric} cannot score these shapes",
        where=_shapes(outputs, labels),
        remedy=f"expected {expected}; or choose another metric in model.toml",
    )


def not_finite(unit: str, values: Floats) -> Measurement | None:
    """The missing figure where some of `values` are NaN or infinite; None where all are finite."""
    bad = int(values.size - np.isfinite(values).sum())
    if not bad:
        return None
    return Measurement.unavailable(unit, f"{bad} of {values.size} output values are not finite", len(values))


def class_numbers(metric: str, outputs: Floats, labels: Array) -> npt.NDArray[np.int64]:
    """Labels as class numbers: one-hot rows become the place of their 1, a trailing axis of 1 goes.

    Raises:
        UserError: the labels are not whole numbers.
    """
    if labels.dtype.kind not in "biuf":
        raise misfit(metric, outputs, labels, f"labels that are numbers, not {labels.dtype}")
    if outputs.ndim > 1 and labels.shape == outputs.shape and outputs.shape[-1] > 1:
        return np.asarray(np.argmax(labels, axis=-1), dtype=np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    whole: npt.NDArray[np.int64] = labels.astype(np.int64)
    if not np.array_equal(whole, labels):
        raise misfit(metric, outputs, labels, "labels that are whole class numbers")
    return whole


def _shapes(outputs: Array, labels: Array) -> str:
    return f"outputs of shape {outputs.shape}, labels of shape {labels.shape}"
