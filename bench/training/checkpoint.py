"""A training that is killed goes on from its last finished epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.files import whole, write_whole
from bench.record.artifact import Epoch
from bench.record.codec import from_json, json_bytes


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a training is. `best` numbers the epoch whose weights were the best so far, for early stopping.

    `resumed` counts the epochs that an earlier, killed training had finished.
    """

    epochs: tuple[Epoch, ...] = ()
    best: int | None = None
    best_loss: float | None = None
    resumed: int = 0


class Checkpoint:
    """Weights, the state of the optimiser and the progress, in `folder`. The record is written last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._record = folder / "progress.json"

    def load(self, model: Any) -> Progress:
        """Put the compiled model where the training stopped; an empty progress where there is nothing."""
        model.optimizer.build(model.trainable_variables)
        state = [*model.variables, *model.optimizer.variables]
        before = [np.array(variable) for variable in state]
        try:
            progress = from_json(self._record.read_bytes(), Progress)
            model.load_weights(str(self._weights(len(progress.epochs))))
        except (OSError, ValueError, KeyError, msgspec.MsgspecError):
            # A damaged file may have been read in part.
            for variable, value in zip(state, before, strict=True):
                variable.assign(value)
            return Progress()
        return msgspec.structs.replace(progress, resumed=len(progress.epochs))

    def save(self, model: Any, progress: Progress) -> None:
        """Keep the state after the last of `progress.epochs`."""
        number = len(progress.epochs)
        with whole(self._weights(number)) as temporary:
            model.save_weights(str(temporary))
        write_whole(self._record, json_bytes(progress))
        kept = {self._weights(number), self._weights(progress.best or number)}
        for old in self._folder.glob("*.weights.h5"):
            if old not in kept:
                old.unlink()

    def restore(self, model: Any, number: int) -> None:
        """The weights after epoch `number`, which has to be the last or the best one."""
        model.load_weights(str(self._weights(number)))

    def drop(self) -> None:
        """Forget everything: the training is finished and its result kept elsewhere."""
        self._record.unlink(missing_ok=True)
        for old in self._folder.glob("*.weights.h5"):
            old.unlink()

    def _weights(self, number: int) -> Path:
        return self._folder / f"epoch-{number}.weights.h5"
