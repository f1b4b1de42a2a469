"""What a zoo model is made of besides its own code: the files of its data set and its ready weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.record.artifact import TensorSpec
from bench.zoo import datasets, userdata
from bench.zoo.card import DATA_FILE, OWN_DATA, ModelCard
from bench.zoo.datasets.base import Dataset, Split
from bench.zoo.download import Progress
from bench.zoo.files import FileSet, content, fetch, locate
from bench.zoo.hashing import file_sha256
from bench.zoo.versions import installed
from bench.zoo.weights import WEIGHTS


def is_here(card: ModelCard) -> bool:
    """Whether everything lies on this machine."""
    return all(locate(part) is not None for part in _parts(card))


def gather(card: ModelCard, progress: Progress) -> dict[str, Path]:
    """Where each file lies, by its name in the tables; what is missing is fetched.

    Raises:
        DataMissing: it cannot be, or not without consent to its terms.
    """
    found: dict[str, Path] = {}
    for part in _parts(card):
        here = locate(part)
        found |= fetch(part, progress) if here is None else here
    return found


def contents(folder: Path, card: ModelCard) -> dict[str, Any]:
    """All that decides what the data and the weights are: hashes of files and versions of packages."""
    told: dict[str, Any] = {part.name: content(part) for part in _parts(card)}
    if card.dataset.endswith(OWN_DATA):
        return told | {card.dataset: file_sha256(folder / card.dataset)}
    return told | {"packages": installed(datasets.DATASETS[card.dataset].packages)}


def load_data(
    folder: Path,
    card: ModelCard,
    seed: int,
    files: Mapping[str, Path],
    inputs: Callable[[], Sequence[TensorSpec]],
) -> Dataset:
    """The data set of the card. `inputs` tells the model's own, for data in an `.npz` of the folder.

    Raises:
        UserError: the data cannot be read, or the folder's code fails.
    """
    if card.dataset == DATA_FILE:
        return _by_code(folder / DATA_FILE, card, seed, files)
    if not card.dataset.endswith(OWN_DATA):
        return datasets.load(card.dataset, seed, files)
    given = userdata.read(folder / card.dataset, inputs(), seed)
    if given.calibration is None:
        raise UserError(
            "the data hold neither calibration nor training inputs",
            where=str(folder / card.dataset),
            remedy="add train_x and train_y, or calibration",
        )
    return Dataset(given.name, seed, given.train, given.calibration, Split(given.inputs, given.labels))


def _parts(card: ModelCard) -> list[FileSet]:
    parts: list[FileSet] = [] if card.weights is None else [WEIGHTS[card.weights]]
    if not card.dataset.endswith(OWN_DATA):
        parts.append(datasets.DATASETS[card.dataset])
    return parts


def _by_code(path: Path, card: ModelCard, seed: int, files: Mapping[str, Path]) -> Dataset:
    spec = importlib.util.spec_from_file_location(f"data_of_{path.parent.name}", path)
    try:
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        data = module.load(f"data of {card.name}", seed, files)
    except UserError:
        raise
    except Exception as error:  # whatever a model's own code raises
        raise UserError(
            f"the model's data failed with {type(error).__name__}: {error}", where=str(path), remedy="correct it"
        ) from error
    if not isinstance(data, Dataset):
        raise UserError(f"load() gave {type(data).__name__}", where=str(path), remedy="return a Dataset")
    return data
