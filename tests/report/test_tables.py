"""What a reader sees: right units, absent figures with their reason, nothing that breaks out of its cell."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.machine.environment import read_environment
from bench.optional import NO_INTERVAL
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Failure, Placement, Plan
from bench.record.row import Row
from bench.report import terminal
from bench.report.csv import csv
from bench.report.markdown import markdown
from bench.report.table import run_notes, tables
from bench.report.units import digits, scale_for, text
from bench.store.manifest import Manifest, ModelEntry

NASTY = ["<script>alert(1)</script>", "a|b", "=HYPERLINK(1)", "x" * 200, "[red]", "`*_#"]


def row(variant: str = "fp32", model: str = "m", latency: float = 80e-6, **more: object) -> Row:
    metrics = {name: Measurement.unavailable(metric.unit, "no such counter") for name, metric in METRICS.items()}
    metrics["p50_latency"] = Measurement(
        value=latency, unit="s", n=1000, how="measured:clock", low=latency * 0.99, high=latency * 1.01, confidence=0.95
    )
    metrics["size"] = Measurement(value=2048.0, unit="B", n=1, how="measured:file-size")
    fields = {
        "case": Case(model=model, variant=variant, runtime="onnxruntime", provider="cpu"),
        "status": "ok",
        "invocations": 1,
        "dataset": "digits",
        "metrics": metrics,
        "placement": Placement(provider="CPUExecutionProvider", nodes={"CPUExecutionProvider": 9}, evidence="e"),
        **more,
    }
    return Row(**fields)  # type: ignore[arg-type]


def manifest_for(*rows: Row, status: str = "complete") -> Manifest:
    names = dict.fromkeys(r.case.model for r in rows)
    return Manifest(
        run_id="20260101-000000-s-aa",
        created="2026-01-01T00:00:00+00:00",
        command=("bench", "run"),
        status=status,  # type: ignore[arg-type]
        suite={"name": "s"},
        request={},
        plan=Plan(),
        cases=tuple(r.case for r in rows),
        models=tuple(
            ModelEntry(given=n, name=n, source_sha256="0", content="0", dataset="digits", metric="accuracy")
            for n in names
        ),
        environment=read_environment(),
    )


def drawn(width: int, *rows: Row) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    terminal.show(console, Path("folder"), manifest_for(*rows), rows)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_column_has_one_unit_and_the_data_set_is_named() -> None:
    shown = drawn(200, row("fp32", latency=80e-6), row("int8", latency=1.5e-3))
    assert "p50 µs" in shown
    assert "80.0 ±1.0%" in shown
    assert "1,500   ±1.0%" in shown, "decimal points stand under each other"
    assert "m · digits" in shown


def test_an_absent_figure_is_a_dash_with_its_reason_below_and_never_a_zero() -> None:
    shown = drawn(200, row(), row("int8"))
    assert "energy: unavailable, no such counter" in shown
    assert shown.count("energy: unavailable") == 1, "a reason that holds for all is said once"
    assert " 0 " not in shown


def test_a_failed_row_shows_its_reason_and_an_estimate_says_that_it_is_one() -> None:
    bad = row("int8", status="failed", failure=Failure(reason="it crashed with SIGSEGV", phase="load"), placement=None)
    metrics = {**row().metrics, "energy": Measurement(value=2e-3, unit="J", n=4, how="estimated:tdp")}
    shown = drawn(220, bad, row(metrics=metrics))
    assert "failed: it crashed with SIGSEGV (int8 onnxruntime-cpu)" in shown
    assert "≈2.00 est." in shown


def test_a_row_that_failed_for_its_quality_shows_its_figures_and_is_never_the_best() -> None:
    below = Failure(reason="accuracy 0.8000 is below the model's floor of 0.9", phase="evaluate")
    fast = row("fp32", latency=9e-6, status="failed", failure=below)
    shown = drawn(220, fast, row("int8"), row("fp16", latency=90e-6))
    assert "9.00 ±1.0%" in shown
    assert "failed: accuracy 0.8000 is below the model's floor of 0.9 (fp32 onnxruntime-cpu)" in shown
    rows = [fast, row("int8"), row("fp16", latency=90e-6)]
    columns = {c.title: c for c in tables(manifest_for(*rows), rows)[0].columns}
    assert columns["p50 µs"].best == {1}
    assert columns["status"].cells == ("failed", "ok", "ok")


def test_robustness_and_calibration_are_columns_with_their_reasons_below() -> None:
    metrics = {
        **row().metrics,
        "robustness": Measurement(value=0.9312, unit="1", n=60, how="measured:x"),
        "robustness_worst": Measurement(value=0.4147, unit="1", n=60, how="measured:x"),
        "calibration_error": Measurement.unavailable("1", "the outputs are no probabilities"),
    }
    shown = drawn(220, row(metrics=metrics))
    assert "0.931" in shown
    assert "0.415" in shown
    assert "ECE: unavailable, the outputs are no probabilities" in shown


def test_a_narrow_terminal_drops_columns_and_keeps_the_numbers_whole() -> None:
    shown = drawn(48, row(), row("int8"))
    assert "80.0 ±1.0%" in shown
    head = next(line for line in shown.splitlines() if line.startswith("variant"))
    assert "p50 µs" in head
    assert "ran on" not in head
    assert "left out: ran on; all: --json, or a wider terminal" in " ".join(shown.split())


def test_the_best_of_a_column_is_marked_by_its_direction() -> None:
    columns = {
        c.title: c
        for c in tables(manifest_for(row(), row("int8", latency=9e-6)), [row(), row("int8", latency=9e-6)])[0].columns
    }
    assert columns["p50 µs"].best == {1}
    assert not columns["size KiB"].best, "equal figures have no best"


def test_an_unfinished_run_says_how_to_go_on() -> None:
    console = Console(file=io.StringIO(), width=200)
    terminal.show(console, Path("f"), manifest_for(row(), row("int8"), status="interrupted"), [row()])
    assert isinstance(console.file, io.StringIO)
    assert "1 of 2 cases done: go on with `bench run --resume 20260101-000000-s-aa`" in console.file.getvalue()


@pytest.mark.parametrize("name", NASTY)
def test_no_name_breaks_out_of_its_cell(name: str) -> None:
    rows = [row(model=name, variant=name), row(model=name)]
    made = markdown(manifest_for(*rows), rows)
    lines = [line for line in made.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert "<script" not in made.replace(r"\<", "")
    cells = pl.read_csv(io.StringIO(csv("run", rows)))
    assert cells.height == 2
    assert not str(cells["model"][0]).startswith(("=", "+", "-", "@"))
    assert drawn(200, *rows)


def test_the_csv_has_unit_count_interval_and_provenance_of_every_figure() -> None:
    cells = pl.read_csv(io.StringIO(csv("run", [row()])))
    assert cells["p50_latency_s"][0] == pytest.approx(80e-6)
    assert cells["p50_latency_s_n"][0] == 1000
    assert cells["p50_latency_s_how"][0] == "measured:clock"
    assert cells["p50_latency_s_low"][0] < cells["p50_latency_s_high"][0]
    assert cells["energy_joules"][0] is None
    assert cells["energy_joules_how"][0] == "unavailable:no such counter"


@given(st.floats(1e-9, 1e9))
def test_digits_show_the_number_to_three_places(value: float) -> None:
    shown = digits(value)
    assert "e" not in shown
    assert float(shown.replace(",", "")) == pytest.approx(value, rel=0.006)


@given(st.lists(st.floats(1e-9, 1e4), min_size=1))
def test_the_unit_of_a_column_leaves_its_smallest_figure_at_one_or_more(values: list[float]) -> None:
    factor, _ = scale_for("s", values)
    assert min(values) / factor >= 1


def test_single_figures_are_scaled() -> None:
    assert text(81.2e-6, "s") == "81.2 µs"
    assert text(3 * 2**20, "B") == "3.00 MiB"
    assert text(0.5, "1") == "0.500"
    assert msgspec.json.encode(text(12.0, "s"))


def test_a_run_made_without_scipy_says_that_its_medians_have_no_interval() -> None:
    made = row()
    told = run_notes(manifest_for(made), [made])
    assert any("p50 with its 95% interval" in note for note in told)
    bare = msgspec.structs.replace(
        made.metrics["p50_latency"], how=f"measured:clock; no interval: {NO_INTERVAL}", low=None, high=None
    )
    slim = msgspec.structs.replace(made, metrics={**made.metrics, "p50_latency": bare})
    told = run_notes(manifest_for(slim), [slim])
    assert any(f"p50 without its interval ({NO_INTERVAL})" in note for note in told)
