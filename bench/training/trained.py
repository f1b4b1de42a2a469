"""The trained model of a zoo folder: from the cache, or trained now."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from filelock import FileLock

from bench.files import whole, write_whole
from bench.training.checkpoint import Checkpoint
from bench.training.code import ModelCode
from bench.training.fit import fit
from bench.training.follow import Ended, Follower
from bench.training.report import Report
from bench.zoo.card import ModelCard
from bench.zoo.datasets.base import Dataset
from bench.zoo.hashing import file_sha256

TRAINED = "model.keras"


def trained_model(
    code: ModelCode, card: ModelCard, data: Dataset, folder: Path, report: Report, follower: Follower
) -> Any:
    """The trained model, not compiled. What `folder` holds whole is not trained again.

    Raises:
        UserError: `model.py` fails, or card and data do not fit together.
    """
    tf.config.experimental.enable_op_determinism()
    path = folder / TRAINED
    # A killed export's process may still be at its last epoch: the lock is the training's own.
    with FileLock(folder / ".training.lock"):
        if not is_whole(path):
            _train(code, card, data, path, report, follower)
    # Built anew even after training, so that a first and a later export see the same object, with the same names.
    trained = _fresh(code, card, data)
    trained.load_weights(str(path))
    return trained


def keep(path: Path, save: Callable[[str], None]) -> None:
    """Keep a file with its checksum beside it, which `is_whole` asks for."""
    with whole(path) as temporary:
        save(str(temporary))
    write_whole(_sum(path), file_sha256(path).encode())


def is_whole(path: Path) -> bool:
    """Whether the file is there as it was kept."""
    digest = _sum(path)
    return path.is_file() and digest.is_file() and digest.read_text() == file_sha256(path)


def _sum(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _fresh(code: ModelCode, card: ModelCard, data: Dataset) -> Any:
    """A new model with the names and the random weights that it has in a process which built none before."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(data.seed)
    return code.build(card)


def _train(code: ModelCode, card: ModelCard, data: Dataset, path: Path, report: Report, follower: Follower) -> None:
    model = _fresh(code, card, data)
    examples = 0 if data.train is None else len(data.train)
    report(f"training on {data.name}, {examples:,} examples")
    follower.began()
    if code.train is not None:
        began = time.perf_counter()
        code.train(model, data, card, report)
        ended = Ended(examples=examples, epochs=(), seconds=time.perf_counter() - began, resumed=0)
    else:
        progress = fit(model, data, card, path.parent, report, loss=code.loss(card), after_epoch=follower.epoch)
        ended = Ended(
            examples=examples,
            epochs=progress.epochs,
            seconds=sum(epoch.seconds for epoch in progress.epochs),
            resumed=progress.resumed,
        )
    keep(path, model.save)
    Checkpoint(path.parent).drop()
    follower.ended(ended)
