"""Variants by targets on a terminal: each cell with its ratio, and below why one is empty or qualified."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from bench.hardware.load import load_profile
from bench.record.matrix import Across, Line
from bench.record.row import Row
from bench.report.compare import MOST
from bench.report.matrix import about, show, table
from bench.report.table import Table
from bench.runner.across import compare_targets
from bench.store.manifest import read_manifest
from tests.analyse.target_runs import BOARD, KEPT, keep

SINGLE = ("*/single-stream",)


def made(results: Path, *runs: str, metric: str = "p50_latency", **asked: Any) -> Across:
    return compare_targets(runs, results, [metric], **{"only": SINGLE, **asked})


def columns(found: Across) -> dict[str, dict[str, str]]:
    """By title of a column, its cells by variant."""
    drawn = only_table(found)
    variants = drawn.columns[0].cells
    return {column.title: dict(zip(variants, column.cells, strict=True)) for column in drawn.columns}


def only_table(found: Across) -> Table:
    (matrix,) = found.matrices
    return table(found, matrix, matrix.lines)


def shown(found: Across, width: int = 240) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width, color_system=None), found)
    return out.getvalue()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`a`, the kept run, and `b`, three times slower on another machine and without int8."""
    folder = tmp_path_factory.mktemp("matrix")
    keep(folder, "a")
    kept = read_manifest(KEPT)
    cases = tuple(case for case in kept.cases if case.variant != "int8")

    def without(row: Row) -> Row | None:
        return None if row.case.variant == "int8" else row

    packages = {name: version for name, version in kept.environment.packages.items() if name != "ai-edge-litert"}
    packages |= {"onnxruntime": "1.31.0"}
    keep(folder, "b", 3.0, change=without, cases=cases, environment={**BOARD, "packages": packages})
    return folder


def test_what_a_target_has_not_is_a_dash_in_each_of_its_columns_and_the_reason_stands_below(results: Path) -> None:
    found = made(results, "a", "b")
    cells = columns(found)
    assert [cells[title]["int8"] for title in cells if title.startswith(("B", "on B"))] == ["–", "–", "–"]
    assert cells["on A"]["int8"] == "litert-xnnpack t1"
    assert cells["B / A"]["fp32"].startswith("×3.00 [")
    assert "not part of that run (B int8)" in shown(found)


def test_of_a_share_the_ratio_is_a_difference_in_points_and_a_fact_of_the_file_has_no_interval(results: Path) -> None:
    assert columns(made(results, "a", "b", metric="accuracy"))["B / A"]["fp32"] == "unchanged"
    assert columns(made(results, "a", "b", metric="size"))["B / A"]["fp32"] == "×1.00"


def test_where_each_configuration_has_a_line_no_column_repeats_it(results: Path) -> None:
    titles = [column.title for column in only_table(made(results, "a", "b", each=True)).columns]
    assert "configuration" in titles
    assert not [title for title in titles if title.startswith("on ")]


def test_a_figure_that_no_target_has_is_a_line_with_the_reason_and_no_table(results: Path) -> None:
    told = shown(made(results, "a", "b", metric="energy"))
    assert "energy: no target has a figure" in told
    assert "RAPL" in told
    assert "variant" not in told


def test_rows_beyond_what_can_be_read_are_counted(results: Path) -> None:
    found = made(results, "a", "b")
    (matrix,) = found.matrices
    many: list[Line] = [msgspec.structs.replace(matrix.lines[0], variant=f"v{at}") for at in range(MOST + 3)]
    told = shown(msgspec.structs.replace(found, matrices=(msgspec.structs.replace(matrix, lines=tuple(many)),)))
    assert "not listed: 3 more rows; all: --json" in told


def test_software_that_differs_is_told_of_apart_from_the_machine(results: Path) -> None:
    (software,) = (line for line in about(made(results, "a", "b")) if "software" in line)
    assert software.startswith("B: the software differs too, and ratios are of both: ")
    assert "onnxruntime 1.31.0 against 1.32.0" in software
    assert "ai-edge-litert not there against " in software


def test_a_machine_without_a_price_says_why_in_place_of_its_hour(tmp_path: Path) -> None:
    stated = load_profile("server-cpu-vnni").model_dump(mode="json", exclude_none=True)
    unpriced = {name: value for name, value in stated.items() if name != "price"} | {"name": "unpriced", "match": {}}
    keep(tmp_path, "a")
    keep(tmp_path, "b", profile=unpriced)
    told = about(made(tmp_path, "a", "b", metric="cost"))
    assert "B: the profile unpriced states no price" in told
    assert any(line.startswith("A: a machine-hour is ") for line in told)
