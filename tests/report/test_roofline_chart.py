"""The roofline as a table and as a chart."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from bench.analyse.roofline import roofline
from bench.errors import UserError
from bench.record.artifact import Artifact
from bench.record.peaks import MachinePeaks
from bench.record.roofline import Roofline
from bench.report.charts.drawing import Drawing, Undrawn
from bench.report.charts.roofline import drawing, write
from bench.report.roofline import show, table
from tests.analyse.machines import artifact, machine, peaks
from tests.analyse.rows import machine as environment
from tests.analyse.rows import row

HERE = msgspec.structs.replace(environment("avx2"), cache_bytes=2**20)


def found(*cases: tuple[float, Artifact, int]) -> Roofline:
    """The roofline of cases by latency (µs), artifact and threads."""
    rows = [
        msgspec.structs.replace(row(made.variant, latency, threads=threads), artifact=made)
        for latency, made, threads in cases
    ]
    known = machine(peaks(1, int8=4e11, spread=0.02), peaks(2, fp32=2e11, int8=8e11, spread=0.02))
    return roofline(rows, known, "cpu", HERE)


INT8 = artifact("int8", quantised_macs=1.0)
SOME = found((40.0, artifact(), 1), (15.0, INT8, 1), (30.0, artifact(), 2))


def shown(of: Roofline) -> str:
    out = io.StringIO()
    show(Console(file=out, width=200), of)
    return out.getvalue()


def data(of: Roofline) -> dict[str, Sequence[dict[str, Any]]]:
    made = drawing(of)
    assert isinstance(made, Drawing)
    return {
        name: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for name, columns in made.data.items()
    }


def test_there_is_a_roof_for_each_precision_and_count_of_threads_that_some_case_needs():
    held = data(SOME)
    roofs = held["roofs"]
    assert {(roof["precision"], roof["threads"]) for roof in roofs} == {("fp32", "1"), ("int8", "1"), ("fp32", "2")}
    for roof in roofs:
        peak = {("fp32", "1"): 100, ("int8", "1"): 400, ("fp32", "2"): 200}[roof["precision"], roof["threads"]]
        assert roof["rate"] == pytest.approx(min(peak, roof["intensity"] * 10))
    assert [point["name"] for point in held["points"]] == [p.case for p in SOME.points]
    assert [entry["listed"] for entry in held["numbers"]] == ["1  fp32/t1 50%", "2  int8/t1 33%", "3  fp32/t2 33%"]


def test_no_two_numbers_lie_on_each_other():
    crowd = found(*((40.0 + at / 10, artifact(), 1) for at in range(8)))
    made = drawing(crowd)
    assert isinstance(made, Drawing)
    low, high = made.spec["vconcat"][0]["layer"][1]["encoding"]["x"]["scale"]["domain"]
    numbers = data(crowd)["numbers"]
    places = sorted(number["intensity"] * (high / low) ** (number["shift"] / 640) for number in numbers)
    step = (high / low) ** (13.9 / 640)
    assert all(b / a > step for a, b in itertools.pairwise(places))


def test_of_very_many_cases_those_furthest_from_their_limit_are_numbered_and_the_chart_says_so():
    crowd = found(*((40.0 + at, artifact(), 1) for at in range(50)))
    made, held = drawing(crowd), data(crowd)
    assert isinstance(made, Drawing)
    assert len(held["points"]) == 50
    assert [point["number"] is not None for point in held["points"]] == [False] * 10 + [True] * 40
    assert "numbered: the 40 of 50 cases" in made.about
    assert "numbered: the 40 of 50 cases" in made.spec["title"]["subtitle"][0]


def test_a_case_without_operations_is_not_drawn_and_the_chart_says_why():
    made = drawing(found((40.0, artifact(macs=None), 1)))
    assert isinstance(made, Undrawn)
    assert "the multiply-accumulates of the artifact could not be counted" in made.reason


def test_the_chart_is_the_same_every_time_and_is_an_svg(tmp_path: Path):
    write(tmp_path / "a.svg", SOME)
    write(tmp_path / "b.svg", found((40.0, artifact(), 1), (15.0, INT8, 1), (30.0, artifact(), 2)))
    drawn = (tmp_path / "a.svg").read_bytes()
    assert drawn.startswith(b"<svg")
    assert drawn == (tmp_path / "b.svg").read_bytes()
    assert "fp32" in drawn.decode()


def test_without_a_place_on_the_chart_there_is_none(tmp_path: Path):
    none = found((40.0, artifact(macs=None), 1))
    with pytest.raises(UserError, match="no case has a place"):
        write(tmp_path / "a.svg", none)
    with pytest.raises(UserError, match="written as SVG"):
        write(tmp_path / "a.png", SOME)
    assert list(tmp_path.iterdir()) == []


def test_the_table_shows_each_case_in_one_unit_of_time():
    columns = {column.title: column.cells for column in table(SOME).columns}
    assert columns["limit µs"] == ("20.0", "5.00", "10.0")
    assert columns["share"][0] == "50.0% (48.5% to 51.5%)"
    assert columns["held against"] == ("fp32", "int8", "fp32")
    assert columns["bound"] == ("compute",) * 3


def test_a_beaten_limit_and_a_missing_figure_stand_under_the_table():
    text = shown(found((5.0, artifact(), 1), (40.0, artifact(macs=None), 1)))
    assert "LIMIT BEATEN: it took only 25%" in text
    assert "compute: unavailable, the multiply-accumulates of the artifact could not be counted" in text
    assert "peaks with 1 thread: fp32 100 Gop/s (measured:by hand)" in text


def of_peaks(known: MachinePeaks, *cases: tuple[float, Artifact, int]) -> Roofline:
    rows = [msgspec.structs.replace(row(made.variant, us, threads=t), artifact=made) for us, made, t in cases]
    return roofline(rows, known, "cpu", HERE)


def test_a_precision_whose_peak_is_not_known_has_points_and_no_roof():
    some = of_peaks(machine(peaks(1)), (40.0, artifact(), 1), (15.0, INT8, 1))
    held = data(some)
    assert {roof["precision"] for roof in held["roofs"]} == {"fp32"}
    assert [(point["precision"], point["limit"]) for point in held["points"]] == [("fp32", "20.0 µs"), ("int8", "–")]


def test_points_stand_without_any_roof_where_no_peak_is_known(tmp_path: Path):
    none = of_peaks(machine(peaks(2)), (40.0, artifact(), 1))
    assert set(data(none)) == {"points", "numbers"}
    write(tmp_path / "a.svg", none)
    assert (tmp_path / "a.svg").read_text().startswith("<svg")


def test_a_time_without_an_interval_has_no_spread_in_the_table():
    one = row("fp32", 40.0)
    bare = msgspec.structs.replace(one.metrics["p50_latency"], low=None, high=None, confidence=None)
    made = msgspec.structs.replace(one, artifact=artifact(), metrics={**one.metrics, "p50_latency": bare})
    columns = {column.title: column.cells for column in table(roofline([made], machine(), "cpu", HERE)).columns}
    assert columns["measured µs"] == ("40.0",)
