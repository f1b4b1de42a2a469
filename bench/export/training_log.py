"""The parent's side of a training: what it cost and how it went, kept beside the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec
from filelock import FileLock, Timeout

from bench.export import messages as msg
from bench.export.errors import ExportError
from bench.export.uses import lock_of
from bench.files import write_whole
from bench.record import codec
from bench.record.artifact import Training
from bench.record.measurement import Measurement
from bench.training.report import Board

RECORD = "training.json"


class Meter(Protocol):
    """Measures the energy of a training from outside of its process."""

    @property
    def machine(self) -> str:
        """What it runs on, in words."""

    def start(self, pid: int) -> None:
        """The training begins."""

    def stop(self) -> Measurement:
        """The training is over: joules since the start, or why they are not known."""


class TrainingLog:
    """The folder of one model's weights and the record of their training; None: the model is not trained here.

    `board` is a folder for TensorBoard, which gets the epochs as they end, or those on record.
    """

    def __init__(self, folder: Path | None, meter: Meter | None, board: Path | None) -> None:
        self.folder = folder
        self._meter, self._board_folder = meter, board
        self._board: Board | None = None
        self._metering = False

    @contextlib.contextmanager
    def held(self, timeout_s: float) -> Iterator[None]:
        """The folder's lock. Raises `ExportError` where another process keeps it for longer."""
        if self.folder is None:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_of(self.folder))
        try:
            lock.acquire(timeout=timeout_s)
        except Timeout as error:
            raise ExportError(
                f"another process has been training this model for over {timeout_s:g} s ({lock.lock_file})"
            ) from error
        with contextlib.ExitStack() as after:
            after.callback(lock.release)
            self.folder.mkdir(parents=True, exist_ok=True)  # whoever held the lock may have cleaned it away
            after.callback(self._close)
            after.callback(self._energy)  # a training that failed must not leave a sampler behind
            yield

    @property
    def kept(self) -> Training | None:
        """The record, where there is one."""
        if self.folder is None:
            return None
        try:
            return codec.from_json((self.folder / RECORD).read_bytes(), Training)
        except (OSError, msgspec.MsgspecError):
            return None

    def began(self, pid: int) -> None:
        """The process `pid` starts to train."""
        if self._meter is not None:
            self._meter.start(pid)
            self._metering = True

    def epoch(self, ended: msg.EpochEnded) -> None:
        """An epoch is over."""
        if self._board_folder is not None:
            self._board = self._board or Board(self._board_folder)
            self._board.epoch(ended.epoch)

    def ended(self, how: msg.TrainingEnded) -> None:
        """The weights are kept: so is what they cost."""
        energy = self._energy()
        notes: tuple[str, ...] = ()
        if how.resumed:
            notes = (f"resumed after epoch {how.resumed}, as the training was stopped there",)
            energy = Measurement.unavailable("J", "the training was resumed; what was used before is not on record")
        record = Training(
            examples=how.examples,
            epochs=how.epochs,
            costs={
                "training_time": Measurement(
                    value=how.seconds, unit="s", n=max(1, len(how.epochs)), how="measured:perf_counter"
                ),
                "training_energy": energy,
                "training_peak_rss": _peak(how),
            },
            machine=self._meter.machine if self._meter else "not recorded",
            notes=notes,
        )
        if self.folder is not None:
            write_whole(self.folder / RECORD, codec.json_bytes(record))

    def _energy(self) -> Measurement:
        if self._meter is None or not self._metering:
            return Measurement.unavailable("J", "nobody measured it")
        self._metering = False
        return self._meter.stop()

    def _close(self) -> None:
        """End the log for TensorBoard; a training of long ago is written into it now."""
        kept = self.kept
        if self._board is None and self._board_folder is not None and kept is not None:
            self._board = Board(self._board_folder)
            for epoch in kept.epochs:
                self._board.epoch(epoch)
        if self._board is not None:
            self._board.close()


def _peak(how: msg.TrainingEnded) -> Measurement:
    if how.peak_rss is None:
        return Measurement.unavailable("B", "this system tells no high-water mark of a process")
    return Measurement(value=float(how.peak_rss), unit="B", n=1, how="measured:getrusage ru_maxrss, whole process")
