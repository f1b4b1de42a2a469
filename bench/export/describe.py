"""The model and its evaluation data, as the bundle keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from bench.errors import UserError
from bench.export.corrupted import write_corrupted
from bench.export.edges import edge_cases
from bench.export.messages import Described
from bench.export.origin import Array, predict
from bench.files import whole
from bench.quality import METRICS
from bench.record.artifact import STARTS_KEY, STATE_KEY, DataInfo, Edges, ModelInfo
from bench.zoo.card import ModelCard
from bench.zoo.hashing import file_sha256

if TYPE_CHECKING:
    from bench.export.workshop import Material, Workshop

INPUTS = "data/inputs.npz"
LABELS = "data/labels.npy"
REFERENCE = "data/reference.npz"
EDGES = Edges(inputs="data/edges.npz", reference="data/edges-reference.npz", kinds=())


def describe(shop: Workshop) -> Described:
    """Run the source over the evaluation data and write the data files.

    Raises:
        UserError: the source does not run on them.
    """
    material = shop.material
    shop.report(f"reference outputs on {material.name}, {len(material.inputs[0])} examples")
    reference = predict(shop.origin.run, material.inputs, shop.origin.inputs)
    _save(shop.folder / INPUTS, material.inputs, _carried(material))
    _save(shop.folder / REFERENCE, reference)
    written = [INPUTS, REFERENCE]
    if material.labels is not None:
        with whole(shop.folder / LABELS) as temporary:
            np.save(temporary, material.labels, allow_pickle=False)
        written.append(LABELS)
    task, metric = _judged_by(shop, reference)
    corrupted = None
    if material.corrupt is not None and metric is not None and material.labels is not None:
        shop.report("corrupted evaluation inputs")
        corrupted = write_corrupted(material.corrupt, len(material.inputs[0]), shop.seed, shop.folder)
        written.append(corrupted.inputs)
    edges = _edges(shop)
    written += [edges.inputs, edges.reference] if edges is not None else []
    card = shop.card
    floor, about = _floor(card, metric, material)
    model = ModelInfo(
        name=shop.source.name,
        source=shop.source.about,
        source_sha256=shop.source.sha256,
        task=task,
        metric=metric,
        quality_floor=floor,
        floor_about=about,
        agreement_floor=card.agreement_floor if card else None,
        agreement_margin=card.agreement_margin if card else 0.0,
        licence=card.licence if card else None,
        source_quality=_quality(metric, reference, material.labels),
        state=_names(shop),
    )
    data = DataInfo(
        name=material.name,
        examples=len(material.inputs[0]),
        inputs=INPUTS,
        labels=LABELS if material.labels is not None else None,
        reference=REFERENCE,
        generated=material.generated,
        corrupted=corrupted,
        cleaning=material.cleaning,
        preprocessing=material.preprocessing,
        edges=edges,
    )
    return Described(model, data, {name: file_sha256(shop.folder / name) for name in written})


def _edges(shop: Workshop) -> Edges | None:
    """Write edge inputs and what the source answers; None where it answers none."""
    found = edge_cases(shop.origin.run, shop.material.inputs, shop.origin.inputs)
    for what in found.left_out:
        shop.report(f"no edge inputs of the kind {what}")
    if not found.kinds:
        return None
    _save(shop.folder / EDGES.inputs, found.inputs)
    _save(shop.folder / EDGES.reference, found.outputs)
    return replace(EDGES, kinds=found.kinds)


def _floor(card: ModelCard | None, metric: str | None, material: Material) -> tuple[float | None, str | None]:
    """The strictest of the card's floors, and where it comes from.

    Raises:
        UserError: the data have no labels, or no baseline, to hold the model to it.
    """
    if card is None or metric is None:
        return None, None
    baseline = material.baseline
    for key, wanted, there in (
        ("quality_floor", card.quality_floor, material.labels),
        ("over_baseline", card.over_baseline, baseline),
    ):
        if wanted is not None and there is None:
            raise UserError(
                f"{key} cannot be held: the data have no {'labels' if key == 'quality_floor' else 'baseline'}",
                where=card.label,
                remedy=f"add them, or leave {key} out",
            )
    floors = {}
    if card.quality_floor is not None:
        floors[f"quality_floor of {card.label}"] = card.quality_floor
    if card.over_baseline is not None and baseline is not None:
        sign = 1 if METRICS[metric].better == "higher" else -1
        about = f"{baseline.name} {baseline.value:.4f} {'+' if sign > 0 else '-'} {card.over_baseline:g}"
        floors[about] = baseline.value + sign * card.over_baseline
    if not floors:
        return None, None
    pick = max if METRICS[metric].better == "higher" else min
    about = pick(floors, key=lambda name: floors[name])
    return floors[about], about


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
    return METRICS[metric](outputs[0], labels).value


def _names(shop: Workshop) -> tuple[tuple[str, str], ...]:
    """The inputs of the state and the outputs that feed them."""
    inputs, outputs = shop.origin.inputs, shop.origin.outputs
    return tuple((inputs[place].name, outputs[source].name) for place, source in shop.material.state)


def _carried(material: Material) -> dict[str, Array]:
    """What an evaluation has to know to carry the state of a variant itself; nothing for a model without one."""
    if not material.state:
        return {}
    return {STATE_KEY: np.array(material.state, np.int64), STARTS_KEY: np.array(material.starts, np.int64)}


def _save(path: Path, arrays: list[Array] | tuple[Array, ...], more: dict[str, Array] | None = None) -> None:
    named: dict[str, Any] = {str(i): array for i, array in enumerate(arrays)} | (more or {})
    with whole(path) as temporary:
        np.savez(temporary, allow_pickle=False, **named)
