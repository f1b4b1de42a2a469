"""Zoo models: trained here, or brought by a file of weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from bench.export.keras_origin import KerasOrigin, Tuning, load_user_model
from bench.export.messages import Request
from bench.export.program import model_inputs
from bench.training.code import ModelCode
from bench.training.follow import Follower
from bench.training.report import Report
from bench.training.trained import trained_model
from bench.zoo.card import ModelCard
from bench.zoo.datasets.base import Dataset
from bench.zoo.ingredients import load_data
from bench.zoo.weights import weights_path


def open_zoo(request: Request, card: ModelCard, report: Report, follower: Follower) -> tuple[KerasOrigin, Dataset]:
    """The model and its data; trained where `request.trained` does not hold it yet.

    Raises:
        UserError: `model.py`, its data or its ready weights cannot be used.
    """
    folder = Path(request.source.path)
    files = {name: Path(place) for name, place in request.ingredients.items()}
    kept = Path(request.trained or request.folder)
    code = ModelCode(folder)
    report(f"reading {card.dataset}")
    data = load_data(folder, card, request.seed, files, lambda: model_inputs(code.build(card)))
    again: partial[Any]
    if card.weights is not None:
        again = partial(load_user_model, files[weights_path(card.weights)])
    else:
        again = partial(trained_model, code, card, data, kept, report, follower)
    vary = None if data.vary is None else partial(data.vary, card.augmentation)
    tuning = Tuning(card.pruning, again, lambda: code.loss(card), vary, card.task, kept, request.seed, report)
    return KerasOrigin(again(), data.train, tuning), data
