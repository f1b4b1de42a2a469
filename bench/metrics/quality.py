"""Task quality and parity from the outputs that the worker wrote."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from bench.quality import METRICS, Parity, bound_for, parity
from bench.record.artifact import Bundle
from bench.record.measurement import Measurement

NO_DATA = "no evaluation data"
_PRECISION = {"fp32": "fp32", "fp16": "fp16", "int8": "int8", "int8-dynamic": "int8"}
"""A pruned model is another function on purpose, and a given file of unknown precision has no bound."""
_PARITY = ("parity_max_abs", "parity_cosine", "parity_agreement")


class Evaluation(msgspec.Struct, frozen=True):
    """Figures by metric name, and what a reader of them has to know."""

    figures: dict[str, Measurement]
    warnings: tuple[str, ...] = ()


def evaluate(outputs: Path, folder: Path, bundle: Bundle, variant: str) -> Evaluation:
    """Figures of one variant from its `outputs` (npz) on the bundle's data.

    `accuracy` holds the model's own metric, whatever its name. Parity compares with the stored outputs of
    the source model on the same inputs, and warns where they differ by more than the precision explains.
    """
    arrays = _arrays(outputs)
    figures = {"accuracy": _task(arrays, folder, bundle)}
    if bundle.data.reference is None:
        return Evaluation(figures | _absent("no outputs of the source model"))
    try:
        found = parity(arrays, _arrays(folder / bundle.data.reference))
    except ValueError as error:
        return Evaluation(figures | _absent(f"outputs cannot be compared: {error}"))
    return Evaluation(figures | _parity(found), _beyond(found, variant))


def missing(reason: str) -> dict[str, Measurement]:
    """The same figures where they could not be made."""
    return {"accuracy": Measurement.unavailable("1", reason)} | _absent(reason)


def _task(outputs: list[npt.NDArray[np.generic]], folder: Path, bundle: Bundle) -> Measurement:
    metric = bundle.model.metric
    if bundle.data.labels is None:
        return Measurement.unavailable("1", NO_DATA)
    if metric is None:
        return Measurement.unavailable("1", "the model states no metric")
    labels = np.load(folder / bundle.data.labels, allow_pickle=False)
    try:
        return METRICS[metric](outputs[0], labels)
    except UserError as error:
        return Measurement.unavailable("1", str(error).replace("\n", ";"))


def _parity(found: Parity) -> dict[str, Measurement]:
    if found.unmatched:
        return _absent(f"{found.nan} NaN and {found.inf} infinite output values", found.examples)
    values = (found.max_abs, found.cosine, found.argmax_agreement)
    return {
        name: Measurement.unavailable("1", "an output of one unit has no argmax")
        if value is None
        else Measurement(value=value, unit="1", n=found.examples, how="measured:parity-with-source")
        for name, value in zip(_PARITY, values, strict=True)
    }


def _beyond(found: Parity, variant: str) -> tuple[str, ...]:
    """The warning for outputs that the variant's precision does not explain."""
    precision = _PRECISION.get(variant)
    if precision is None or found.within(bound_for(precision)):
        return ()
    bound = bound_for(precision).max_relative
    return (
        f"outputs differ from the source model's by up to {found.max_relative:.2g} of their range (smallest cosine "
        f"{found.cosine:.4f}), which is more than {precision} explains ({bound:g})",
    )


def _absent(reason: str, n: int = 0) -> dict[str, Measurement]:
    return {name: Measurement.unavailable("1", reason, n) for name in _PARITY}


def _arrays(path: Path) -> list[npt.NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as archive:
        return [archive[str(position)] for position in range(len(archive.files))]
