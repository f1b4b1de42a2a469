"""Task quality, calibration and parity from the outputs that the worker wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from bench.metrics import robustness
from bench.metrics.robustness import Outputs
from bench.quality import METRICS, Parity, QualityMetric, bound_for, calibration_error, clear_agreement, parity
from bench.quality.metric import Scored
from bench.record.artifact import Bundle
from bench.record.measurement import Measurement
from bench.record.observation import Robustness

NOT_ASKED = "no evaluation was asked for"
NO_DATA = "no evaluation data"
NO_LABELS = "the evaluation data have no labels"
_NO_CHOICE = "the outputs choose nothing among several units"
NO_METRIC = "the model states no metric"
_PRECISION = {"fp32": "fp32", "fp16": "fp16", "int8": "int8", "int8-dynamic": "int8"}
"""A pruned model is another function on purpose, and a given file of unknown precision has no bound."""
_TASK = ("accuracy", *robustness.FIGURES, "calibration_error")
_PARITY = ("parity_max_abs", "parity_cosine", "parity_agreement", "clear_agreement")

Array = npt.NDArray[np.generic]
Figures = dict[str, Measurement]


class Evaluation(msgspec.Struct, frozen=True):
    """Figures by metric name, the curves behind them, and what a reader of them has to know."""

    figures: Figures
    under_corruption: Robustness | None = None
    warnings: tuple[str, ...] = ()


def evaluate(outputs: Path, corrupted: Outputs, folder: Path, bundle: Bundle, variant: str) -> Evaluation:
    """Figures of one variant from its `outputs` (npz) on the bundle's data, and from those on corrupted inputs.

    `accuracy` holds the model's own metric, whatever its name. Parity compares with the stored outputs of
    the source model on the same inputs, and warns where they differ by more than the precision explains.
    """
    arrays = robustness.read_arrays(outputs)
    figures, curves = _task(arrays[0], corrupted, folder, bundle)
    if bundle.data.reference is None:
        return Evaluation(figures | _absent(_PARITY, "no outputs of the source model"), curves)
    try:
        reference = robustness.read_arrays(folder / bundle.data.reference)
        found = parity(arrays, reference)
        clear = clear_agreement(arrays[0], reference[0], bundle.model.agreement_margin)
    except ValueError as error:
        return Evaluation(figures | _absent(_PARITY, f"outputs cannot be compared: {error}"), curves)
    return Evaluation(figures | _parity(found, clear), curves, _beyond(found, variant))


def missing(reason: str) -> Figures:
    """The same figures where they could not be made."""
    return _absent((*_TASK, *_PARITY), reason)


def _task(clean: Array, corrupted: Outputs, folder: Path, bundle: Bundle) -> tuple[Figures, Robustness | None]:
    """What needs labels and the model's own metric."""
    if bundle.data.labels is None:
        return _absent(_TASK, NO_DATA if bundle.data.generated else NO_LABELS), None
    if bundle.model.metric is None:
        return _absent(_TASK, NO_METRIC), None
    metric = METRICS[bundle.model.metric]
    labels = np.load(folder / bundle.data.labels, allow_pickle=False)
    figures = {
        "accuracy": _score(lambda: metric.scored(clean, labels)),
        "calibration_error": _calibration(metric, clean, labels),
    }
    of_corrupted, curves = robustness.figures(metric, clean, labels, corrupted, bundle.data.corrupted)
    return figures | of_corrupted, curves


def _calibration(metric: QualityMetric, outputs: Array, labels: Array) -> Measurement:
    if metric.judges != "classes":
        return Measurement.unavailable("1", f"{metric.title} does not judge classes, which confidence is about")
    return _score(lambda: calibration_error(outputs, labels))


def _score(scored: Callable[[], Scored | Measurement]) -> Measurement:
    """The figure, or the reason why these outputs and labels have none."""
    try:
        found = scored()
    except UserError as error:
        return Measurement.unavailable("1", str(error).replace("\n", ";"))
    return found if isinstance(found, Measurement) else found.measurement()


def _parity(found: Parity, clear: tuple[float, int] | None) -> Figures:
    if found.unmatched:
        return _absent(_PARITY, f"{found.nan} NaN and {found.inf} infinite output values", found.examples)
    share, decided = clear or (None, 0)
    values = (found.max_abs, found.cosine, found.argmax_agreement, share)
    counts = (*[found.examples] * 3, decided)
    return {
        name: Measurement.unavailable("1", _NO_CHOICE)
        if value is None
        else Measurement(value=value, unit="1", n=count, how="measured:parity-with-source")
        for name, value, count in zip(_PARITY, values, counts, strict=True)
    }


def _beyond(found: Parity, variant: str) -> tuple[str, ...]:
    """The warning for outputs that the variant's precision does not explain."""
    precision = _PRECISION.get(variant)
    if precision is None or found.within(bound_for(precision)):
        return ()
    bound = bound_for(precision).max_relative
    cosine = "" if found.cosine is None else f" (smallest cosine {found.cosine:.4f})"
    return (
        f"outputs differ from the source model's by up to {found.max_relative:.2g} of their range{cosine}, which is "
        f"more than {precision} explains ({bound:g})",
    )


def _absent(names: Sequence[str], reason: str, n: int = 0) -> Figures:
    return {name: Measurement.unavailable("1", reason, n) for name in names}
