"""What `model.toml` says of a zoo model.

Beside it stands `model.py` with `build(card) -> keras.Model`, `train(model, data, card, report) -> None` and,
where training varies its inputs, `vary(inputs, rng)`: the inputs as one epoch sees them, for fine-tuning.
Only the export process imports it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from bench.errors import UserError, unknown
from bench.suite.validate import load_toml
from bench.zoo.datasets import DATASETS

CARD_FILE = "model.toml"
CODE_FILE = "model.py"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Training(_Strict):
    """How the model is trained. `batch` counts examples."""

    epochs: PositiveInt
    batch: PositiveInt
    learning_rate: PositiveFloat


class Pruning(_Strict):
    """How the pruned variants are fine-tuned. `target` is the share of zeros in every prunable kernel."""

    target: float = Field(default=0.7, gt=0, lt=1)
    epochs: NonNegativeInt = 8
    learning_rate: PositiveFloat = 1e-3


class ModelCard(_Strict):
    """Content of `model.toml`. `metric` is a name of `bench.quality.METRICS`, `dataset` one of `bench.zoo.datasets`."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    title: str
    task: Literal["classification", "regression"]
    metric: str
    quality_floor: float
    dataset: str
    licence: str
    input: str
    training: Training
    pruning: Pruning = Pruning()


def load_card(folder: Path) -> ModelCard:
    """The checked card of the model in `folder`.

    Raises:
        UserError: a file is missing, a key is unknown, missing or wrong, or names something that does not exist.
    """
    path = folder / CARD_FILE
    card = load_toml(path, ModelCard, kind="model card")
    if card.name != folder.name:
        raise UserError(
            f"the model calls itself {card.name!r} but its folder is {folder.name!r}",
            where=f"{path}: name",
            remedy="give both the same name",
        )
    if card.dataset not in DATASETS:
        raise unknown("data set", card.dataset, DATASETS, where=f"{path}: dataset")
    if not (folder / CODE_FILE).is_file():
        raise UserError(
            f"the model has no {CODE_FILE}", where=str(folder), remedy=f"add {CODE_FILE} with build(card) and train(…)"
        )
    return card
