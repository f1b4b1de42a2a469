"""Task quality, calibration and parity from the outputs that the worker wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import UserError
from bench.metrics import parity, robustness
from bench.metrics.parity import NO_EDGES
from bench.metrics.robustness import Outputs
from bench.quality import METRICS, Parity, QualityMetric, calibration_error
from bench.quality.metric import Scored
from bench.record.artifact import Artifact, Bundle
from bench.record.measurement import Measurement
from bench.record.observation import Robustness

NOT_ASKED = "no evaluation was asked for"
NO_DATA = "no evaluation data"
NO_LABELS = "the evaluation data have no labels"
NO_METRIC = "the model states no metric"
_TASK = ("accuracy", *robustness.FIGURES, "calibration_error")

Array = npt.NDArray[np.generic]
Figures = dict[str, Measurement]


class Evaluation(msgspec.Struct, frozen=True):
    """Figures by metric name, the curves behind them, and what a reader of them has to know.

    `parity` compares each output by name with the source's, `edges` all outputs on each kind of edge input.
    """

    figures: Figures
    under_corruption: Robustness | None = None
    warnings: tuple[str, ...] = ()
    parity: dict[str, Parity] = {}
    edges: dict[str, Parity] = {}


def evaluate(
    outputs: Path,
    corrupted: Outputs,
    folder: Path,
    bundle: Bundle,
    artifact: Artifact | None,
    edges: Outputs = NO_EDGES,
) -> Evaluation:
    """Figures of one artifact from its `outputs` (npz) on the bundle's data, and on corrupted and edge inputs.

    `accuracy` holds the model's own metric, whatever its name. Parity compares with the stored outputs of
    the source model on the same inputs, and warns where they differ by more than the precision explains.
    """
    arrays = robustness.read_arrays(outputs)
    figures, curves = _task(arrays[0], corrupted, folder, bundle)
    compared = parity.compare(arrays, edges, folder, bundle, artifact)
    return Evaluation(figures | compared.figures, curves, compared.warnings, compared.outputs, compared.edges)


def missing(reason: str) -> Figures:
    """The same figures where they could not be made."""
    return _absent(_TASK, reason) | parity.absent(reason)


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


def _absent(names: Sequence[str], reason: str) -> Figures:
    return {name: Measurement.unavailable("1", reason) for name in names}
