"""The charts of the front, of a comparison, of robustness and of the roofline, and the look that all charts share."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vl_convert import vegalite_to_vega

from bench.analyse.choices import choices_of
from bench.analyse.compare import Comparison
from bench.analyse.pareto import front, standings
from bench.errors import UserError
from bench.record.comparison import Change
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Cell, Robustness
from bench.record.row import Row
from bench.report.charts import comparison, pareto, robustness, roofline, theme
from bench.report.charts.draw import image, whole
from bench.report.charts.drawing import Drawing, Undrawn
from bench.report.charts.stacked import stacked
from bench.runner.conduct import RunResult
from bench.runner.gather import CaseSeen, Gathered
from bench.stats.dominance import dominates
from bench.stats.dominance import standings as of_points
from tests.report.narrowed import check_narrow
from tests.report.test_robustness_section import found as under_corruption
from tests.report.test_tables import NASTY, manifest_for, row

PAIR = ("p50_latency", "accuracy")
BLACK = re.compile(r'"(black|#0{3}(0{3})?)"')


def measured(metric: str, value: float, half: float | None = 0.02, how: str = "measured:by hand") -> Measurement:
    """A figure known to ± `half` of it; None: without an interval."""
    low, high = (None, None) if half is None else (value * (1 - half), value * (1 + half))
    return Measurement(value=value, unit=METRICS[metric].unit, n=10, how=how, low=low, high=high)


def with_figures(variant: str, model: str = "m", **figures: float | Measurement) -> Row:
    """A row with these figures, those that are numbers known to ± 2 %."""
    made = row(variant, model)
    own = {n: f if isinstance(f, Measurement) else measured(n, f) for n, f in figures.items()}
    return msgspec.structs.replace(made, metrics={**made.metrics, **own})


def gathered(*rows: Row, **more: Any) -> Gathered:
    """A run of these rows."""
    run = RunResult(folder="", manifest=manifest_for(*rows), rows=rows)
    cases = tuple(CaseSeen(run=0, row=each, label=each.case.variant) for each in rows)
    return Gathered(runs=(run,), cases=cases, **more)


THREE = gathered(
    with_figures("fp32", p50_latency=80e-6, accuracy=0.99, throughput=12e3, size=4e6),
    with_figures("int8", p50_latency=20e-6, accuracy=0.80, throughput=40e3, size=1e6),
    with_figures("slow", p50_latency=400e-6, accuracy=0.70, throughput=2e3, size=8e6),
)


def only(drawings: Sequence[Drawing | Undrawn]) -> Drawing:
    (made,) = drawings
    assert isinstance(made, Drawing), made
    return made


def parsed(drawing: Drawing, **more: Any) -> ElementTree.Element:
    return ElementTree.fromstring(image(drawing, ".svg", **more))


def words(drawing: Drawing) -> str:
    return " ".join(parsed(drawing).itertext())


# The front


def test_points_of_any_two_metrics_say_where_they_stand_and_keep_their_intervals():
    made = only(pareto.drawings(THREE, *PAIR))
    data = made.data["choices"]
    assert data["front__p50_latency__accuracy"] == ["surely on", "surely on", "surely off"]
    assert data["p50_latency"] == pytest.approx([80, 20, 400])
    assert data["p50_latency_low"] == pytest.approx([78.4, 19.6, 392])
    assert data["case"] == [0, 1, 2]
    assert {"size", "throughput_told"}.isdisjoint(data), "a picture of two metrics carries no other"
    other = only(pareto.drawings(THREE, "size", "throughput")).data["choices"]
    assert other["front__size__throughput"] == ["surely off", "surely on", "surely off"]


def test_an_axis_says_which_way_is_better_and_whether_its_figures_are_estimates():
    guess = measured("energy", 2e-3, how="estimated:tdp")
    rows = [with_figures("fp32", energy=guess, accuracy=0.9), with_figures("int8", energy=1e-3, accuracy=0.8)]
    told = words(only(pareto.drawings(gathered(*rows), "energy", "accuracy")))
    assert "energy, mJ (1 of 2 estimated) · ← lower is better" in told
    assert "accuracy · higher is better →" in told


@pytest.mark.parametrize(("x", "y"), list(itertools.permutations(("p50_latency", "accuracy", "size"), 2)))
def test_the_page_can_draw_any_pair_from_the_template_as_it_is_drawn_from_here(x: str, y: str):
    page = only(pareto.draw(THREE))
    held = page.spec["usermeta"]
    metrics = list(held["axes"])
    first, second = sorted((x, y), key=metrics.index)
    values = {"$front": f"front__{first}__{second}", "$place": f"place__{x}__{y}"}
    for axis, metric in (("x", x), ("y", y)):
        values |= {f"${axis}.{key}": value for key, value in held["axes"][metric].items()}
    spec = pareto.fill(held["template"], values)
    assert "$x" not in json.dumps(spec)
    assert {"field": "$front"} not in spec["transform"]
    here = only(pareto.drawings(THREE, x, y))
    drawn = {**here.spec, "usermeta": None}
    # From here the data hold one pair, in the order in which it was asked for.
    asked = json.dumps(drawn).replace(f"front__{x}__{y}", values["$front"])
    assert json.loads(asked) == {**spec, "usermeta": None}
    for name in ("$front", "$place"):
        own = f"front__{x}__{y}" if name == "$front" else values[name]
        assert page.data["choices"][values[name]] == here.data["choices"][own]


def test_what_may_be_put_on_an_axis_is_what_some_choice_has_a_figure_of():
    assert pareto.axis_choices(THREE) == ["accuracy", "p50_latency", "throughput", "size"]
    assert only(pareto.draw(THREE)).spec["usermeta"]["x"] == "p50_latency"
    with pytest.raises(UserError, match="p50_latency"):
        pareto.drawings(THREE, "p50_latncy", "accuracy")
    with pytest.raises(UserError, match="better than another"):
        pareto.drawings(THREE, "cpu_utilisation", "accuracy")
    with pytest.raises(UserError, match="two figures"):
        pareto.drawings(THREE, "size", "size")


def test_of_two_models_the_one_with_a_single_figure_has_no_front_and_says_so():
    two = gathered(
        with_figures("fp32", p50_latency=80e-6, size=4e6),
        msgspec.structs.replace(
            with_figures("fp32", model="other"),
            metrics={n: Measurement.unavailable(m.unit, "not here") for n, m in METRICS.items()},
        ),
    )
    drawn_, none = pareto.draw(two)
    assert isinstance(drawn_, Drawing)
    assert isinstance(none, Undrawn)
    assert none.reason == "no two figures are known of any choice"
    assert "other" in none.title


def test_an_axis_of_infinities_is_no_reason_not_to_draw():
    rows = [with_figures("fp32", p50_latency=measured("p50_latency", float("inf"), None), accuracy=0.9)]
    made = only(pareto.drawings(gathered(*rows), *PAIR))
    low, high = made.spec["layer"][3]["encoding"]["x"]["scale"]["domain"]
    assert low < high < float("inf")
    assert "accuracy · higher is better →" in words(made)


def test_a_choice_without_one_of_the_figures_is_not_drawn_and_the_text_says_why():
    rows = [with_figures("fp32", accuracy=0.9), with_figures("int8")]
    made = only(pareto.drawings(gathered(*rows), *PAIR))
    assert made.data["choices"]["front__p50_latency__accuracy"] == ["surely on", None]
    assert "Not drawn: int8" in made.about
    assert "no such counter" in made.about
    (none,) = pareto.drawings(gathered(with_figures("int8")), *PAIR)
    assert isinstance(none, Undrawn)
    assert "no such counter" in none.reason


def test_without_a_bill_there_is_no_cost_and_its_reason_is_told():
    (none,) = pareto.drawings(gathered(with_figures("fp32"), missing={"cost": "no prices"}), "cost", "p50_latency")
    assert isinstance(none, Undrawn)
    assert "no prices" in none.reason


def test_a_figure_without_an_interval_leaves_its_choice_undecided_and_the_text_says_so():
    rows = [
        with_figures("fp32", throughput=measured("throughput", 1e3, None)),
        with_figures("int8", throughput=measured("throughput", 9e3, None)),
    ]
    made = only(pareto.drawings(gathered(*rows), "size", "throughput"))
    assert made.data["choices"]["throughput_low"] == [None, None]
    assert set(made.data["choices"]["front__size__throughput"]) == {"undecided"}
    assert "2 of 2 have no interval of throughput" in made.about


def test_no_two_labels_lie_on_each_other_or_on_a_point():
    rows = [with_figures(f"v{at}", p50_latency=(50 + at % 7) * 1e-6, accuracy=0.9 + at / 1e3) for at in range(30)]
    drawing = only(pareto.drawings(gathered(*rows), *PAIR))
    texts = [e for e in parsed(drawing).iter() if e.tag.endswith("text") and re.fullmatch(r"v\d+", e.text or "")]
    assert 8 < len(texts) <= 30
    places = []
    for each in texts:
        x, y = map(float, re.findall(r"-?[\d.]+", each.attrib["transform"])[:2])
        width = 6 * len(each.text or "")
        places.append((x - width if each.attrib["text-anchor"] == "end" else x, y, width))
    for (x, y, width), (other, height, wide) in itertools.combinations(places, 2):
        assert x + width <= other + 1e-6 or other + wide <= x + 1e-6 or abs(y - height) >= 12.9


def test_two_hundred_choices_and_all_their_pairs_stay_small():
    rows = [
        with_figures(
            f"v{at}", p50_latency=(50 + at) * 1e-6, p99_latency=9e-5 + at * 1e-7, accuracy=0.9 / (at + 1), size=1e6
        )
        for at in range(200)
    ]
    made = only(pareto.draw(gathered(*rows)))
    rounded = json.dumps(
        {n: [float(f"{v:.6g}") if isinstance(v, float) else v for v in c] for n, c in made.data["choices"].items()}
    )
    assert len(rounded) < 200_000
    off = [at for at, word in enumerate(made.data["choices"]["front__accuracy__p50_latency"]) if word == "surely off"]
    assert len(off) > 150
    assert all(made.data["choices"]["place__p50_latency__accuracy"][at] is None for at in off)


figures_of = st.tuples(st.integers(1, 6), st.sampled_from([None, 0.0, 0.1, 0.4]))


@settings(max_examples=30)
@given(st.lists(st.tuples(figures_of, figures_of), min_size=1, max_size=6))
def test_where_choices_stand_is_what_the_front_says_of_them(given_: list[Any]):
    rows = [
        with_figures(f"v{at}", p50_latency=measured("p50_latency", *x), accuracy=measured("accuracy", *y))
        for at, (x, y) in enumerate(given_)
    ]
    choices = choices_of(manifest_for(*rows), rows)
    whole_front = front(choices, PAIR)
    assert standings(choices, PAIR, whole_front.better) == tuple(each.standing for each in whole_front.placed)


ends = st.sampled_from([-float("inf"), 0.0, 1.0, 2.0, float("inf")])
intervals = st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


@given(
    st.lists(st.tuples(intervals, intervals), max_size=6), st.sampled_from([("lower", "higher"), ("lower", "lower")])
)
def test_standing_of_points_is_what_dominance_of_each_pair_says(points: list[Any], ways: Any):
    def one(at: int) -> str:
        verdicts = {dominates(other, points[at], ways) for to, other in enumerate(points) if to != at}
        return "off" if "surely" in verdicts else "maybe" if "possibly" in verdicts else "on"

    assert of_points(points, ways) == [one(at) for at in range(len(points))]


# A comparison


def change(
    case: str, metric: str = "p50_latency", ratio: float | None = 1.1, half: float = 0.01, **more: Any
) -> Change:
    fields: dict[str, Any] = {"basis": "intervals", "n": 9, "confidence": 0.95}
    if ratio is not None:
        fields |= {"before": 1.0, "after": ratio, "ratio": ratio, "low": ratio * (1 - half), "high": ratio * (1 + half)}
    return Change(case=case, metric=metric, unit=METRICS[metric].unit, **{**fields, **more})


def compared(*changes: Change) -> Sequence[Drawing | Undrawn]:
    held = Comparison(
        before="old", after="new", shared=1, changes=changes, reference=None, refusing=(), allowed=(), notes=()
    )
    return comparison.draw(gathered(with_figures("fp32"), comparison=held))


def test_each_figure_is_a_row_with_its_verdict_and_what_matters_comes_first():
    case = with_figures("fp32").case.name
    made = only(
        compared(
            change("m/b/x", ratio=0.5),
            change(case, ratio=1.2),
            change("m/c/x", "size", 1.0, basis="exact"),
            change("m/d/x", ratio=1.001),
        )
    )
    data = made.data["changes"]
    assert data["verdict"] == ["worse", "better", "unclear", "same"]
    assert data["case"] == [0, None, None, None]
    assert data["low"][3] is None, "what is exact has no interval"
    assert "p50 · ← lower is better" in data["metric"]
    assert "1 worse, 1 better, 1 unclear, 1 same" in made.about
    told = words(made)
    for word in ("+20.0 % [18.8, 21.2]", "unchanged", "new against old", "1×"):
        assert word in told


def test_a_refused_comparison_is_said_with_its_reason_and_never_drawn():
    first, second = compared(change("a"), change("b", refused=True, ratio=None, before=1.0, absent="other kernel"))
    assert isinstance(first, Drawing)
    assert first.data["changes"]["name"] == ["a"]
    assert isinstance(second, Undrawn)
    assert second.reason == "other kernel (b p50)"
    (none,) = compared(change("b", refused=True, ratio=None, absent="other kernel"))
    assert isinstance(none, Undrawn)


def test_what_was_refused_is_named_by_what_tells_the_cases_apart():
    (none,) = compared(*(change(f"m@data/{v}/cpu/t1", refused=True, ratio=None, absent="other") for v in ("a", "b")))
    assert isinstance(none, Undrawn)
    assert none.reason == "other (a p50, b p50)"


def test_an_axis_has_no_sign_where_it_has_no_number():
    ticks = [text for text in parsed(only(compared(change("a", ratio=0.7)))).itertext() if text.endswith("×")]
    assert ticks
    assert "×" not in ticks


def test_a_comparison_of_several_figures_is_drawn_without_a_warning(capfd: pytest.CaptureFixture[str]):
    made = only(compared(change("a"), change("a", "size", 1.5), change("b", "size", 0.5)))
    vegalite_to_vega(whole(made), show_warnings=True)
    assert "WARN" not in "".join(capfd.readouterr())


def test_a_ratio_of_nothing_has_no_place_on_the_axis_and_is_said():
    drawn, said = compared(change("a"), change("b", "outlier_share", 0.0))
    assert isinstance(drawn, Drawing)
    assert isinstance(said, Undrawn)
    assert "a ratio of 0" in said.reason


def test_what_qualifies_a_figure_stands_under_the_title():
    made = only(compared(change("a", labels=("allowed: kernel",))))
    assert "allowed: kernel" in words(made)


def test_of_very_many_changes_those_that_matter_most_are_drawn_and_the_others_counted():
    made = only(compared(*(change(f"c{at:03}", ratio=1 + at / 100) for at in range(100))))
    assert len(made.data["changes"]["name"]) == 60
    assert made.data["changes"]["name"][0] == "c099"
    assert "the 60 that matter most of 100" in made.about


def test_one_wild_interval_does_not_flatten_all_others():
    made = only(compared(change("a"), change("b", ratio=1.2, low=1e-9, high=1e9)))
    low, high = made.spec["vconcat"][0]["layer"][2]["encoding"]["x"]["scale"]["domain"]
    assert 0.1 < low < 1 < high < 10
    assert min(made.data["changes"]["low"]) == pytest.approx(low)


def test_without_a_second_run_the_reason_is_told():
    (none,) = comparison.draw(gathered(with_figures("fp32"), missing={"comparison": "one run only"}))
    assert none == Undrawn("comparison", comparison.KIND.title, "one run only")


# Robustness and the roofline


def test_bars_of_robustness_bound_the_metric_as_its_share_is_bounded():
    made = only(robustness.draw(gathered(row(under_corruption=under_corruption(0.1)))))
    data = made.data["curves"]
    assert data["value"][1] == pytest.approx(0.81)
    assert (data["low"][1], data["high"][1]) == (0.0, pytest.approx(0.9))
    assert data["left"][1] == "0.900 [0.000, 1.000] of clean"
    assert data["low"][0] is None
    assert isinstance(robustness.draw(gathered(row()))[0], Undrawn)


@pytest.mark.parametrize(
    ("value", "ratio", "clean", "bounds"),
    [
        (0.81, 0.9, 0.9, (0.72, 0.9)),  # a share: what is left of it
        (2.5, 0.8, 2.0, (2.0, 2.5)),  # an error: its inverse is left
        (0.7, 0.9, 0.9, (None, None)),  # made in another way, of which nothing follows
    ],
)
def test_bars_turn_over_for_an_error_and_are_left_out_where_they_do_not_follow(
    value: float, ratio: float, clean: float, bounds: tuple[float | None, float | None]
):
    cell = Cell(corruption="blur", severity=1, value=value, ratio=ratio, low=0.8, high=1.0)
    found = Robustness(metric="mae", clean=clean, cells=(cell,), examples=9, seed=1)
    data = only(robustness.draw(gathered(row(under_corruption=found)))).data["curves"]
    assert (data["low"][1], data["high"][1]) == pytest.approx(bounds)


def test_a_run_whose_machine_is_not_known_has_no_roofline_and_says_why():
    (none,) = roofline.draw(gathered(row(), rooflines=(None,), missing={"roofline": "peaks unknown"}))
    assert isinstance(none, Undrawn)
    assert none.reason == "peaks unknown"


def test_a_point_says_what_its_figures_rest_on():
    (told, _) = only(pareto.drawings(gathered(*THREE.runs[0].rows[:2]), *PAIR)).data["choices"]["p50_latency_told"]
    assert told == "80.0 µs [78.4, 81.6] (n 10; measured: by hand)"


# The look


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_every_colour_stands_out_from_the_background_and_every_text_more_so(dark: bool):
    def contrast(colour: str) -> float:
        low, high = sorted((luminance(colour), luminance(theme.BACKGROUND[dark])))
        return (high + 0.05) / (low + 0.05)

    for colour in (*theme.PALETTE, theme.GOOD, theme.BAD, theme.OPEN, theme.MUTED):
        assert contrast(colour) >= 3
    made = theme.config(dark)
    for name in ("title", "axis", "legend", "header", "text"):
        for key, colour in made[name].items():
            if key in ("color", "labelColor", "titleColor", "subtitleColor"):
                assert contrast(colour) >= 4.5
    assert len(set(theme.PALETTE)) == len(set(theme.SHAPES)) == 8


def all_kinds(name: str) -> list[Drawing]:
    """Every kind with a hostile name in each place that a name can have."""
    rows = [
        msgspec.structs.replace(
            with_figures(f"{name}{at}", name, accuracy=0.9, p50_latency=1e-5 + at),
            under_corruption=under_corruption(names=(name, "blur")),
        )
        for at in range(2)
    ]
    held = Comparison(
        before=name,
        after=name,
        shared=2,
        changes=tuple(change(r.case.name, labels=(name,)) for r in rows),
        reference=None,
        refusing=(),
        allowed=(),
        notes=(),
    )
    seen = gathered(*rows, comparison=held)
    kinds = (pareto.KIND, comparison.KIND, robustness.KIND)
    return [each for kind in kinds for each in kind.draw(seen) if isinstance(each, Drawing)]


def test_what_is_otherwise_on_a_narrow_screen_is_in_the_specification():
    made = [each for each in all_kinds("m") if "narrow" in each.spec.get("usermeta", {})]
    assert {each.kind for each in made} == {"comparison", "robustness"}
    for each in made:
        check_narrow(each)


@pytest.mark.parametrize("name", [f"{NASTY[0]} a|b \"quoted\" & 'single'\n", NASTY[3]])
def test_no_name_breaks_a_chart_and_no_text_is_black(name: str):
    for drawing in all_kinds(name):
        text = image(drawing, ".svg", dark=True).decode()
        tags = {tag.tag.rpartition("}")[2] for tag in ElementTree.fromstring(text).iter()}
        assert "script" not in tags
        assert not BLACK.search(text)
        width = float(ElementTree.fromstring(text).attrib["width"])
        assert width < 1200, "a long name is cut"


def test_drawings_below_each_other_keep_their_titles_and_their_own_data():
    rows = [with_figures("fp32", model, accuracy=0.9) for model in ("one", "two")]
    made = [each for each in pareto.drawings(gathered(*rows), *PAIR) if isinstance(each, Drawing)]
    both = stacked(made, "Pareto front")
    assert set(both.data) == {"choices_0", "choices_1"}
    told = words(both)
    assert "one" in told
    assert "two" in told
    assert stacked(made[:1], "Pareto front") is made[0]
