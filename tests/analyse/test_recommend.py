"""The recommendation: constraints by intervals, the objective, rivals, what binds, and what is not sure."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse.appraise import Asked, Bills
from bench.analyse.cost import Terms, per_month
from bench.analyse.pareto import front
from bench.analyse.race import simplicity
from bench.analyse.recommend import recommend
from bench.errors import UserError
from bench.record.choice import Choice
from bench.record.recommendation import Candidate, Recommendation
from bench.stats.dominance import dominates
from bench.suite.effort import Effort
from tests.analyse.chosen import around, choice
from tests.analyse.costed import profile

VARIANTS = ("fp32", "int8", "pruned", "pruned-int8", "fp16")
RENTED = {"per_hour": 0.5, "includes_energy": True}


def asked(**more: Any) -> Asked:
    return Asked(**{"objective": "latency", **more})


def bills(**more: Any) -> Bills:
    """A machine of four cores at half a dollar an hour, power included."""
    return Bills(terms=Terms(profile=profile(price=RENTED)), **more)


def served(variant: str, capacity: Any, *, bound_s: float | None = 0.01, **more: Any) -> Choice:
    return choice(variant, capacity=capacity, capacity_bound_s=bound_s, **more)


def by_variant(found: Recommendation) -> dict[str, Candidate]:
    return {each.choice.variant: each for each in found.candidates}


def chosen(found: Recommendation) -> str | None:
    candidate = found.candidate(found.chosen)
    return None if candidate is None else candidate.choice.variant


ENDS = st.tuples(*[st.integers(1, 8)] * 3).map(sorted).map(lambda e: (float(e[1]), float(e[0]), float(e[2])))
FIGURES = st.one_of(*[ENDS] * 6, st.integers(1, 8).map(float), st.none())
LIMITS = st.none() | st.integers(1, 8).map(float)
FIELDS = {
    "quality": "min_quality",
    "p99": "max_p99_s",
    "memory": "max_memory",
    "size": "max_size",
}
METRICS = ("accuracy", "p50_latency", "p99_latency", "peak_rss")


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Choice], Asked]:
    """Choices whose figures often meet, and limits that often lie within them."""
    rows = draw(st.lists(st.tuples(*[FIGURES] * 4, st.integers(1, 8), st.integers(0, 6)), min_size=1, max_size=4))
    found = [
        choice(
            variant,
            size=float(size),
            failure=None if luck else "it crashed",
            **dict(zip(METRICS, figures, strict=True)),
        )
        for variant, (*figures, size, luck) in zip(VARIANTS, rows, strict=False)
    ]
    objective = draw(st.sampled_from(["latency", "size", "accuracy", "memory"]))
    quality, p99, memory, size = draw(st.tuples(*[LIMITS] * 4))
    limits = {"min_quality": quality, "max_p99_s": p99, "max_memory": memory, "max_size": size}
    return found, Asked(objective=objective, accept_unsure=draw(st.booleans()), **limits)


def box(one: Choice, metric: str) -> tuple[float, float]:
    """What a figure lies between, as the test reads it."""
    figure = one.figures[metric]
    if figure.value is None or (figure.low is None and metric != "size"):
        return float("-inf"), float("inf")
    return (figure.value,) * 2 if figure.low is None or figure.high is None else (figure.low, figure.high)


@given(cases())
@settings(deadline=None, max_examples=120)
def test_a_dominated_choice_is_never_recommended(case):
    choices, want = case
    found = recommend(choices, want)
    if found.chosen is None:
        return
    own = [found.metric, *(c.metric for c in found.constraints)]
    (mine,) = (one for one in choices if one.name == found.chosen)
    for other in choices:
        if other is mine or other.failure is not None:
            continue
        # Over what was asked for; and over that and the figures of the front.
        for metrics in (own, [*own, "accuracy", "p50_latency", "size"]):
            names = list(dict.fromkeys(metrics))
            ways = ["higher" if metric == "accuracy" else "lower" for metric in names]
            boxes = [[box(one, metric) for metric in names] for one in (other, mine)]
            assert dominates(*boxes, ways) != "surely"


STEPS = st.integers(1, 3).map(lambda v: (float(v), float(v), float(v)))


@given(st.lists(st.tuples(STEPS, STEPS, st.integers(1, 3)), min_size=2, max_size=5), st.sampled_from(["size", "cost"]))
@settings(deadline=None, max_examples=60)
def test_of_choices_that_cost_the_same_none_that_is_surely_off_the_front_is_recommended(rows, objective):
    choices = [
        served(v, around(1000.0), accuracy=quality, p50_latency=p50, size=1.0 if objective == "size" else float(size))
        for v, (quality, p50, size) in zip(VARIANTS, rows, strict=False)
    ]
    found = recommend(choices, Asked(objective=objective, traffic=10.0 if objective == "cost" else None), bills())
    (placed,) = (each for each in front(choices).placed if each.choice == found.chosen)
    assert placed.standing != "off"


@given(cases())
@settings(deadline=None, max_examples=120)
def test_what_is_recommended_surely_meets_every_limit_unless_values_are_accepted(case):
    choices, want = case
    found = recommend(choices, want)
    if found.chosen is None:
        return
    (mine,) = (one for one in choices if one.name == found.chosen)
    assert mine.failure is None
    for constraint in found.constraints:
        low, high = box(mine, constraint.metric)
        value = mine.figures[constraint.metric].value
        assert value is not None
        if constraint.better == "lower":
            assert (value if want.accept_unsure else high) <= constraint.limit
        else:
            assert (value if want.accept_unsure else low) >= constraint.limit


@given(cases(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_answer_does_not_depend_on_the_order_of_the_choices(case, luck):
    choices, want = case
    found, again = recommend(choices, want), recommend(luck.sample(choices, len(choices)), want)
    assert again.chosen == found.chosen
    assert {c.name: c.standing for c in again.candidates} == {c.name: c.standing for c in found.candidates}
    assert set(again.contenders) == set(found.contenders)
    assert again.relaxation == found.relaxation


@given(cases())
@settings(deadline=None, max_examples=120)
def test_limits_relaxed_as_told_make_the_choice_that_is_told_feasible(case):
    choices, want = case
    found = recommend(choices, want)
    if found.relaxation is None:
        return
    assert found.chosen is None
    wider = msgspec.structs.replace(want, **{FIELDS[each.on]: each.to for each in found.relaxation.limits})
    after = {c.name: c for c in recommend(choices, wider).candidates}
    assert after[found.relaxation.choice].standing in ("chosen", "tied", "undecided", "worse", "dominated")


@given(cases())
@settings(deadline=None, max_examples=120)
def test_the_binding_limit_may_be_tightened_as_far_as_told_and_still_holds(case):
    choices, want = case
    found = recommend(choices, want)
    if found.binding is None or want.accept_unsure:
        return
    field, reach = FIELDS[found.binding.on], found.binding.reach
    closer = -1e-6 if field != "min_quality" else 1e-6
    tight = recommend(choices, msgspec.structs.replace(want, **{field: reach})).candidate(found.chosen)
    assert {judged.outcome for judged in tight.judged} == {"met"}
    assert recommend(choices, msgspec.structs.replace(want, **{field: reach + closer})).chosen != found.chosen
    assert found.binding.slack == min(j.slack for j in found.candidates[0].judged if j.slack is not None)


def test_the_best_objective_among_what_surely_meets_the_limits_is_chosen():
    found = recommend(
        [
            choice("fp32", p50_latency=around(10.0), accuracy=around(0.99, 0.001), size=100.0),
            choice("int8", p50_latency=around(4.0), accuracy=around(0.98, 0.001), size=25.0),
            choice("pruned", p50_latency=around(2.0), accuracy=around(0.90, 0.001), size=20.0),
            choice("fp16", p50_latency=around(3.0), accuracy=(0.971, 0.965, 0.977), size=50.0),
        ],
        asked(min_quality=0.97),
    )
    stands = {variant: each.standing for variant, each in by_variant(found).items()}
    assert stands == {"int8": "chosen", "fp32": "worse", "pruned": "missed", "fp16": "unsure"}
    assert found.reference == "m/fp32/onnxruntime-cpu/t1/b1"
    assert [found.candidate(name).choice.variant for name in found.rivals] == ["pruned", "fp16", "fp32"]
    # The one that may yet be shown to meet the limit could be the better one.
    assert not found.sure
    assert [found.candidate(name).choice.variant for name in found.contenders] == ["fp16"]
    (judged,) = by_variant(found)["fp16"].judged
    assert judged.more is not None
    assert judged.more.times == pytest.approx((0.006 / 0.001) ** 2, rel=1e-6)


def test_what_it_gains_against_float32_is_told_with_intervals():
    found = recommend(
        [
            choice("fp32", p50_latency=(10.0, 9.0, 11.0), accuracy=(0.99, 0.98, 1.0), size=100.0),
            choice("int8", p50_latency=(5.0, 4.5, 5.5), accuracy=(0.98, 0.97, 0.99), size=25.0),
            choice("fp32", target="litert-xnnpack", p50_latency=(7.0, 6.9, 7.1), size=90.0),
        ],
        asked(),
    )
    gains = {gain.metric: gain for gain in found.gains}
    assert list(gains) == ["p50_latency", "accuracy", "size"]
    speed, quality = gains["p50_latency"].ratio, gains["accuracy"].difference
    assert (speed.value, speed.low, speed.high) == pytest.approx((0.5, 4.5 / 11, 5.5 / 9))
    assert (quality.value, quality.low, quality.high) == pytest.approx((-0.01, -0.03, 0.01))
    assert gains["size"].ratio.value == 0.25


def test_of_choices_that_tie_within_noise_the_simplest_is_chosen_and_the_tie_is_told():
    same = [choice(v, p50_latency=around(x, 0.05)) for v, x in (("pruned-int8", 10.0), ("int8", 10.1), ("fp32", 10.2))]
    found = recommend(same, asked())
    assert chosen(found) == "fp32"
    assert {each.standing for each in found.candidates} == {"chosen", "tied"}
    assert len(found.contenders) == 2
    assert not found.sure


def test_a_tie_does_not_go_to_a_simpler_one_that_is_surely_worse_in_what_is_constrained():
    found = recommend(
        [
            choice("fp32", size=5.0, accuracy=(0.96, 0.955, 0.965)),
            choice("int8", size=5.0, accuracy=(0.98, 0.975, 0.985)),
        ],
        asked(objective="size", min_quality=0.95),
    )
    assert {v: each.standing for v, each in by_variant(found).items()} == {"fp32": "dominated", "int8": "chosen"}
    assert by_variant(found)["fp32"].dominated_by == by_variant(found)["int8"].name


def test_transformations_are_counted_from_the_name_of_the_base():
    names = ["fp32", "fp16", "int8", "int8-dynamic", "pruned-channels", "int8-qat", "pruned-channels-int8", "int16x8"]
    assert [simplicity(choice(name))[1] for name in names] == [0, 1, 1, 1, 1, 2, 2, 1]


def test_one_that_is_exactly_as_good_leaves_no_doubt():
    found = recommend([choice("fp32", size=5.0), choice("int8", size=5.0)], asked(objective="size"))
    assert chosen(found) == "fp32"
    assert found.sure


def test_a_figure_without_an_interval_does_not_meet_a_limit_unless_values_are_accepted():
    one = [choice("fp32", p50_latency=around(1.0), peak_rss=50.0)]
    found = recommend(one, asked(max_memory=100.0))
    assert found.chosen is None
    assert found.undecidable
    accepted = recommend(one, asked(max_memory=100.0, accept_unsure=True))
    assert chosen(accepted) == "fp32"
    assert recommend(one, asked(max_memory=40.0, accept_unsure=True)).chosen is None


def test_a_missing_figure_is_never_assumed():
    found = recommend([choice("fp32", p50_latency=around(1.0), peak_rss=None)], asked(max_memory=100.0))
    assert found.undecidable
    (judged,) = found.candidates[0].judged
    assert (judged.outcome, judged.reason) == ("unknown", "no such counter")
    assert found.relaxation is None


def test_where_nothing_is_within_the_limits_the_smallest_single_relaxation_is_told():
    found = recommend(
        [
            choice("fp32", p50_latency=around(1.0), accuracy=(0.99, 0.98, 1.0), size=120.0),
            choice("int8", p50_latency=around(1.0), accuracy=(0.90, 0.90, 0.90), size=20.0),
            choice("pruned", p50_latency=around(1.0), accuracy=(0.5, 0.5, 0.5), size=101.0),
        ],
        asked(min_quality=0.95, max_size=100.0),
    )
    assert found.chosen is None
    assert not found.undecidable
    (limit,) = found.relaxation.limits
    assert (limit.on, limit.to, found.relaxation.choice) == ("quality", 0.9, "m/int8/onnxruntime-cpu/t1/b1")
    assert limit.by == pytest.approx(0.05 / 0.95)


def test_where_no_single_limit_is_enough_the_least_set_is_told():
    found = recommend(
        [choice("fp32", p50_latency=around(1.0), accuracy=(0.9, 0.9, 0.9), size=120.0)],
        asked(min_quality=0.95, max_size=100.0),
    )
    assert [(limit.on, limit.to) for limit in found.relaxation.limits] == [
        ("quality", 0.9),
        ("size", 120.0),
    ]


def test_a_task_metric_that_is_an_error_has_a_highest_value():
    found = recommend(
        [
            choice(v, accuracy=around(x), judged_by="mae", p50_latency=around(1.0))
            for v, x in (("fp32", 2.0), ("int8", 5.0))
        ],
        asked(min_quality=3.0),
    )
    assert {v: each.standing for v, each in by_variant(found).items()} == {"fp32": "chosen", "int8": "missed"}


# Traffic and money


def test_replicas_and_the_cost_of_a_month_are_those_of_the_cost_model():
    choices = [served("fp32", around(1000.0, 0.02)), served("int8", around(4000.0, 0.02))]
    want = asked(objective="cost", traffic=10_000.0, max_p99_s=0.01)
    found = recommend(choices, want, bills())
    best = by_variant(found)["int8"]
    assert best.standing == "chosen"
    # 10,000 / (4,000 x 0.7) is 3.6 replicas, of which one machine holds four; 10,000 / 700 is 14.3 on four machines.
    assert best.replicas.figure.value == 4
    assert best.machines.figure.value == 1
    assert best.objective == per_month(choices[1], bills().terms, want.demand(0.01)).money.figure
    assert best.objective.value == pytest.approx(0.5 * 730.5)
    assert by_variant(found)["fp32"].objective.value == pytest.approx(4 * 0.5 * 730.5)
    assert found.sure
    assert found.example_price


def test_p99_under_traffic_is_the_bound_that_the_capacity_was_searched_under():
    choices = [
        served("fp32", around(1000.0)),
        served("int8", around(4000.0), bound_s=0.02),
        served("pruned", None, bound_s=None),
        served("fp16", 4000.0),
        served("pruned-int8", around(9000.0), p99_latency=(0.02, 0.019, 0.021)),
    ]
    found = recommend(choices, asked(objective="cost", traffic=100.0, max_p99_s=0.01), bills())
    stands = {variant: each.standing for variant, each in by_variant(found).items()}
    assert stands == {
        "fp32": "chosen",
        "int8": "unknown",
        "pruned": "unknown",
        "fp16": "unsure",
        "pruned-int8": "missed",
    }
    assert found.binding is None
    (p99,) = (judged for judged in found.candidates[0].judged if judged.on == "p99")
    assert "searched under just this bound" in p99.reason


def test_a_search_that_found_no_rate_is_a_finding():
    none = msgspec.structs.replace(
        served("int8", None), figures={"capacity": served("a", None).figures["capacity"]}, capacity_bound_s=0.01
    )
    reason = "no rate held the bound of 10 ms"
    tried = msgspec.structs.replace(none.figures["capacity"], how=f"unavailable:{reason}", n=9)
    found = recommend(
        [msgspec.structs.replace(none, figures={"capacity": tried})],
        asked(objective="cost", traffic=100.0, max_p99_s=0.01),
        bills(),
    )
    assert not found.undecidable
    assert reason in [judged.reason for judged in found.candidates[0].judged]


def test_a_bound_that_is_too_loose_may_be_asked_for_instead():
    found = recommend(
        [served("fp32", around(1000.0), bound_s=0.02)],
        asked(objective="cost", traffic=100.0, max_p99_s=0.01),
        bills(),
    )
    assert found.undecidable
    (limit,) = found.relaxation.limits
    assert (limit.on, limit.to, limit.by) == ("p99", 0.02, 1.0)


@pytest.mark.parametrize(("budget", "feasible"), [(365.25, True), (365.0, False)])
def test_a_budget_is_held_against_the_month(budget, feasible):
    found = recommend([served("fp32", around(1000.0))], asked(objective="cost", traffic=100.0, budget=budget), bills())
    assert (found.chosen is not None) == feasible
    if not feasible:
        (limit,) = found.relaxation.limits
        assert (limit.on, limit.to) == ("budget", pytest.approx(365.25))


def test_an_unknown_part_of_the_cost_leaves_a_budget_open_and_is_named():
    own = Bills(terms=Terms(profile=profile(idle=None, tdp=None)))
    choices = [served("fp32", around(1000.0)), served("int8", around(9000.0))]
    free = recommend(choices, asked(objective="cost", traffic=10_000.0), own)
    assert chosen(free) == "int8"
    assert "work" in free.lacks
    held = recommend(choices, asked(objective="cost", traffic=10_000.0, budget=1e9), own)
    assert held.undecidable
    assert {each.standing for each in held.candidates} == {"unknown"}
    low = recommend(choices, asked(objective="cost", traffic=10_000.0, budget=1.0), own)
    assert {each.standing for each in low.candidates} == {"missed"}


def test_a_cheaper_variant_that_took_weeks_is_seen_for_what_it_is():
    effort = Effort.model_validate(
        {
            "life_months": 12,
            "engineering": {"rate_per_hour": 100, "hours": {"fp32": 1, "int8": 80}},
            "data": {"collection": 0, "labelling": 0},
            "training": {"cost": 0},
        }
    )
    choices = [served("fp32", around(1000.0, 0.02)), served("int8", around(4000.0, 0.02))]
    want = asked(objective="cost", traffic=2_000.0)
    assert chosen(recommend(choices, msgspec.structs.replace(want, traffic=500.0), bills())) == "fp32"
    assert chosen(recommend(choices, msgspec.structs.replace(want, traffic=5_000.0), bills())) == "int8"
    assert chosen(recommend(choices, msgspec.structs.replace(want, traffic=5_000.0), bills(effort=effort))) == "fp32"
    # A year at a hundred times the traffic is worth two weeks.
    assert chosen(recommend(choices, msgspec.structs.replace(want, traffic=500_000.0), bills(effort=effort))) == "int8"


# What is not known


FREE = {"data": {"collection": 0, "labelling": 0}, "training": {"cost": 0}, "life_months": 1}
HOURLY = {"rate_per_hour": 90}


def pair(**more: Any) -> list[Choice]:
    return [served(v, around(1000.0, 0.02), p50_latency=around(1e-4), **more) for v in ("fp32", "int8")]


def test_a_cost_that_lacks_a_part_is_never_chosen_over_one_that_is_whole():
    effort = Effort.model_validate(FREE | {"engineering": HOURLY | {"hours": {"fp32": 4}}})
    found = recommend(pair(), asked(objective="cost", traffic=10.0), bills(effort=effort))
    assert {v: each.standing for v, each in by_variant(found).items()} == {"fp32": "chosen", "int8": "unknown"}
    assert not found.sure
    (open_,) = found.contenders
    assert found.candidate(open_).gap == "engineering: the costs file states no [engineering.hours] for int8"
    assert found.candidate(open_).behind is None
    # What is known of it may already be too much.
    dear = Effort.model_validate(FREE | {"engineering": HOURLY | {"hours": {"int8": 1}}})
    many = [served("fp32", around(10.0)), served("int8", around(4000.0))]
    found = recommend(many, asked(objective="cost", traffic=2000.0), bills(effort=dear))
    assert {v: each.standing for v, each in by_variant(found).items()} == {"fp32": "worse", "int8": "chosen"}
    assert found.sure
    (gain,) = (each for each in found.gains if each.metric == "cost")
    assert gain.ratio is None
    assert gain.at_least == (False, True)


@pytest.mark.parametrize("accept_unsure", [False, True])
def test_a_budget_is_not_met_by_what_is_known_of_a_cost(accept_unsure):
    own = Bills(terms=Terms(profile=profile(price=None)))
    want = asked(traffic=10.0, budget=1e6, accept_unsure=accept_unsure)
    found = recommend(pair(), want, own)
    assert found.chosen is None
    assert found.undecidable
    (judged,) = (each for each in found.candidates[0].judged if each.on == "budget")
    assert (judged.outcome, judged.reach, judged.slack) == ("unknown", None, None)
    assert "hardware: the profile box states no price" in judged.reason


def test_a_capacity_that_is_not_confirmed_carries_the_traffic_only_where_values_are_accepted():
    one = [served("fp16", 4000.0, p50_latency=around(1.0))]
    doubtful = recommend(one, asked(traffic=100.0))
    assert (doubtful.chosen, doubtful.undecidable) == (None, True)
    (judged,) = doubtful.candidates[0].judged
    assert (judged.on, judged.outcome) == ("traffic", "unsure")
    accepted = recommend(one, asked(traffic=100.0, accept_unsure=True))
    assert (chosen(accepted), accepted.sure) == ("fp16", False)


def test_a_budget_within_the_interval_of_a_month_is_not_sure_and_no_number_of_samples_is_told():
    # 1000 / (1000 x 0.7) is two replicas or, at the low end, three: on one machine of two slots or on two.
    own = Bills(terms=Terms(profile=profile(price=RENTED, cores=2)))
    found = recommend([served("fp32", around(1000.0, 0.4))], asked(objective="cost", traffic=1000.0, budget=500.0), own)
    (judged,) = (each for each in found.candidates[0].judged if each.on == "budget")
    assert (judged.outcome, judged.reason) == ("unsure", "the limit lies within its interval")
    assert judged.figure.low < 500.0 < judged.figure.high
    assert judged.more is None, "a cost has no samples of its own"


def test_a_part_of_the_cost_that_is_known_for_none_leaves_it_open_unless_all_share_it():
    own = Bills(terms=Terms(profile=profile(idle=None, tdp=None)))
    choices = [served("fp32", around(1000.0)), served("int8", around(9000.0))]
    found = recommend(choices, asked(objective="cost", traffic=10_000.0), own)
    assert chosen(found) == "int8"
    assert len(found.contenders) == 1
    assert not found.sure
    # Data and training are those of every variant.
    effort = Effort.model_validate({"life_months": 1, "engineering": HOURLY | {"hours": {"*": 4}}})
    found = recommend(choices, asked(objective="cost", traffic=10_000.0), bills(effort=effort))
    assert set(found.lacks) == {"collection", "labelling", "training machine", "training energy"}
    assert found.sure


def test_values_that_are_accepted_leave_the_same_doubt():
    two = [
        choice("fp32", p50_latency=around(100e-6), accuracy=(0.99, 0.985, 0.995)),
        choice("int8", p50_latency=around(10e-6), accuracy=(0.969, 0.95, 0.985)),
    ]
    for accept in (False, True):
        found = recommend(two, asked(min_quality=0.97, accept_unsure=accept))
        assert chosen(found) == "fp32"
        assert len(found.contenders) == 1
        assert not found.sure
    alone = recommend(two[1:], asked(min_quality=0.96, accept_unsure=True))
    assert (chosen(alone), alone.sure) == ("int8", False)


def test_a_run_that_is_not_complete_is_never_sure():
    one = [choice("fp32", p50_latency=around(1.0))]
    assert recommend(one, asked()).sure
    found = recommend(one, asked(), unfinished=["the run is not complete"])
    assert found.chosen
    assert not found.sure


def test_of_choices_that_tie_one_that_rests_on_no_estimate_goes_first_then_the_simplest_and_the_fastest():
    # Two replicas on one machine are taken not to slow each other, one is alone.
    found = recommend(
        [served("fp32", around(1000.0)), served("int8", around(4000.0))],
        asked(objective="cost", traffic=1000.0),
        bills(),
    )
    assert chosen(found) == "int8"
    twins = [choice("fp32", target=t, p50_latency=around(s), size=1.0) for t, s in (("aaa", 10.0), ("zzz", 9.9))]
    found = recommend(twins, asked(objective="size"))
    assert found.candidate(found.chosen).choice.target == "zzz"


def test_of_choices_that_tie_within_noise_one_that_is_surely_off_the_front_is_out():
    found = recommend(
        [
            choice("fp32", peak_rss=around(99.0, 0.1), p50_latency=around(9.0), accuracy=around(0.95, 0.001), size=4.0),
            choice(
                "int8", peak_rss=around(100.0, 0.1), p50_latency=around(3.0), accuracy=around(0.97, 0.001), size=1.0
            ),
        ],
        asked(objective="memory"),
    )
    assert {v: each.standing for v, each in by_variant(found).items()} == {"fp32": "dominated", "int8": "chosen"}
    assert by_variant(found)["fp32"].dominated_in == ("accuracy", "p50_latency", "size")
    # Nothing is known of which takes less memory.
    assert not found.sure


def test_a_variant_with_any_name_is_less_simple_than_float32():
    assert simplicity(choice("fp32")) < simplicity(choice("distilled"))
    found = recommend([choice("distilled", size=1.0), choice("fp32", size=1.0)], asked(objective="size"))
    assert chosen(found) == "fp32"


def test_a_capacity_of_none_is_a_finding():
    found = recommend([served("fp32", 0.0)], asked(objective="cost", traffic=10.0), bills())
    assert not found.undecidable
    assert {each.standing for each in found.candidates} == {"missed"}


@pytest.mark.parametrize(
    "fields",
    [
        {"min_quality": float("nan")},
        {"min_quality": float("-inf")},
        {"traffic": 1.0, "budget": float("inf")},
        {"traffic": 1.0, "budget": -1.0},
        {"max_p99_s": 0.0},
        {"max_memory": 0.0},
        {"max_size": 0.0},
        {"traffic": float("inf")},
        {"traffic": 1e308},
        {"traffic": 1.0, "headroom": 0.9999999999999999},
    ],
)
def test_a_limit_that_is_no_number_or_that_nothing_can_meet_is_refused(fields):
    with pytest.raises(UserError):
        asked(**fields)
