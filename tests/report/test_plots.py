"""Charts of samples, readings and operators, and all charts as pictures."""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from bench.analyse.distribution import distribution
from bench.analyse.timeline import Series, Stretch, Timeline
from bench.errors import UserError
from bench.record.measurement import Measurement
from bench.record.row import Row
from bench.report.charts import ecdf, operators, percentiles, timeline, violin
from bench.report.charts.choose import drawings, joined, not_drawn, places
from bench.report.charts.draw import check_libraries, image, seen_in, whole
from bench.report.charts.drawing import Drawing, Undrawn
from bench.report.charts.kinds import KINDS, NAMES, kind_of
from bench.report.page.write import check_page_libraries
from bench.runner.conduct import RunResult
from bench.runner.gather import CaseSeen, Gathered
from tests.analyse.rows import profile, row
from tests.conftest import bench
from tests.kept_runs import keep, keep_small, observed, row_of
from tests.report.narrowed import check_narrow
from tests.report.test_tables import NASTY, manifest_for

RUN = "20260101-000000-quick-aaaa"
HOSTILE = (*NASTY, "a|b \"q\" 'q'", "models/" + "long/" * 40 + "m.onnx")
PHASES = (Stretch(name="load", start_s=0, end_s=1), Stretch(name="measure", start_s=1, end_s=3))


def gathered(*cases: CaseSeen) -> Gathered:
    rows = tuple(each.row for each in cases)
    return Gathered(runs=(RunResult(folder="", manifest=manifest_for(*rows), rows=rows),), cases=cases)


def case(variant: str = "fp32", latency_us: float = 80.0, **more: Any) -> CaseSeen:
    samples = np.random.default_rng(1).lognormal(np.log(latency_us * 1e3), 0.1, 400).astype(np.int64)
    found = {"row": row(variant, latency_us), "label": variant, "distribution": distribution(samples), **more}
    return CaseSeen(run=0, **found)


def power(*values: float, estimated: bool = False) -> Series:
    return Series(
        group="power",
        sensor="tdp" if estimated else "rapl",
        device="package-0",
        quantity="energy",
        unit="W",
        t_s=tuple(float(at) for at in range(len(values))),
        values=values,
        estimated=estimated,
    )


def timed(*series: Series, **missing: str) -> CaseSeen:
    return case(timeline=Timeline(invocation=0, phases=PHASES, series=series, missing=missing))


def the_one(made: Any) -> Drawing:
    (found,) = made
    assert isinstance(found, Drawing)
    return found


def rows_of(drawing: Drawing, name: str) -> list[dict[str, Any]]:
    columns = drawing.data[name]
    return [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]


def without(seen: CaseSeen) -> CaseSeen:
    """The case with its latencies unavailable."""
    absent = {n: Measurement.unavailable(m.unit, "it crashed") for n, m in seen.row.metrics.items()}
    return CaseSeen(run=0, row=msgspec.structs.replace(seen.row, metrics=absent), label="none")


def test_every_kind_has_the_name_of_its_module_and_a_title() -> None:
    assert [KINDS[name].name for name in NAMES] == list(KINDS) == list(NAMES)
    assert all(kind.title for kind in KINDS.values())


def test_a_name_that_is_no_kind_is_not_among_them() -> None:
    assert "pie" not in KINDS
    assert "ecdf" in KINDS
    with pytest.raises(UserError, match="did you mean 'ecdf'"):
        kind_of("eccdf")


def test_without_what_draws_each_option_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without(*names: str) -> None:
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *more: None if name in names else find(name, *more)
        )

    without("altair", "vl_convert")
    with pytest.raises(UserError, match="charts need altair and vl-convert-python, not installed here"):
        check_libraries("--svg")
    without("jinja2")
    check_libraries("--svg")
    with pytest.raises(UserError, match="a page needs jinja2, not installed here"):
        check_page_libraries("bench report")


@pytest.mark.parametrize("name", NAMES)
def test_of_nothing_each_kind_says_why_it_is_not_drawn(name: str) -> None:
    made = KINDS[name].draw(gathered(without(case())))
    assert made
    assert all(isinstance(each, Undrawn) and each.reason for each in made)


def test_the_points_of_the_line_are_the_quantiles_of_the_samples() -> None:
    seen = case()
    points = rows_of(the_one(ecdf.draw(gathered(seen))), "ecdf")
    assert seen.distribution is not None
    assert [p["latency"] for p in points] == pytest.approx([v * 1e6 for v in seen.distribution.quantiles])
    assert [p["share"] for p in points] == pytest.approx(seen.distribution.at, abs=1e-6)


