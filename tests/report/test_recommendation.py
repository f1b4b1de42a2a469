"""The five lines of a recommendation, the table and the JSON; the front as table and chart."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bench.analyse.appraise import Bills
from bench.analyse.cost import Terms
from bench.analyse.pareto import fronts
from bench.analyse.recommend import recommend
from bench.errors import UserError
from bench.record.choice import Choice
from bench.record.codec import json_bytes
from bench.record.recommendation import Recommendation
from bench.report import pareto
from bench.report import recommend as texts
from bench.report.charts.drawing import Drawing
from bench.report.charts.pareto import axes, of_front, write
from bench.suite.effort import Effort
from tests.analyse.chosen import around, choice
from tests.analyse.costed import profile
from tests.analyse.test_recommend import asked, bills, cases, served

anything = st.text(st.characters(codec=None, exclude_categories=[]), max_size=30)


def drawn(show: Callable[[Console], None], width: int = 240) -> str:
    """What is printed, without colour."""
    out = io.StringIO()
    show(Console(file=out, width=width, color_system=None))
    return out.getvalue()


def few() -> list[Choice]:
    """Three of which int8 is the fastest that is good enough."""
    return [
        choice("fp32", p50_latency=around(10e-6), accuracy=(0.99, 0.985, 0.995), size=102400.0),
        choice("int8", p50_latency=around(4e-6), accuracy=(0.98, 0.975, 0.985), size=25600.0),
        choice("pruned", p50_latency=around(2e-6), accuracy=(0.90, 0.89, 0.91), size=20480.0),
    ]


def serving(**more: object) -> Recommendation:
    choices = [served("fp32", around(1000.0, 0.02)), served("int8", around(4000.0, 0.02))]
    return recommend(choices, asked(objective="cost", traffic=10_000.0, max_p99_s=0.01, **more), bills())


def test_the_five_lines_say_choice_gains_rivals_limit_and_confidence():
    assert texts.lines(recommend(few(), asked(min_quality=0.97))) == (
        "m/int8/onnxruntime-cpu/t1/b1: p50 4.00 µs [3.96, 4.04]",
        "against fp32: p50 -60.0 % [-60.8, -59.2] (4.00 µs from 10.0 µs); "
        "accuracy -1.00 pt [-2.00, 0.00] (0.9800 from 0.9900); size -75.0 % (25.0 KiB from 100 KiB)",
        "pruned (accuracy ≥ 0.9700 missed: 0.9000 [0.8900, 0.9100], by 8.2 %); "
        "fp32 (surely worse: p50 +150.0 % [145.0, 155.1])",
        "accuracy ≥ 0.9700: could be tightened by 0.5 %, to 0.9750, and it still holds",
        "sure: by its interval no other choice is better",
    )


def test_with_traffic_they_hold_replicas_machines_and_that_the_price_is_an_example():
    choice_line, _, _, binds, confidence = texts.lines(serving())
    assert choice_line == (
        "m/int8/onnxruntime-cpu/t1/b1: cost of a month 365 USD estimated, 4 replicas on 1 machine of box "
        "for 10,000 requests/s with 30 % head-room"
    )
    assert binds.startswith("p99 under load ≤ 10.0 ms: its capacity was searched under just this bound")
    assert "the price is the example of box (0.5 USD an hour): put yours there" in confidence
    assert "estimated: " in confidence


def test_what_is_undecided_says_how_many_more_samples_would_decide():
    two = [choice("fp32", p50_latency=around(10.0, 0.1)), choice("int8", p50_latency=around(9.0, 0.06))]
    (_, _, rivals, _, confidence) = texts.lines(recommend(two, asked()))
    assert "fp32 (p50 +11.1 % [-5.7, 30.0], but the intervals meet; about" in rivals
    assert "more samples of p50 each" in confidence
    assert "undecided between 2" in confidence


def test_without_a_feasible_choice_they_say_which_limit_to_relax_by_how_much():
    found = recommend(few(), asked(min_quality=0.99))
    none, relax, nearest, binds, confidence = texts.lines(found)
    assert none == "none is surely within accuracy ≥ 0.9900: 1 not sure, 2 missed"
    assert relax == "--min-accuracy from 0.9900 to 0.9850 (by 0.5 %): then fp32"
    assert nearest.startswith("fp32 (accuracy ≥ 0.9900 not sure: 0.9900 [0.9850, 0.9950]; the limit lies within")
    assert binds == "accuracy ≥ 0.9900: not surely met by 3 of 3"
    assert confidence.startswith("not enough evidence")
    surely = texts.lines(recommend(few(), asked(max_size=10.0)))
    assert surely[0] == "none is within size ≤ 10.0 B: 3 missed"
    assert surely[4].startswith("sure")


def test_an_estimate_and_a_part_that_is_not_known_are_said_in_the_confidence():
    assert texts.lines(serving())[4].startswith("sure as far as the estimates hold: ")
    effort = Effort.model_validate({"life_months": 1, "engineering": {"rate_per_hour": 90, "hours": {"fp32": 4}}})
    both = [served("fp32", around(1000.0, 0.02)), served("int8", around(4000.0, 0.02))]
    found = recommend(both, asked(objective="cost", traffic=10.0), bills(effort=effort))
    _, _, rivals, _, confidence = texts.lines(found)
    why = "engineering: the costs file states no [engineering.hours] for int8"
    assert why in rivals
    assert why in confidence
    assert confidence.startswith("undecided between 2: against int8")
    assert "not known for any, so not counted: collection: the costs file states no [data] collection" in confidence
    shown = drawn(lambda console: texts.show(console, found))
    assert "≥ at least: a part that is not known is not zero" in shown


def whys(found: Recommendation) -> dict[str, str]:
    """By variant, why it is not the choice."""
    names = texts.Names(each.name for each in found.candidates)
    return {each.choice.variant: texts.why(each, found, names) for each in found.candidates}


def test_who_is_dominated_is_told_by_whom_in_what_and_where_the_objective_ties():
    limited = [choice(v, size=5.0, accuracy=around(x, 0.005)) for v, x in (("fp32", 0.96), ("int8", 0.98))]
    found = recommend(limited, asked(objective="size", min_quality=0.95))
    assert whys(found)["fp32"] == "int8 is surely as good or better in accuracy and size"
    tied = [
        choice(variant, peak_rss=around(rss, 0.1), p50_latency=around(p50), accuracy=around(quality, 0.001), size=size)
        for variant, rss, p50, quality, size in (("fp32", 99.0, 9.0, 0.95, 4.0), ("int8", 100.0, 3.0, 0.97, 1.0))
    ]
    assert whys(recommend(tied, asked(objective="memory")))["fp32"] == (
        "as good in peak RSS within noise, but int8 is surely as good or better in accuracy, p50 and size"
    )


def test_a_share_that_is_surely_worse_is_behind_by_points():
    two = [choice("fp32", accuracy=(0.99, 0.985, 0.995)), choice("int8", accuracy=(0.95, 0.94, 0.96))]
    assert whys(recommend(two, asked(objective="accuracy")))["int8"] == (
        "surely worse: accuracy -4.00 pt [-5.50, -2.50]"
    )


def test_without_a_part_that_all_lack_it_is_undecided_by_the_known_parts_and_says_so():
    own = Bills(terms=Terms(profile=profile(idle=None, tdp=None)))
    choices = [served("fp32", around(1000.0)), served("int8", around(9000.0))]
    found = recommend(choices, asked(objective="cost", traffic=10_000.0), own)
    assert whys(found)["fp32"] == (
        "cost of a month ≥ ≈1,461 USD against ≥ ≈365 USD; which is better is not known without work, rest"
    )
    confidence = texts.lines(found)[4]
    assert confidence.startswith("undecided between 2 as far as the known parts go: against fp32; ")
    assert "not known for any, so not counted: work, rest: " in confidence


def test_what_is_dearer_by_its_known_parts_alone_has_no_ratio():
    hours = {"engineering": {"rate_per_hour": 90, "hours": {"int8": 1}}}
    free = {"data": {"collection": 0, "labelling": 0}, "training": {"cost": 0}, "life_months": 1}
    choices = [served("fp32", around(10.0)), served("int8", around(4000.0))]
    want = asked(objective="cost", traffic=2000.0)
    found = recommend(choices, want, bills(effort=Effort.model_validate(free | hours)))
    assert "no ratio, as a part is not known (" in texts.lines(found)[1]
    assert whys(found)["fp32"] == "surely worse: cost of the model's life ≥ ≈25,933 USD against 455 USD"


def test_without_prices_the_replicas_are_told_and_no_machines():
    found = recommend([served("fp32", around(1000.0), p50_latency=around(1e-3))], asked(traffic=1000.0))
    assert texts.lines(found)[0].endswith(", 2 replicas for 1,000 requests/s with 30 % head-room")


def test_replicas_have_the_ends_that_the_capacity_allows_and_a_dash_where_there_is_none():
    choices = [
        served("fp32", around(1000.0, 0.3), p50_latency=around(1e-3)),
        served("int8", None, bound_s=None, p50_latency=around(1e-4)),
    ]
    table = texts.table(recommend(choices, asked(traffic=10_000.0)))
    (replicas,) = (column.cells for column in table.columns if column.title == "replicas")
    assert replicas == ("15 [11, 21]", "–")


def test_a_run_that_is_not_complete_is_said_to_be_in_every_answer():
    note = "the run is not complete (running)"
    found = recommend(few(), asked(min_quality=0.97), unfinished=[note])
    assert texts.lines(found)[4] == f"not sure, although by its interval no other choice is better; {note}"
    assert note in drawn(lambda console: pareto.show(console, fronts(few()), [note]))


def test_a_projection_is_labelled_in_every_line_and_in_the_table():
    projected = [
        choice(v, p50_latency=around(x), accuracy=around(0.9), size=1.0, projected="a100")
        for v, x in (("fp32", 2.0), ("int8", 1.0))
    ]
    for want in (asked(), asked(max_size=0.5)):
        found = recommend(projected, want)
        assert all(line.startswith("projected to a100: ") for line in texts.lines(found))
        assert "projected to a100" in texts.table(found).title


@given(cases())
@settings(deadline=None, max_examples=60)
def test_there_are_always_five_lines_of_text_and_a_whole_table(case):
    found = recommend(*case)
    lines = texts.lines(found)
    assert len(lines) == len(texts.heads(found)) == 5
    assert all(line.strip() and "\n" not in line for line in lines)
    table = texts.table(found)
    assert {len(column.cells) for column in table.columns} == {len(found.candidates)}
    for candidate, why in zip(found.candidates, table.columns[-1].cells, strict=True):
        assert bool(why) == (candidate.standing != "chosen")


@given(anything, anything)
@settings(deadline=None, max_examples=50)
def test_no_text_of_a_run_reaches_the_terminal_as_a_control(failure, warning):
    found = recommend(
        [choice("fp32", p50_latency=around(1.0), warnings=(warning,)), choice("x", failure=failure)], asked()
    )
    shown = drawn(lambda console: texts.show(console, found))
    assert not [char for char in shown if ord(char) < 32 and char != "\n"]


def test_json_holds_every_number_of_the_answer():
    told = json.loads(json_bytes(texts.document(serving(budget=1000.0))))
    assert list(told["lines"]) == list(texts.HEADS)
    (best,) = (c for c in told["candidates"] if c["name"] == told["chosen"])
    assert best["objective"]["value"] == pytest.approx(365.25)
    assert best["replicas"]["figure"]["value"] == 4
    assert best["machines"]["figure"]["value"] == 1
    assert best["money"]["parts"]
    assert (told["traffic"], told["headroom"]) == (10_000.0, 0.3)
    assert told["binding"]["on"] == "budget"
    assert told["binding"]["slack"] == pytest.approx(1 - 365.25 / 1000)
    (gain,) = (g for g in told["gains"] if g["metric"] == "cost")
    assert gain["ratio"]["value"] == pytest.approx(0.25)
    assert all("why" in candidate for candidate in told["candidates"])


@pytest.mark.parametrize("width", [60, 100, 240])
def test_why_stands_beside_or_below_the_table_whatever_the_width(width):
    shown = drawn(lambda console: texts.show(console, recommend(few(), asked(min_quality=0.97))), width)
    assert "surely worse" in shown
    assert "p50 +150.0 %" in " ".join(shown.split())


# The front


def test_the_front_shows_who_is_on_it_and_who_keeps_the_others_off():
    found = fronts([*few(), choice("fp16", p50_latency=around(11e-6), accuracy=(0.90, 0.89, 0.91), size=2e6)])
    shown = drawn(lambda console: pareto.show(console, found))
    assert "surely off" in shown
    assert "dominated by " in shown
    assert "surely on" in shown
    told = json.loads(json_bytes(pareto.document(found)))
    assert {p["variant"]: p["standing"] for p in told["fronts"][0]["placed"]}["fp16"] == "off"


def test_the_chart_has_intervals_both_ways_a_line_and_a_logarithmic_time():
    (front,) = fronts(few())
    made = of_front(front, "p50_latency", "accuracy")
    assert isinstance(made, Drawing)
    marks = [layer["mark"]["type"] for layer in made.spec["layer"]]
    assert marks[:4] == ["line", "rule", "rule", "point"]
    data = made.data["choices"]
    for name in ("p50_latency_low", "p50_latency_high", "accuracy_low", "accuracy_high"):
        assert all(isinstance(value, float) for value in data[name])
    assert made.spec["layer"][3]["encoding"]["x"]["scale"]["type"] == "log"
    assert "surely on" in data["front__p50_latency__accuracy"]


def test_two_of_the_objectives_are_drawn_quality_upwards():
    assert axes(("accuracy", "p50_latency", "size")) == ("p50_latency", "accuracy")
    assert axes(("p50_latency", "size")) == ("p50_latency", "size")
    with pytest.raises(UserError, match="two figures"):
        axes(("accuracy",))


def test_a_chart_is_written_whole_or_refused_with_a_reason(tmp_path: Path):
    write(tmp_path / "front.svg", fronts(few()), "p50_latency", "accuracy")
    assert (tmp_path / "front.svg").read_text().startswith("<svg")
    with pytest.raises(UserError, match="SVG"):
        write(tmp_path / "front.png", fronts(few()), "p50_latency", "accuracy")
    with pytest.raises(UserError, match="no choice has both"):
        write(tmp_path / "none.svg", fronts([choice("fp32", size=1.0)]), "p50_latency", "accuracy")
