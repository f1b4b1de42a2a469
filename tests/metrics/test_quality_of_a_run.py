"""From corrupted inputs in a bundle to the rows of a run, its tables, its chart and back from disk."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from bench.record.artifact import Bundle, Epoch, Training
from bench.record.codec import json_bytes
from bench.record.measurement import Measurement
from bench.record.row import Row
from bench.report.document import document
from bench.report.files import write_summaries
from bench.report.live import Live
from bench.runner import conduct
from bench.runner.plan import Planned, Request, plan_run
from bench.runner.reopen import reopen
from bench.zoo.hashing import file_sha256
from tests.quality.corrupted_bundle import EXAMPLES, SEVERITIES, with_corruption

Run = conduct.RunResult
SHORT = {"warmup_min_s": 0.05, "warmup_max_s": 0.3, "min_s": 0.2, "max_s": 0.4, "min_samples": 64}
TRAINING = Training(
    examples=54_000,
    epochs=(Epoch(number=1, loss=0.3, seconds=20.0, held_out=0.9),),
    costs={
        "training_time": Measurement(value=212.0, unit="s", n=1, how="measured:clock"),
        "training_energy": Measurement.unavailable("J", "no RAPL counters"),
    },
    machine="two cores",
)


@pytest.fixture(scope="module")
def bundle(digits_bundle: tuple[Path, Bundle], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """With corrupted inputs, the costs of a training, and a floor that no model reaches."""
    folder, index = with_corruption(digits_bundle, tmp_path_factory.mktemp("given") / "bundle")
    model = msgspec.structs.replace(
        index.model, quality_floor=1.01, floor_about="nothing is better than right", training=TRAINING
    )
    index = msgspec.structs.replace(index, model=model)
    (folder / "bundle.json").write_bytes(json_bytes(index))
    return folder, index


def planned(bundle: Path, floors: str) -> Planned:
    """fp32 and int8 on both runtimes, briefly."""
    found = plan_run(Request(suite=str(bundle), only=("*/onnxruntime-cpu/*", "*/litert-xnnpack/*")))
    suite = found.suite.model_copy(update={"floors": floors})
    plan = msgspec.structs.replace(found.plan, **SHORT)
    return msgspec.structs.replace(found, suite=suite, plan=plan)


def measured(bundle: Path, out: Path, floors: str = "warn") -> Run:
    with Live(Console(file=io.StringIO())) as events:
        return conduct.start(planned(bundle, floors), out, events)


@pytest.fixture(scope="module")
def run(bundle: tuple[Path, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Run:
    done = measured(bundle[0], tmp_path_factory.mktemp("runs"))
    write_summaries(Path(done.folder), done.manifest, done.rows)
    return done


def test_every_variant_has_robustness_and_calibration_with_intervals(run: Run) -> None:
    assert {row.case.variant for row in run.rows} == {"fp32", "int8"}
    for row in run.rows:
        share, worst, ece = (row.metrics[n] for n in ("robustness", "robustness_worst", "calibration_error"))
        for figure in (share, worst, ece):
            assert figure.value is not None, figure.reason
            assert figure.low is not None
            assert figure.high is not None
            assert figure.low <= figure.value <= figure.high
        assert share.how == worst.how == "measured:evaluation-under-corruption"
        assert share.n == EXAMPLES < ece.n
        assert 0 < float(worst.value or 0) < float(share.value or 0) < 1
        assert float(ece.value or 0) < 0.1


def test_the_curves_fall_from_the_clean_value_and_the_shares_are_made_of_them(run: Run) -> None:
    for row in run.rows:
        found = row.under_corruption
        assert found is not None
        assert set(found.curves) == {"noise", "erased_rows"}
        for cells in found.curves.values():
            assert [cell.severity for cell in cells] == list(SEVERITIES)
            assert found.clean >= cells[0].value > cells[-1].value
            assert all(cell.ratio == pytest.approx(cell.value / found.clean) for cell in cells)
        ratios = [cell.ratio for cell in found.cells]
        assert row.metrics["robustness"].value == pytest.approx(np.mean(ratios))
        assert row.metrics["robustness_worst"].value == min(ratios)


def test_runtimes_of_one_network_lose_alike(run: Run) -> None:
    shares = [row.metrics["robustness"].value for row in run.rows if row.case.variant == "fp32"]
    assert len(shares) == 2
    assert shares[0] == pytest.approx(shares[1], abs=0.02)


def test_a_kept_run_is_read_back_as_it_was(run: Run) -> None:
    again = reopen(Path(run.folder))
    assert [row.under_corruption for row in again.rows] == [row.under_corruption for row in run.rows]
    assert [row.metrics for row in again.rows] == [row.metrics for row in run.rows]
    assert again.manifest.models[0].training == TRAINING
    frame = pl.read_parquet(Path(run.folder) / "cases.parquet")
    asked = frame.sql("SELECT robustness.value AS share, robustness_worst.low AS low FROM self ORDER BY share")
    assert asked["share"].to_list() == sorted(row.metrics["robustness"].value or 0 for row in run.rows)


def test_the_document_carries_curves_and_training(run: Run) -> None:
    told = document(Path(run.folder), run.manifest, run.rows)
    cells = told["cases"][0]["under_corruption"]["cells"]
    assert len(cells) == 2 * len(SEVERITIES)
    assert set(cells[0]) == {"corruption", "severity", "value", "ratio", "low", "high"}
    assert told["models"][0]["training"]["costs"]["training_time"]["value"] == 212


def test_the_summary_has_the_columns_the_table_by_corruption_the_chart_and_the_training(run: Run) -> None:
    folder = Path(run.folder)
    summary = (folder / "summary.md").read_text()
    head = next(line for line in summary.splitlines() if line.startswith("| variant"))
    assert {"robust", "worst", "ECE"} <= {cell.strip() for cell in head.split("|")}
    assert "erased rows" in summary
    assert "(robustness.svg)" in summary
    assert (folder / "robustness.svg").read_text().startswith("<svg")
    assert "trained on 54,000 examples in 1 epoch on two cores: time 212 s" in summary
    assert "energy unavailable: no RAPL counters" in summary
    assert "robustness_worst_how" in (folder / "summary.csv").read_text()


def test_a_floor_that_warns_leaves_every_row_ok(run: Run) -> None:
    assert {row.status for row in run.rows} == {"ok"}
    assert all(any("below the model's floor of 1.01" in warning for warning in row.warnings) for row in run.rows)


def test_a_floor_that_fails_fails_fp32_with_all_its_figures_and_warns_of_int8(
    bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    done = measured(bundle[0], tmp_path, floors="fail")
    write_summaries(Path(done.folder), done.manifest, done.rows)
    by_variant: dict[str, list[Row]] = {}
    for row in done.rows:
        by_variant.setdefault(row.case.variant, []).append(row)
    for row in by_variant["fp32"]:
        assert row.status == "failed"
        assert row.failure is not None
        assert row.failure.phase == "evaluate"
        assert "is below the model's floor of 1.01 (nothing is better than right)" in row.failure.reason
        for name in ("accuracy", "robustness", "p50_latency", "size"):
            assert row.metrics[name].value is not None
        assert row.under_corruption is not None
    assert {row.status for row in by_variant["int8"]} == {"ok"}
    summary = (Path(done.folder) / "summary.md").read_text()
    assert "failed: accuracy" in summary
    again = reopen(Path(done.folder)).rows
    assert [(row.status, row.failure, row.metrics) for row in again] == [
        (row.status, row.failure, row.metrics) for row in done.rows
    ]


def test_corrupted_inputs_that_cannot_be_run_leave_the_other_figures_and_a_reason(
    bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    folder, index = with_corruption(bundle, tmp_path / "bundle")
    assert index.data.corrupted is not None
    started = planned(folder, "warn")
    started = msgspec.structs.replace(started, cases=started.cases[:1])
    damaged = folder / index.data.corrupted.inputs
    np.savez(damaged, strange=np.zeros(3))
    files = {**index.files, index.data.corrupted.inputs: file_sha256(damaged)}
    (folder / "bundle.json").write_bytes(json_bytes(msgspec.structs.replace(index, files=files)))
    with Live(Console(file=io.StringIO())) as events:
        (row,) = conduct.start(started, tmp_path / "runs", events).rows
    assert row.status == "ok"
    assert row.metrics["accuracy"].value is not None
    assert row.metrics["calibration_error"].value is not None
    assert str(row.metrics["robustness"].reason).startswith("on corrupted inputs: ")
    assert row.under_corruption is None
