"""What is told while a model is trained: lines for people, scalars for TensorBoard."""

from __future__ import annotations

import importlib.util
import sys
import time
import types
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.record.artifact import Epoch
from bench.zoo.download import Progress

Report = Progress
"""Takes a line for people, as a download does."""


class Pace:
    """Epochs and steps as text with loss, metric and time left. `done` epochs were there before."""

    def __init__(self, report: Report, title: str, epochs: int, done: int, metric: str | None) -> None:
        self._report, self._title, self._epochs, self._metric = report, title, epochs, metric
        self._first = done
        self._began = time.monotonic()
        self._last = 0.0
        self._judged = ""

    def epoch(self, seen: Epoch) -> None:
        """Tell of a finished epoch."""
        self._judged = "" if seen.held_out is None else f", {self._metric} {seen.held_out:.4f} held out"
        self._say(seen.number, f"loss {seen.loss:.4f}{self._judged}", seen.number, passing=False)

    def step(self, epoch: int, share: float, logs: dict[str, float]) -> None:
        """Tell of a step within `epoch` (1, 2, …), of which `share` is done; at most twice a second."""
        now = time.monotonic()
        if now - self._last > 0.5:
            self._last = now
            self._say(
                epoch, f"loss {logs.get('loss', float('nan')):.4f}{self._judged}", epoch - 1 + share, passing=True
            )

    def _say(self, epoch: int, figures: str, done: float, *, passing: bool) -> None:
        here = done - self._first
        spent = time.monotonic() - self._began
        left = f", about {spent / here * (self._epochs - done):.0f} s left" if here > 0 and done < self._epochs else ""
        self._report(
            f"{self._title} epoch {epoch}/{self._epochs}, {figures}{left}", done / self._epochs, passing=passing
        )


class Board:
    """Scalars by epoch for TensorBoard, in `folder`.

    Raises:
        UserError: the package is not installed.
    """

    def __init__(self, folder: Path) -> None:
        check_board()
        # Its own switch: else TensorBoard imports TensorFlow, here only to write a file.
        sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
        from tensorboard.summary import Writer

        self._writer: Any = Writer(str(folder))

    def epoch(self, seen: Epoch) -> None:
        """Write what is known of an epoch."""
        self._writer.add_scalar("training/loss", seen.loss, seen.number)
        self._writer.add_scalar("training/seconds", seen.seconds, seen.number)
        if seen.held_out is not None:
            self._writer.add_scalar("held out/metric", seen.held_out, seen.number)

    def close(self) -> None:
        """Put all of it on disk."""
        self._writer.close()


def check_board() -> None:
    """Say so where TensorBoard's package is missing. Raises `UserError`."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "TensorBoard is not installed",
            where="--tensorboard",
            remedy='install it: pip install "counterpoise[tensorboard]"',
        )
