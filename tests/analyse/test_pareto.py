"""The front under uncertainty: what is sure, what is not, and what would decide."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse.pareto import front, fronts
from bench.errors import UserError
from bench.record.choice import Choice
from tests.analyse.chosen import around, choice, measured

METRICS = ("accuracy", "p50_latency", "size")


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float]:
    low, value, high = sorted(draw(st.tuples(*[st.integers(1, 6)] * 3)))
    return float(value), float(low), float(high)


@st.composite
def many(draw: st.DrawFn) -> list[Choice]:
    """Choices whose figures often meet or are equal."""
    rows = draw(st.lists(st.tuples(boxes(), boxes(), st.integers(1, 4)), min_size=1, max_size=6))
    return [
        choice(f"v{at}", accuracy=quality, p50_latency=latency, size=float(size))
        for at, (quality, latency, size) in enumerate(rows)
    ]


def standing(found: list[Choice]) -> dict[str, str]:
    return {each.choice: each.standing for each in front(found, METRICS).placed}


@given(many(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_front_does_not_depend_on_the_order_of_the_choices(found, luck):
    shuffled = luck.sample(found, len(found))
    assert standing(shuffled) == standing(found)
    by_name = {each.choice: each for each in front(found, METRICS).placed}
    for each in front(shuffled, METRICS).placed:
        assert each.more == by_name[each.choice].more


@given(many(), st.sampled_from(METRICS), st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**30]))
@settings(deadline=None)
def test_the_front_does_not_depend_on_units(found, metric, factor):
    def scaled(one: Choice) -> Choice:
        figure = one.figures[metric]
        ends = {key: value * factor for key in ("value", "low", "high") if (value := getattr(figure, key)) is not None}
        return msgspec.structs.replace(one, figures=one.figures | {metric: msgspec.structs.replace(figure, **ends)})

    before, after = front(found, METRICS), front([scaled(one) for one in found], METRICS)
    assert [each.standing for each in after.placed] == [each.standing for each in before.placed]
    assert [each.more for each in after.placed] == [each.more for each in before.placed]


@given(many())
@settings(deadline=None)
def test_someone_is_always_left_and_who_is_off_is_dominated_by_one_who_is_not(found):
    placed = {each.choice: each for each in front(found, METRICS).placed}
    left = {name for name, each in placed.items() if each.standing != "off"}
    assert left
    for each in placed.values():
        assert (each.standing == "off") == any(blocker.surely for blocker in each.by)
        if each.standing == "off":
            assert left & {blocker.choice for blocker in each.by}


@given(many())
@settings(deadline=None)
def test_one_that_is_better_in_everything_by_far_puts_all_others_off(found):
    best = choice("best", accuracy=around(50.0), p50_latency=around(0.01), size=0.5)
    assert standing([*found, best]) == {each.name: "off" for each in found} | {best.name: "on"}


@given(many())
@settings(deadline=None)
def test_who_is_off_is_told_who_keeps_it_off_and_who_is_undecided_what_would_decide(found):
    for each in front(found, METRICS).placed:
        assert (each.more is not None) == (each.standing == "undecided")
        assert bool(each.by) == (each.standing in ("off", "undecided"))
        if each.more is not None and each.more.times is not None:
            assert each.more.times >= 1


def test_duplicates_both_stay():
    twins = [choice(v, accuracy=(1.0, 1.0, 1.0), p50_latency=(2.0, 2.0, 2.0), size=3.0) for v in ("a", "b")]
    assert set(standing(twins).values()) == {"on"}


def test_the_samples_that_would_decide_are_those_of_the_formula():
    # 10 ± 1 against 11 ± 1 with the sizes equal: they part at ((1 + 1) / 1)² = 4 times the samples.
    a = choice("a", p50_latency=(10.0, 9.0, 11.0), size=5.0, n=100)
    b = choice("b", p50_latency=(11.0, 10.0, 12.0), size=5.0, n=120)
    found = {each.variant: each for each in front([a, b], ("p50_latency", "size")).placed}
    for each in found.values():
        assert each.standing == "undecided"
        assert each.more is not None
        assert (each.more.metric, each.more.times, each.more.samples, each.more.of) == (
            "p50_latency",
            4.0,
            360,
            "samples",
        )


def test_the_metric_that_decides_with_the_fewest_samples_is_named():
    # By its values a is worse in both, so that either is enough for b to be no longer in doubt.
    a = choice("a", accuracy=(0.90, 0.80, 1.0), p50_latency=(12.0, 10.0, 14.0))
    b = choice("b", accuracy=(0.95, 0.85, 1.05), p50_latency=(11.0, 10.5, 11.5))
    (_, placed) = front([a, b], ("accuracy", "p50_latency")).placed
    assert placed.more is not None
    assert placed.more.metric == "p50_latency"
    assert placed.more.times == pytest.approx(2.5**2)


def test_equal_values_cannot_be_decided_and_nor_can_a_figure_without_an_interval():
    equal = [choice(v, accuracy=(0.9, 0.8, 1.0), size=1.0) for v in ("a", "b")]
    for each in front(equal, ("accuracy", "size")).placed:
        assert each.standing == "undecided"
        assert each.more is not None
        assert each.more.times is None
        assert each.more.why == "the values are equal"
    bare = [choice("a", p50_latency=1.0, size=1.0), choice("b", p50_latency=(5.0, 4.9, 5.1), size=1.0)]
    for each in front(bare, ("p50_latency", "size")).placed:
        assert each.standing == "undecided"
        assert each.more is not None
        assert each.more.why == "an interval is missing"


@pytest.mark.parametrize(
    ("metric", "of"),
    [("accuracy", "evaluation examples"), ("p99_latency", "samples"), ("peak_rss", "process invocations")],
)
def test_it_is_told_what_it_takes_more_of(metric, of):
    two = [choice("a", **{metric: (0.9, 0.85, 0.95)}), choice("b", **{metric: (0.92, 0.87, 0.97)})]
    (more,) = {each.more for each in front(two, (metric,)).placed}
    assert more is not None
    assert more.of == of


def test_a_missing_figure_or_a_failure_is_not_placed_and_says_why():
    found = front(
        [
            choice("a", p50_latency=None, size=1.0),
            choice("b", p50_latency=(1.0, 1.0, 1.0), size=1.0, failure="a floor was missed"),
            choice("c", p50_latency=(2.0, 2.0, 2.0), size=2.0),
        ],
        ("p50_latency", "size"),
    )
    assert [each.standing for each in found.placed] == ["not placed", "not placed", "on"]
    assert [each.why for each in found.placed] == ["p50: no such counter", "failed: a floor was missed", None]


def test_a_task_metric_that_is_an_error_is_better_when_it_is_lower():
    two = [choice(v, accuracy=around(x), judged_by="mae") for v, x in (("a", 1.0), ("b", 3.0))]
    found = front(two, ("accuracy",))
    assert found.better == {"accuracy": "lower"}
    assert [each.standing for each in found.placed] == ["on", "off"]


def test_quality_is_an_objective_where_there_is_one_and_each_model_has_its_own_front():
    judged = choice("a", accuracy=around(0.9), p50_latency=around(1.0), size=1.0)
    bare = msgspec.structs.replace(
        judged, model="other", figures=judged.figures | {"accuracy": measured("accuracy", None)}
    )
    found = fronts([judged, bare])
    assert [list(each.better) for each in found] == [["accuracy", "p50_latency", "size"], ["p50_latency", "size"]]


def test_a_metric_without_a_better_side_is_refused():
    with pytest.raises(UserError, match="idle_power"):
        front([choice("a")], ("idle_power",))