def test_percentiles_are_those_of_the_table_with_their_intervals_the_fastest_first() -> None:
    slow, fast = case("slow", 200.0), case("fast", 20.0)
    points = rows_of(the_one(percentiles.draw(gathered(slow, fast))), "percentiles")
    assert [(p["label"], p["figure"]) for p in points] == [("fast", "p50"), ("slow", "p50")]
    assert (points[0]["latency"], points[0]["low"], points[0]["high"]) == pytest.approx((20.0, 19.8, 20.2))
    assert points[0]["interval"] == "19.8 to 20.2 µs, 95 %"
    assert (points[0]["n"], points[0]["how"]) == (100, "measured: clock")


def test_a_case_without_latency_is_left_out_and_said() -> None:
    drawing = the_one(percentiles.draw(gathered(case(), without(case()))))
    assert "1 of 2 cases has no latency" in drawing.spec["title"]["subtitle"]


def test_of_very_many_cases_a_reader_chooses() -> None:
    seen = [case(f"v{at}", 20.0 + at) for at in range(70)]
    assert the_one(percentiles.draw(gathered(*seen[:5]))).scope == "all"
    assert the_one(percentiles.draw(gathered(*seen))).scope == "chosen"


def test_a_violin_has_the_shape_of_the_samples_and_the_median_of_the_table() -> None:
    seen = case()
    drawing = the_one(violin.draw(gathered(seen)))
    (box,) = rows_of(drawing, "cases")
    outline = [p for p in rows_of(drawing, "violin") if p["width"] is not None]
    assert max(p["width"] for p in outline) == 1
    assert box["median"] == pytest.approx(80.0)
    assert box["least"] < box["low"] < box["median"] < box["high"] < box["p99"] < box["most"]


def test_samples_that_are_all_alike_still_have_their_box() -> None:
    seen = case(distribution=distribution(np.full(500, 80_000)))
    drawing = the_one(violin.draw(gathered(seen)))
    assert len(rows_of(drawing, "violin")) == 1
    assert image(drawing, ".svg").startswith(b"<svg")


def test_readings_are_drawn_in_a_panel_a_group_and_what_is_missing_is_said_not_drawn() -> None:
    drawing = the_one(timeline.draw(gathered(timed(power(10.0, 20.0, 15.0), temperature="no thermometer"))))
    marks, (told,) = rows_of(drawing, "timeline"), rows_of(drawing, "cases")
    assert {mark["panel"] for mark in marks} == {"power, W"}
    assert [mark["value"] for mark in marks if mark["value"] is not None] == [10, 20, 15]
    assert [(m["what"], m["t"], m["until"]) for m in marks if m["until"] is not None] == [
        ("load", 0, 1),
        ("measure", 1, 3),
    ]
    assert "no temperature: no thermometer" in told["label"]


def test_an_estimate_of_power_is_called_one() -> None:
    drawing = the_one(timeline.draw(gathered(timed(power(10.0, 20.0, estimated=True)))))
    assert any("(estimate)" in mark["what"] for mark in rows_of(drawing, "timeline"))


def test_without_any_reading_the_reasons_are_given() -> None:
    (made,) = timeline.draw(gathered(timed(power="no RAPL here")))
    assert isinstance(made, Undrawn)
    assert made.reason == "power: no RAPL here"


def test_operators_have_fp32_beside_them_where_its_profile_was_kept() -> None:
    fp32 = case("fp32", operators=profile(("Conv", "float32", 90.0), ("Relu", "float32", 10.0)))
    int8 = case("int8", operators=profile(("Conv", "int8", 30.0), ("QuantizeLinear", None, 10.0)))
    drawing = the_one(operators.draw(gathered(fp32, int8)))
    bars = [bar for bar in rows_of(drawing, "operators") if bar["case"] == 1]
    assert {(b["type"], b["side"]): round(b["share"], 3) for b in bars} == {
        ("Conv", "this case"): 0.75,
        ("Conv", "fp32 beside it"): 0.9,
        ("QuantizeLinear", "this case"): 0.25,
        ("QuantizeLinear", "fp32 beside it"): 0,
        ("Relu", "this case"): 0,
        ("Relu", "fp32 beside it"): 0.1,
    }
    assert {b["value"] for b in bars if not b["count"]} == {"none"}
    # It comes first, since it has more to show than fp32 alone.
    assert {bar["case"] for bar in whole(drawing)["datasets"]["operators"]} == {1}


