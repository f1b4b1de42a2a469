"""Outputs on corrupted inputs become figures and curves, or the reason why not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from bench.metrics.robustness import Outputs, figures
from bench.quality import METRICS
from bench.record.artifact import Corrupted

LABELS = np.arange(40) % 4
CLEAN = np.eye(4)[LABELS]
CORRUPTED = Corrupted(
    inputs="x.npz", cells=(("noise", 2), ("blur", 1), ("noise", 1)), examples=tuple(range(0, 40, 2)), seed=7
)


def written(tmp_path: Path, *cells: np.ndarray) -> Outputs:
    np.savez(tmp_path / "o.npz", **{"0": np.concatenate(cells)})
    return Outputs(path=tmp_path / "o.npz")


def test_cells_are_taken_in_their_order_and_curves_rise_in_severity(tmp_path: Path) -> None:
    right = CLEAN[::2]
    half = np.where(np.arange(20)[:, None] % 2 == 0, right, right[:, ::-1])
    shares, curves = figures(
        METRICS["accuracy"], CLEAN, LABELS, written(tmp_path, right[:, ::-1], right, half), CORRUPTED
    )
    assert curves is not None
    assert (curves.metric, curves.clean, curves.examples, curves.seed) == ("accuracy", 1.0, 20, 7)
    assert [(cell.severity, cell.value) for cell in curves.curves["noise"]] == [(1, 0.5), (2, 0.0)]
    assert [(cell.severity, cell.ratio) for cell in curves.curves["blur"]] == [(1, 1.0)]
    assert shares["robustness"].value == 0.5
    assert shares["robustness_worst"].value == 0.0
    assert {share.how for share in shares.values()} == {"measured:evaluation-under-corruption"}
    assert {share.n for share in shares.values()} == {20}


def test_clean_is_the_metric_on_the_examples_that_were_corrupted_and_no_others(tmp_path: Path) -> None:
    clean = CLEAN.copy()
    clean[1::2] = clean[1::2, ::-1]  # every example that is not corrupted is wrong
    kept = clean[::2]
    shares, curves = figures(METRICS["accuracy"], clean, LABELS, written(tmp_path, kept, kept, kept), CORRUPTED)
    assert curves is not None
    assert curves.clean == 1
    assert shares["robustness"].value == 1


def reason(outputs: Outputs, corrupted: Corrupted | None = CORRUPTED, clean: np.ndarray = CLEAN) -> str:
    shares, curves = figures(METRICS["accuracy"], clean, LABELS, outputs, corrupted)
    assert curves is None
    assert shares["robustness"] == shares["robustness_worst"]
    return str(shares["robustness"].reason)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    assert reason(Outputs(), None) == "no corruption is defined for these data"
    assert reason(Outputs(reason="the process was killed")) == "the process was killed"
    assert reason(written(tmp_path, CLEAN[:7])) == "7 outputs do not fit 3 cells of 20 examples"
    right = CLEAN[::2]
    assert "accuracy is 0 on clean inputs" in reason(written(tmp_path, right, right, right), clean=CLEAN[:, ::-1])
    assert "cannot score" in reason(written(tmp_path, *[np.zeros((20, 2, 2))] * 3))
    beyond = msgspec.structs.replace(CORRUPTED, examples=tuple(range(30, 50)))
    assert "out of bounds" in reason(written(tmp_path, right, right, right), beyond)
