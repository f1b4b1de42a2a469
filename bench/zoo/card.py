"""What `model.toml` says of a zoo model.

Beside it stands `model.py` with `build(card) -> keras.Model`; with `loss(card)` where the task's usual loss
does not fit, and with `train(model, data, card, report)` where the usual training does not. Only the
export process imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from bench.errors import UserError, unknown
from bench.quality import METRICS
from bench.suite.tune import Values
from bench.suite.validate import load_toml, validate
from bench.zoo.augment.options import Augmentation
from bench.zoo.datasets import AUGMENTATIONS, DATASETS
from bench.zoo.weights import WEIGHTS

CARD_FILE = "model.toml"
CODE_FILE = "model.py"
DATA_FILE = "data.py"
OWN_DATA = (DATA_FILE, ".npz")
"""How a model names data of its own, which lie in its folder."""

Option = str | int | float | bool


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EarlyStopping(_Strict):
    """End when the loss on a `share` of the training data, held back for this, did not fall for `patience` epochs.

    The weights of the best epoch are kept. Evaluation data have no part in it.
    """

    patience: PositiveInt = 5
    share: float = Field(default=0.1, gt=0, lt=1)


class Training(_Strict):
    """How the model is trained. `batch` counts examples; `dropout` is for the model's own `build` to use."""

    epochs: PositiveInt
    batch: PositiveInt
    learning_rate: PositiveFloat
    dropout: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    early_stopping: EarlyStopping | None = None


class Pruning(_Strict):
    """How the pruned variants are fine-tuned. `target` is the share of zeros in every prunable kernel."""

    target: float = Field(default=0.7, gt=0, lt=1)
    epochs: NonNegativeInt = 8
    learning_rate: PositiveFloat = 1e-3


class Hyper(Values):
    """A hyper-parameter that `bench tune` may choose: of `[training]`, or else of `[options]`, by its name.

    `default` is what `model.py` takes where neither table has it.
    """

    default: Option | None = None


Floor = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Margin = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Judged(_Strict):
    """Data and floors: of the whole card, or of one of its settings."""

    dataset: str
    weights: str | None = Field(default=None, description="a ready file instead of training, see bench.zoo.weights")
    quality_floor: Floor | None = None
    over_baseline: PositiveFloat | None = Field(default=None, description="floor: so much over the data's baseline")
    agreement_floor: Share | None = None
    agreement_margin: Margin = Field(
        default=0.0, description="the agreement floor is for examples that the source decides by so much"
    )


class Setting(_Judged):
    """The model on one data set. Its tables replace single keys of the card's own."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    options: dict[str, Option] = {}
    training: dict[str, Any] = {}
    augmentation: dict[str, Any] = {}
    pruning: dict[str, Any] = {}


class _Described(_Strict):
    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    title: str
    task: Literal["classification", "regression", "ranking", "reconstruction"]
    metric: str | None = None
    licence: str
    input: str
    options: dict[str, Option] = {}
    training: Training | None = None
    augmentation: Augmentation = Augmentation()
    pruning: Pruning = Pruning()
    tune: dict[str, Hyper] = {}


class ModelCard(_Described, _Judged):
    """A card with one of its settings in force.

    `metric` is a name of `bench.quality.METRICS`; `dataset` one of `bench.zoo.datasets`, or a file in the
    model's folder. `setting` is None where the card has no list of settings.
    """

    setting: str | None = None

    @property
    def label(self) -> str:
        """The model's name with its setting, as in `mnist_cnn@digits`."""
        return self.name if self.setting is None else f"{self.name}@{self.setting}"

    def hyper(self, name: str) -> Option | None:
        """The value of a declared hyper-parameter in this card; None where it has none."""
        given = getattr(self.training, name, None) if name in Training.model_fields else self.options.get(name)
        default = self.tune[name].default
        return default if given is None else given

    def with_hyper(self, chosen: Mapping[str, Option], where: str) -> ModelCard:
        """The card with other values of its hyper-parameters.

        Raises:
            UserError: one is not declared in `[tune]`, or its value is not in the range there.
        """
        if self.weights is not None:
            raise UserError(f"the weights of {self.label} are ready, not trained", where=where, remedy="leave that out")
        options, training = dict(self.options), {} if self.training is None else self.training.model_dump()
        for name, value in chosen.items():
            if name not in self.tune:
                raise unknown("hyper-parameter", name, self.tune, where=where)
            wrong = self.tune[name].fault(value)
            if wrong:
                raise UserError(f"{name}: {wrong}", where=where, remedy=f"see [tune] in the model's {CARD_FILE}")
            (training if name in Training.model_fields else options)[name] = value
        changed = self.model_dump(exclude_unset=True) | {"options": options}
        return validate(changed | ({"training": training} if training else {}), ModelCard, where=where)


