"""A history on a terminal and as a chart."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.analyse.history import Break, CaseHistory, History, Point, Turn
from bench.errors import UserError
from bench.report.charts import history as charts
from bench.report.history import GAP, SPARK, WIDEST, cases, changes, draw, notes, spark


def series(
    name: str = "m/fp32", level: tuple[float | None, ...] = (1e-3,) * 5 + (2e-3,) * 5, **more: object
) -> CaseHistory:
    points = tuple(
        Point(
            run=f"r{at}",
            created="2026",
            value=value,
            low=value and value * 0.9,
            high=value and value * 1.1,
            absent=None if value is not None else "no such counter",
        )
        for at, value in enumerate(level)
    )
    return CaseHistory(case=name, points=points, **more)  # type: ignore[arg-type]


def turn(improved: bool | None = False, **more: object) -> Turn:
    fields = {"at": 5, "run": "r5", "before": 1e-3, "after": 2e-3, "ratio": 2.0, "p_value": 0.001, **more}
    return Turn(improved=improved, **fields)  # type: ignore[arg-type]


def over(*of: CaseHistory, **more: object) -> History:
    runs = tuple(point.run for point in of[0].points)
    fields = {"metric": "p50_latency", "unit": "s", "better": "lower", "runs": runs, "cases": of, **more}
    return History(**fields)  # type: ignore[arg-type]


def drawn(found: History, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    draw(console, found)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def columns(table: object) -> dict[str, tuple[str, ...]]:
    return {column.title: column.cells for column in table.columns}  # type: ignore[attr-defined]


def test_a_case_is_a_line_with_first_and_last_in_one_unit() -> None:
    told = columns(cases(over(series(turns=(turn(),)), series("m/int8", (None, 3e-3, *[None] * 8)))))
    assert told["case"] == ("m/fp32", "m/int8")
    assert told["runs"] == ("10", "1")
    assert told["first ms"] == ("1.00", "3.00")
    assert told["last ms"] == ("2.00", "3.00")
    assert told["changes"] == ("1", "0")


def test_a_change_point_is_a_line_with_run_ratio_p_and_way() -> None:
    told = columns(changes(over(series(turns=(turn(causes=("onnxruntime 1.31 -> 1.32",)), turn(True), turn(None))))))
    assert told["from run"] == ("r5",) * 3
    assert told["ratio"] == ("2.000",) * 3
    assert told["p"] == ("0.001",) * 3
    assert told[""] == ("worse", "better", "changed")
    assert told["changed at the same run"][0] == "onnxruntime 1.31 -> 1.32"


def test_without_a_change_point_there_is_one_table() -> None:
    assert "change points" not in drawn(over(series()))
    assert "change points" in drawn(over(series(turns=(turn(),))))


def test_without_enough_runs_the_number_of_changes_is_not_told_as_none() -> None:
    found = over(series(level=(1.0, 2.0), untold="2 values are too few"))
    assert columns(cases(found))["changes"] == ("–",)
    assert notes(found) == ["2 values are too few (m/fp32)"]


def test_notes_name_gaps_breaks_drifts_and_what_was_left_out_each_once() -> None:
    gap = (1.0, None, *[1.0] * 8)
    broken = tuple(Break(at=at, run=f"r{at}", keys=("boot",)) for at in range(2, 9))
    told = notes(
        over(
            series("a", gap, breaks=broken),
            series("b", gap, breaks=broken, drift=0.123),
            notes=("r99 left out: the run is not complete (running)",),
        )
    )
    assert told == [
        "b: drifts, +12.3% from the first run to the last, without a step",
        "no figure in r1: no such counter (all cases)",
        "boot changed at r2, r3, r4 and 4 more (all cases)",
        "r99 left out: the run is not complete (running)",
    ]


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=100))
def test_a_sparkline_has_a_character_a_run_as_far_as_there_is_room(values: list[float | None]) -> None:
    line = spark(values)
    assert len(line) == min(len(values), WIDEST)
    assert set(line) <= {*SPARK, GAP}
    if len(values) <= WIDEST:
        assert [mark == GAP for mark in line] == [value is None for value in values]


def test_a_sparkline_rises_where_the_values_rise() -> None:
    assert spark([float(i) for i in range(8)]) == SPARK
    assert spark([float(i) for i in range(320)]) == "".join(sorted(spark([float(i) for i in range(320)])))
    assert spark([0.0, None, 7.0]) == SPARK[0] + GAP + SPARK[-1]
    assert len(set(spark([5.0] * 4))) == 1


def test_markup_in_a_name_is_shown_and_not_obeyed() -> None:
    assert "[red]x[/red]" in drawn(over(series("[red]x[/red]")))


def test_the_chart_is_an_svg_with_a_panel_a_case_and_the_ratio_at_the_change(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "h.svg"
    charts.write(path, over(series(turns=(turn(),), breaks=(Break(at=5, run="r5", keys=("boot",)),)), series("m/int8")))
    text = "".join(ElementTree.parse(path).getroot().itertext())
    for word in ("m/fp32", "m/int8", "2.000×", "p50 ms", "worse"):
        assert word in text


def test_levels_and_changes_stand_where_they_are_in_the_chart() -> None:
    spec = charts.chart(over(series(turns=(turn(),)))).to_dict()
    records = [record for layer in spec["concat"][0]["layer"] for record in layer["data"]["values"]]
    levels = [record for record in records if "until" in record]
    assert [(level["at"], level["until"], level["value"]) for level in levels] == [(0.5, 5.5, 1.0), (5.5, 10.5, 2.0)]
    assert {record["at"] for record in records if "way" in record} == {5.5}
    assert max(record["value"] for record in records if "figure" in record) == pytest.approx(2.0)


def test_png_and_html_are_written_and_the_page_needs_no_network(tmp_path: Path) -> None:
    for name in ("h.png", "h.HTML"):
        charts.write(tmp_path / name, over(series(turns=(turn(ratio=None, before=0.0),))))
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "h.HTML").read_text()
    assert 'src="http' not in page
    assert "m/fp32" in page


@pytest.mark.parametrize("level", [(0.0,) * 10, (-1.0, 1.0) * 5, (1e-3,)])
def test_a_chart_of_odd_values_can_be_drawn(tmp_path: Path, level: tuple[float, ...]) -> None:
    charts.write(tmp_path / "h.svg", over(series(level=level)))
    ElementTree.parse(tmp_path / "h.svg")


@pytest.mark.parametrize("name", ["h.pdf", "h"])
def test_another_ending_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be written as"):
        charts.write(tmp_path / name, over(series()))
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_nothing_to_draw_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="to draw"):
        charts.write(tmp_path / "h.svg", over(series(level=(None, None))))
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_the_figure_has_no_point_and_one_without_an_interval_no_bar() -> None:
    known = series(level=(1e-3, None, 2e-3))
    bare = msgspec.structs.replace(known.points[2], low=None, high=None)
    spec = charts.chart(over(msgspec.structs.replace(known, points=(*known.points[:2], bare)))).to_dict()
    _, bars, line, *_ = spec["concat"][0]["layer"]
    assert [point["at"] for point in line["data"]["values"]] == [1, 3]
    assert [point["at"] for point in bars["data"]["values"]] == [1]
