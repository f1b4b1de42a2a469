"""The model and its evaluation data, as the bundle keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.export.messages import Described
from bench.export.origin import Array, predict
from bench.files import whole
from bench.record.artifact import DataInfo, ModelInfo
from bench.zoo.find import file_sha256

if TYPE_CHECKING:
    from bench.export.workshop import Workshop

INPUTS = "data/inputs.npz"
LABELS = "data/labels.npy"
REFERENCE = "data/reference.npz"
TRAINED = "trained/model.keras"


def describe(shop: Workshop) -> Described:
    """Run the source over the evaluation data and write the data files.

    Raises:
        UserError: the source does not run on them.
    """
    material = shop.material
    shop.report(f"reference outputs on {material.name}, {len(material.inputs[0])} examples")
    reference = predict(shop.origin.run, material.inputs, shop.origin.inputs)
    _save(shop.folder / INPUTS, material.inputs)
    _save(shop.folder / REFERENCE, reference)
    written = [INPUTS, REFERENCE]
    if material.labels is not None:
        with whole(shop.folder / LABELS) as temporary:
            np.save(temporary, material.labels, allow_pickle=False)
        written.append(LABELS)
    if (shop.folder / TRAINED).is_file():
        written.append(TRAINED)
    task, metric = _judged_by(shop, reference)
    card = shop.card
    model = ModelInfo(
        name=shop.source.name,
        source=shop.source.about,
        source_sha256=shop.source.sha256,
        task=task,
        metric=metric,
        quality_floor=card.quality_floor if card else None,
        licence=card.licence if card else None,
        source_quality=_quality(metric, reference, material.labels),
    )
    data = DataInfo(
        name=material.name,
        examples=len(material.inputs[0]),
        inputs=INPUTS,
        labels=LABELS if material.labels is not None else None,
        reference=REFERENCE,
        generated=material.generated,
    )
    return Described(model, data, {name: file_sha256(shop.folder / name) for name in written})


def _judged_by(shop: Workshop, reference: list[Array]) -> tuple[str | None, str | None]:
    """Task and metric: the card's, or what a user's labels and outputs allow; None where they do not fit."""
    if shop.card is not None:
        return shop.card.task, shop.card.metric
    labels = shop.material.labels
    if labels is None:
        return None, None
    output = reference[0]
    if labels.ndim == 1 and labels.dtype.kind in "iu" and output.ndim == 2 and output.shape[1] > 1:
        return "classification", "accuracy"
    if labels.dtype.kind == "f" and labels.size == output.size:
        return "regression", "r2"
    return None, None


def _quality(metric: str | None, outputs: list[Array], labels: Array | None) -> float | None:
    if metric is None or labels is None:
        return None
    from bench.quality import METRICS

    return METRICS[metric](outputs[0], labels).value


def _save(path: Path, arrays: list[Array] | tuple[Array, ...]) -> None:
    by_position: dict[str, Any] = {str(i): array for i, array in enumerate(arrays)}
    with whole(path) as temporary:
        np.savez(temporary, **by_position)
