"""What a zoo model is made of besides its own code: the files of its data set and its ready weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.record.artifact import TensorSpec
from bench.zoo import datasets, userdata
from bench.zoo.card import CARD_FILE, DATA_FILE, OWN_DATA, ModelCard
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
        return told | {file.relative_to(folder).as_posix(): file_sha256(file) for file in own_files(folder, card)}
    return told | {"packages": installed(datasets.DATASETS[card.dataset].packages)}


def own_files(folder: Path, card: ModelCard) -> list[Path]:
    """The files of the folder that its data come from: code may read any of them."""
    if card.dataset != DATA_FILE:
        return [folder / card.dataset] if card.dataset.endswith(OWN_DATA) else []
    parts = ((file, file.relative_to(folder).parts) for file in sorted(folder.rglob("*")) if file.is_file())
    return [
        file
        for file, names in parts
        if not any(name.startswith((".", "__pycache__")) for name in names)
        and names not in (("README.md",), (CARD_FILE,))
    ]


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
    for part, split in (("training", data.train), ("evaluation", data.evaluation)):
        fault = _fault(split)
        if fault:
            raise UserError(f"the {part} data have {fault}", where=str(path), remedy="correct load()")
    return data


def _fault(split: Split | None) -> str | None:
    """What is wrong with examples and labels; None where nothing is."""
    if split is None:
        return None
    counts = {len(array) for array in split.inputs} | ({len(split.labels)} if split.labels is not None else set())
    if len(counts) != 1 or 0 in counts:
        return f"arrays of {' and '.join(str(count) for count in sorted(counts))} examples"
    for name, array in (*(("inputs", array) for array in split.inputs), ("labels", split.labels)):
        if array is None:
            continue
        if array.dtype.kind not in "iufb":
            return f"{name} of type {array.dtype}, which are no numbers"
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"{name} that are not finite"
    return None
