"""What a training cost, as it is kept beside the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from bench.export.errors import ExportError
from bench.export.messages import TrainingEnded
from bench.export.training_log import RECORD, TrainingLog
from bench.export.uses import lock_of

ENDED = TrainingEnded(examples=10, epochs=(), seconds=2.5, resumed=0, peak_rss=None)


def test_what_nobody_measured_is_absent_with_the_reason(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "net", None, None)
    with log.held(1):
        log.began(1)
        log.ended(ENDED)
    kept = log.kept
    assert kept is not None
    assert (kept.examples, kept.machine, kept.costs["training_time"].value) == (10, "not recorded", 2.5)
    assert {name: cost.how for name, cost in kept.costs.items() if cost.value is None} == {
        "training_energy": "unavailable:nobody measured it",
        "training_peak_rss": "unavailable:this system tells no high-water mark of a process",
    }


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text("{")
    assert TrainingLog(tmp_path, None, None).kept is None


def test_a_training_that_another_process_does_not_end_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    with (
        FileLock(lock_of(folder)),
        pytest.raises(ExportError, match=r"has been training this model for over 0 s .*net\.lock"),
        TrainingLog(folder, None, None).held(0),
    ):
        pass
