"""What a quality metric is, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from bench.record.measurement import Measurement
from bench.stats.checks import Floats

HOW = "measured:evaluation"
CONFIDENCE = 0.95
Array = npt.NDArray[np.generic]
Score = Callable[[Floats, Array], Measurement]


class QualityMetric(msgspec.Struct, frozen=True):
    """A metric by name. Call it with outputs and labels.

    `better` says which direction is an improvement.
    """

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    about: str
    score: Score

    def __call__(self, outputs: npt.ArrayLike, labels: npt.ArrayLike) -> Measurement:
        """Score `outputs` (N, ...) against `labels` (N, ...), with a 95 % interval over the N examples.

        Raises:
            UserError: there is no example, the counts differ, or the shapes do not suit the metric.
        """
        out = np.asarray(outputs, dtype=np.float64)
        told = np.asarray(labels)
        if out.ndim == 0 or told.ndim == 0 or out.shape[0] == 0:
            raise UserError(f"{self.name} needs at least one example", where=_shapes(out, told))
        if out.shape[0] != told.shape[0]:
            raise UserError(
                f"{self.name} needs one label an example, found {out.shape[0]} outputs and {told.shape[0]} labels",
                where=_shapes(out, told),
                remedy="give labels whose first axis is as long as that of the inputs",
            )
        return self.score(out, told)


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


def _shapes(outputs: Array, labels: Array) -> str:
    return f"outputs of shape {outputs.shape}, labels of shape {labels.shape}"