def test_many_types_of_operators_are_added_up() -> None:
    made = profile(*((f"Type{at}", None, 100.0 - at) for at in range(30)))
    bars = rows_of(the_one(operators.draw(gathered(case(operators=made)))), "operators")
    assert len(bars) == 12
    assert bars[-1]["type"] == "all others (19 types)"
    assert sum(bar["share"] for bar in bars) == pytest.approx(1)


def test_only_chosen_cases_are_in_what_is_drawn() -> None:
    drawing = the_one(ecdf.draw(gathered(*(case(f"v{at}") for at in range(12)))))

    def drawn(chosen: list[int] | None) -> set[int]:
        return {each["case"] for name in ("ecdf", "cases") for each in whole(drawing, chosen)["datasets"][name]}

    assert drawn(None) == set(range(8))
    assert drawn([3, 11]) == {3, 11}
    assert seen_in(drawing) == "8 cases are drawn of 12: choose with --only"
    assert seen_in(drawing, [3, 11]) is None
    with pytest.raises(UserError, match="nothing to draw"):
        whole(drawing, [99])


def test_specifications_name_their_data_and_no_black() -> None:
    everything = gathered(case(operators=profile(("Conv", None, 1.0))), timed(power(1.0, 2.0)))
    for kind in (ecdf, percentiles, violin, timeline, operators):
        drawing = the_one(kind.draw(everything))
        text = json.dumps(drawing.spec)
        assert "black" not in text
        assert "#000" not in text
        assert all(f'{{"name": "{name}"}}' in text for name in drawing.data)
        assert drawing.about
        assert "case" in drawing.data[kind.KIND.name]


@pytest.mark.parametrize("kind", [ecdf, percentiles, violin, timeline, operators])
def test_hostile_names_are_drawn_as_text(kind: Any) -> None:
    seen = timed(power(1.0, 2.0))
    made = [
        CaseSeen(
            run=0,
            row=_named(seen.row, name),
            label=f"{name}/{at}",
            distribution=seen.distribution,
            timeline=seen.timeline,
            operators=profile((name, None, 1.0)),
        )
        for at, name in enumerate(HOSTILE)
    ]
    drawing = the_one(kind.draw(gathered(*made)))
    for chosen in [[0], [3]] if drawing.scope == "one" else [list(range(len(made)))]:
        drawn = image(drawing, ".svg", chosen).decode()
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(drawn).iter()}
        assert tags <= {"svg", "g", "path", "text", "tspan", "rect", "line", "defs", "clipPath", "title"}


def _named(known: Row, name: str) -> Row:
    return msgspec.structs.replace(known, case=msgspec.structs.replace(known.case, model=name))


def test_what_is_otherwise_on_a_narrow_screen_is_in_the_specification() -> None:
    everything = gathered(case(operators=profile(("Conv", None, 1.0))), timed(power(1.0, 2.0)))
    for kind in (violin, timeline, operators):
        check_narrow(the_one(kind.draw(everything)))


def test_names_of_phases_stand_only_where_they_have_room() -> None:
    phases = [("spawn", 0.0, 0.1), ("import", 0.1, 0.2), ("warm-up", 0.2, 0.6), ("measure", 0.6, 4.6)]
    found = Timeline(
        invocation=0,
        phases=tuple(Stretch(name=name, start_s=start, end_s=end) for name, start, end in phases),
        series=(power(1.0, 2.0),),
    )
    words = [m for m in rows_of(the_one(timeline.draw(gathered(case(timeline=found)))), "timeline") if m["room"]]
    assert [word["what"] for word in words] == ["warm-up", "measure"]
    assert [word["room"] for word in words] == pytest.approx([0.4 / 4.6, 4 / 4.6])


def test_one_wide_interval_of_a_percentile_is_cut_and_said() -> None:
    seen = case()
    wide = msgspec.structs.replace(seen.row.metrics["p50_latency"], low=1e-12, high=1e6)
    row = msgspec.structs.replace(seen.row, metrics={**seen.row.metrics, "p50_latency": wide})
    drawing = the_one(percentiles.draw(gathered(CaseSeen(run=0, row=row, label="wide"))))
    (point,) = rows_of(drawing, "percentiles")
    assert (point["low"], point["high"]) == pytest.approx((20.0, 320.0))
    assert "1,000,000,000,000" in point["interval"]
    assert "intervals cut at the axis' end: 1" in drawing.spec["title"]["subtitle"]