class _CardFile(_Described):
    """Content of `model.toml`: one data set for the whole card, or several settings in order of preference."""

    dataset: str | None = None
    weights: str | None = None
    quality_floor: Floor | None = None
    over_baseline: PositiveFloat | None = None
    agreement_floor: Share | None = None
    agreement_margin: Margin = 0.0
    setting: list[Setting] = []

    @model_validator(mode="after")
    def _one_way(self) -> _CardFile:
        judged = set(_Judged.model_fields)
        given = [key for key in self.model_fields_set if key in judged]
        if self.setting and given:
            raise ValueError(f"{given[0]} belongs into each [[setting]], as there are settings")
        if not self.setting and self.dataset is None:
            raise ValueError("the key 'dataset' is missing (or a [[setting]] with one)")
        names = [setting.name for setting in self.setting]
        if len(set(names)) < len(names):
            raise ValueError("two settings have the same name")
        return self


def load_cards(folder: Path) -> tuple[ModelCard, ...]:
    """The checked cards of the model in `folder`, one a setting, in order of preference.

    Raises:
        UserError: a file is missing, a key is unknown, missing or wrong, or names something that does not exist.
    """
    path = folder / CARD_FILE
    file = load_toml(path, _CardFile, kind="model card")
    if file.name != folder.name:
        raise UserError(
            f"the model calls itself {file.name!r} but its folder is {folder.name!r}",
            where=f"{path}: name",
            remedy="give both the same name",
        )
    if not (folder / CODE_FILE).is_file():
        raise UserError(f"the model has no {CODE_FILE}", where=str(folder), remedy=f"add {CODE_FILE} with build(card)")
    cards = tuple(_in_force(file, setting, path) for setting in file.setting or (None,))
    for card in cards:
        _check(card, folder, path)
    return cards


def load_card(folder: Path, setting: str | None) -> ModelCard:
    """One of the cards; None for a model without settings. Raises `UserError` as `load_cards` does."""
    cards = load_cards(folder)
    for card in cards:
        if card.setting == setting:
            return card
    known = [card.setting for card in cards if card.setting is not None]
    if not known:
        raise UserError(f"{folder.name} has no settings", where=f"@{setting}", remedy=f"ask for {folder.name}")
    raise unknown("setting", str(setting), known, where=str(folder / CARD_FILE))


def _in_force(file: _CardFile, setting: Setting | None, path: Path) -> ModelCard:
    common = file.model_dump(exclude_unset=True, exclude={"setting"})
    if setting is None:
        return validate(common, ModelCard, where=str(path))
    own = setting.model_dump(exclude_unset=True)
    for table in ("options", "training", "augmentation", "pruning"):
        if own.get(table):
            own[table] = {**common.get(table, {}), **own[table]}
    own["setting"] = own.pop("name")
    return validate({**common, **own}, ModelCard, where=f"{path}: setting {setting.name}")


def _check(card: ModelCard, folder: Path, path: Path) -> None:
    where = f"{path}: setting {card.setting}" if card.setting else str(path)
    if card.dataset.endswith(OWN_DATA):
        if not (folder / card.dataset).is_file() or "/" in card.dataset:
            raise UserError(
                f"there is no {card.dataset} in the model's folder", where=f"{where}: dataset", remedy="put it there"
            )
    elif card.dataset not in DATASETS:
        raise unknown("data set", card.dataset, DATASETS, where=f"{where}: dataset")
    else:
        known = AUGMENTATIONS[DATASETS[card.dataset].kind]
        for name in card.augmentation.asked:
            if name not in known:
                raise unknown("augmentation for this kind of data", name, known, where=f"{where}: augmentation")
    if card.weights is not None and card.weights not in WEIGHTS:
        raise unknown("file of weights", card.weights, WEIGHTS, where=f"{where}: weights")
    if "early_stopping" in card.tune:
        raise UserError("early_stopping is a table", where=f"{where}: tune.early_stopping", remedy="leave it out")
    if card.weights is None and card.training is None:
        raise UserError("the key 'training' is missing", where=where, remedy="add [training], or weights")
    has_floor = card.quality_floor is not None or card.over_baseline is not None
    if card.metric is None and has_floor:
        raise UserError("there is a floor but no metric", where=where, remedy="add metric, see `bench list metrics`")
    if card.metric is not None and card.metric not in METRICS:
        raise unknown("metric", card.metric, METRICS, where=f"{path}: metric")
