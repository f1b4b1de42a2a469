"""The shape of latencies in a few characters: on one axis, with every sample in it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.record.observation import Observation, Samples
from bench.report.sparkline import ASCII, BINS, BLOCKS, Shapes, common_axis, counted, read_shapes, sparkline
from bench.report.table import tables
from bench.report.terminal import show
from bench.store.tables import LATENCIES, write_samples
from tests.report.test_tables import manifest_for, row

ns = st.lists(st.integers(1, 10**11), min_size=1, max_size=200)


def observed(latencies_ns: list[int], variant: str) -> Observation:
    count = len(latencies_ns)
    samples = Samples(
        start_ns=np.arange(count, dtype=np.int64),
        latency_ns=np.array(latencies_ns, dtype=np.int64),
        block=np.zeros(count, dtype=np.int64),
        stopped_by="precision",
        span_ns=1,
    )
    return Observation(case=row(variant).case, invocation=0, status="ok", samples=samples)


@given(st.lists(ns, min_size=1, max_size=4))
def test_every_sample_is_counted_and_the_fullest_bin_is_full(rows: list[list[int]]) -> None:
    found = [counted(np.array(latencies)) for latencies in rows]
    axis = common_axis(found)
    for latencies, counts in zip(rows, found, strict=True):
        assert sum(counts.values()) == len(latencies)
        line = sparkline(counts, axis)
        assert len(line) == BINS
        assert BLOCKS[-1] in line


@given(ns)
def test_the_axis_reaches_over_all_but_the_tails(latencies: list[int]) -> None:
    low, high = common_axis([counted(np.array(latencies))]).ends_s
    assert low <= np.median(latencies) / 1e9 * 1.0001
    assert high >= np.median(latencies) / 1e9 * 0.9999
    assert low <= sorted(latencies)[len(latencies) // 100] / 1e9 * 1.0001


def test_rows_stand_on_one_logarithmic_axis() -> None:
    fast, slow = counted(np.full(1000, 1_000)), counted(np.full(1000, 1_000_000))
    axis = common_axis([fast, slow])
    one, two = sparkline(fast, axis), sparkline(slow, axis)
    assert one.strip() == two.strip() == BLOCKS[-1]
    assert one.index(BLOCKS[-1]) < BINS / 4
    assert two.index(BLOCKS[-1]) > 3 * BINS / 4


def test_a_single_sample_among_many_is_seen() -> None:
    counts = counted(np.array([1_000] * 100_000 + [900_000] * 200 + [30_000]))
    assert sparkline(counts, common_axis([counts])).count(BLOCKS[1]) >= 2


@pytest.mark.parametrize(("encoding", "ramp"), [("utf-8", BLOCKS), ("ascii", ASCII)])
def test_the_table_of_a_kept_run_has_the_shapes_and_what_they_mean(tmp_path: Path, encoding: str, ramp: str) -> None:
    write_samples(tmp_path, [observed([80_000] * 50 + [90_000] * 5, "fp32"), observed([30_000] * 50, "int8")])
    rows = [row("fp32"), row("int8"), row("fp16")]
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show(Console(file=file, width=240, highlight=False), tmp_path, manifest_for(*rows), rows)
    file.flush()
    shown = file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "shape: samples by latency" in shown
    assert f"{ramp[-1]} the fullest of the row" in shown
    (line,) = [line for line in shown.splitlines() if "fp32" in line and "onnx" in line and ramp[-1] in line]
    assert line


def test_without_raw_samples_there_is_no_column_and_no_word_of_it(tmp_path: Path) -> None:
    rows = [row("fp32"), row("int8")]
    (table,) = tables(manifest_for(*rows), rows)
    assert read_shapes(tmp_path) == Shapes({})
    assert read_shapes(tmp_path).beside(table, rows, Console()) is table


def test_a_damaged_file_of_samples_leaves_the_table_and_says_so(tmp_path: Path) -> None:
    (tmp_path / LATENCIES).write_bytes(b"this is no Parquet")
    file = io.StringIO()
    show(Console(file=file, width=200, highlight=False), tmp_path, manifest_for(row()), [row()])
    assert "80.0 ±1.0%" in file.getvalue()
    assert "no shapes of latencies: cannot read the table" in file.getvalue()
