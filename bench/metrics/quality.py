"""Task quality and parity from the outputs that the worker wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from bench.quality import METRICS, parity
from bench.record.artifact import Bundle
from bench.record.measurement import Measurement

NO_DATA = "no evaluation data"
_PARITY = ("parity_max_abs", "parity_cosine", "parity_agreement")


def evaluate(outputs: Path, folder: Path, bundle: Bundle) -> dict[str, Measurement]:
    """Figures of one variant from its `outputs` (npz) on the bundle's data.

    `accuracy` holds the model's own metric, whatever its name. Parity compares with the stored outputs of
    the source model on the same inputs.
    """
    arrays = _arrays(outputs)
    return {"accuracy": _task(arrays, folder, bundle)} | _parity(arrays, folder, bundle)


def missing(reason: str) -> dict[str, Measurement]:
    """The same figures where they could not be made."""
    return {name: Measurement.unavailable("1", reason) for name in ("accuracy", *_PARITY)}


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


def _parity(outputs: list[npt.NDArray[np.generic]], folder: Path, bundle: Bundle) -> dict[str, Measurement]:
    if bundle.data.reference is None:
        return {name: Measurement.unavailable("1", "no outputs of the source model") for name in _PARITY}
    try:
        found = parity(outputs, _arrays(folder / bundle.data.reference))
    except ValueError as error:
        return {name: Measurement.unavailable("1", f"outputs cannot be compared: {error}") for name in _PARITY}
    if found.unmatched:
        reason = f"{found.nan} NaN and {found.inf} infinite output values"
        return {name: Measurement.unavailable("1", reason, found.examples) for name in _PARITY}
    values = (found.max_abs, found.cosine, found.argmax_agreement)
    return {
        name: Measurement.unavailable("1", "an output of one unit has no argmax")
        if value is None
        else Measurement(value=value, unit="1", n=found.examples, how="measured:parity-with-source")
        for name, value in zip(_PARITY, values, strict=True)
    }


def _arrays(path: Path) -> list[npt.NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as archive:
        return [archive[str(position)] for position in range(len(archive.files))]