def test_calls_of_another_kind_are_not_put_among_the_fastest() -> None:
    served = case("served", 1.0)
    of_server = msgspec.structs.replace(served.row.case, scenario="server")
    served = CaseSeen(run=0, row=msgspec.structs.replace(served.row, case=of_server), label="served")
    single = [case("slow", 90.0), case("fast", 20.0)]
    drawing = the_one(percentiles.draw(gathered(*single, served)))
    places = list(dict.fromkeys(point["label"] for point in rows_of(drawing, "percentiles")))
    assert abs(places.index("fast") - places.index("slow")) == 1
    assert "scenario and batch together" in drawing.about


def test_a_chart_that_knows_no_cases_refuses_a_choice() -> None:
    drawing = Drawing("robustness", "t", "", {"mark": "point"}, {"curves": {"value": [1.0]}})
    with pytest.raises(UserError, match="cannot be chosen"):
        whole(drawing, [0])


def test_what_is_not_in_the_picture_is_told_with_its_reason() -> None:
    assert not_drawn([Undrawn("comparison", "times", "other machine")]) == ["not drawn: times: other machine"]


def test_long_labels_that_differ_in_the_middle_stay_apart() -> None:
    long = [case(label="a" * 100 + middle + "b" * 100) for middle in "xy"]
    names = {each["label"] for each in rows_of(the_one(ecdf.draw(gathered(*long))), "cases")}
    assert len(names) == 2
    assert max(map(len, names)) < 100


def test_a_picture_is_larger_by_its_scale() -> None:
    drawing = the_one(percentiles.draw(gathered(case())))

    def width(scale: float) -> int:
        return int(struct.unpack(">I", image(drawing, ".png", scale=scale)[16:20])[0])

    assert width(2.0) == pytest.approx(2 * width(1.0), abs=2)


def test_cases_are_chosen_by_name_label_or_glob() -> None:
    found = gathered(case("fp32"), case("int8"))
    assert places(["int8"], found, "--only") == [1]
    assert places(["*/fp32/*", "int8"], found, "--only") == [0, 1]
    with pytest.raises(UserError, match="unknown case"):
        places(["*/fp64/*"], found, "--only")


def test_only_the_axes_of_pareto_can_be_chosen() -> None:
    with pytest.raises(UserError, match="axes of ecdf"):
        drawings(gathered(case()), "ecdf", x="size")
    with pytest.raises(UserError, match="there is nothing to draw: no power"):
        joined([Undrawn("timeline", "t", "no power")], "t", "run")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".json"])
def test_bench_plot_writes_the_picture_that_its_ending_names(tmp_path: Path, suffix: str) -> None:
    keep_small(tmp_path / "results", RUN)
    done = bench("plot", "latest", "ecdf", "-o", f"x{suffix}", "--only", "*/int8/*", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    content = (tmp_path / f"x{suffix}").read_bytes()
    assert content.startswith({".png": b"\x89PNG", ".svg": b"<svg", ".json": b"{"}[suffix])
    if suffix == ".json":
        assert {each["case"] for each in json.loads(content)["datasets"]["ecdf"]} == {1}


def test_bench_plot_says_how_many_cases_it_has_left_out(tmp_path: Path) -> None:
    seen = [observed(f"v{at}", 80.0 + at) for at in range(70)]
    keep(tmp_path / "results", RUN, list(map(row_of, seen)), seen)
    done = bench("plot", "latest", "ecdf", "-o", "x.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = {each["case"] for each in json.loads((tmp_path / "x.json").read_bytes())["datasets"]["ecdf"]}
    assert f"{len(drawn)} cases are drawn of 70: choose with --only" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ecfd", "-o", "x.png"), "did you mean 'ecdf'"),
        (("ecdf", "-o", "x.gif"), ".png, .svg, .json"),
        (("robustness", "-o", "x.png"), "nothing was measured under corruption"),
        (("ecdf", "-o", "x.png", "--only", "*/fp64/*"), "unknown case"),
        (("ecdf", "-o", "x.png", "--only", "*/pruned/*"), "nothing to draw"),
        (("ecdf", "-o", "x.png", "--x", "size"), "axes of ecdf"),
        (("comparison", "-o", "x.png", "--baseline", "nothing"), "nothing"),
    ],
)
def test_what_cannot_be_drawn_is_a_clear_error_and_leaves_no_file(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    keep_small(tmp_path / "results", RUN)
    done = bench("plot", "latest", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert not list(tmp_path.glob("x.*"))
