"""How each part of a bill says that it follows, and what it says where it does not; by hand from docs/cost.md."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.analyse.cost import Demand, Terms, hour_price, machines, of_life, per_million, per_month, replicas
from bench.analyse.cost.energy import OTHER_LOAD, STATED_IDLE, TDP, draw, per_example, throughput
from bench.analyse.cost.quantity import Unknown
from bench.analyse.cost.serving import NO_MAKING
from bench.analyse.cost.terms import SIDE_BY_SIDE
from bench.record.artifact import Training
from bench.record.choice import Choice
from bench.record.cost import Part
from bench.record.measurement import Measurement
from bench.suite.effort import Effort
from tests.analyse.costed import choice, figure, profile

MONTH_S = 730.5 * 3600
ASKED = Demand(traffic=10_000, p99_s=0.01, headroom=0.3)
HOURS = "1,000,000 / (1,000/s × 4 on a machine) = 0.06944 h"
COUNT = "18 replicas (10,000/s / (800/s at p99 ≤ 10 ms × (1 − 0.3)), rounded up) / 4 on a machine, rounded up"


def found(part: Part, name: str) -> Part:
    leaf = part.part(name)
    assert leaf is not None
    return leaf


def told(part: Part, *names: str) -> list[tuple[str, str | None]]:
    """The leaves with their formula, or the reason why there is none."""
    return [
        (leaf.name, leaf.figure.reason or leaf.formula) for leaf in part.leaves() if not names or leaf.name in names
    ]


def measured(**fields: Any) -> Choice:
    return choice(**{"energy": 0.05, "energy_net": 0.03, "idle_power": 20, **fields})


def with_figures(served: Choice, **figures: Measurement) -> Choice:
    return msgspec.structs.replace(served, figures=served.figures | figures)


# A million inferences


def test_a_million_inferences_on_a_shared_machine() -> None:
    bill = per_million(measured(), Terms(profile=profile(), embodied=2.5))
    joules = "1,000,000 × (0.03 J above rest + 20 W / (1,000/s × 4))"
    assert told(bill.money) == [
        ("hardware", f"({HOURS}) × (0.5 USD an hour)"),
        ("energy", f"({joules}) × 0.25 USD/kWh"),
    ]
    assert told(bill.energy) == [("energy", joules)]
    assert told(bill.carbon) == [
        ("energy", f"({joules}) × 400 g/kWh"),
        ("making of the machine", f"({HOURS}) × 2.5 g an hour"),
    ]
    assert found(bill.carbon, "making of the machine").figure.value == pytest.approx(1e6 / 4000 / 3600 * 2.5)
    assert (bill.money.name, bill.carbon.name) == ("a million inferences",) * 2
    assert [part.figure.unit for part in (bill.money, bill.energy, bill.carbon)] == ["USD", "J", "g"]
    assert bill.energy.figure.how == f"estimated:{SIDE_BY_SIDE}"


def test_a_million_inferences_with_one_process_on_a_machine() -> None:
    bill = per_million(measured(), Terms(profile=profile(), slots=1))
    assert told(bill.energy) == [("energy", "1,000,000 × (0.05 J)")]
    assert told(bill.money, "hardware") == [
        ("hardware", "(1,000,000 / (1,000/s × 1 on a machine) = 0.2778 h) × (0.5 USD an hour)")
    ]
    assert bill.money.figure.how.startswith("computed:")


def test_two_processes_are_side_by_side_already() -> None:
    assert found(per_million(choice(threads=2), Terms(profile=profile())).money, "hardware").figure.is_estimate


def test_without_the_power_at_rest_one_process_alone_is_what_is_known() -> None:
    served = choice(energy=0.05, half=0.1)
    each, formula = per_example(served, Terms(profile=profile(idle=None)))
    assert formula == "0.05 J with one process alone, as the power at rest that 4 share is not known"
    assert (each.value, each.low, each.high) == pytest.approx((0.05, 0.045 / 4, 0.055))
    assert each.guesses == (SIDE_BY_SIDE,)
    net_alone = choice(energy=0.05, energy_net=0.03)
    assert per_example(net_alone, Terms(profile=profile(idle=None)))[0].value == 0.05
    bare = with_figures(served, energy=Measurement(value=0.05, unit="J", n=9, how="measured:clock"))
    assert per_example(bare, Terms(profile=profile(idle=None)))[0].low is None


def test_the_parts_of_a_bill_that_rest_on_the_profile_say_what_it_lacks() -> None:
    bill = per_million(measured(), Terms(profile=profile(tariff=None, carbon=None, price=None)))
    assert told(bill.money) == [
        ("hardware", "the profile box states no price"),
        ("energy", "the profile box states no tariff"),
    ]
    assert told(bill.carbon) == [
        ("energy", "the profile box states no carbon intensity"),
        ("making of the machine", NO_MAKING),
    ]
    assert {leaf.figure.unit for leaf in bill.money.leaves()} == {"USD"}
    assert {leaf.figure.unit for leaf in bill.carbon.leaves()} == {"g"}
    foreign = Terms(profile=profile(price=None), no_tariff="in another currency")
    assert told(per_million(measured(), foreign).money, "energy") == [("energy", "in another currency")]


def test_what_has_no_rate_says_how_to_get_one_in_every_part() -> None:
    bill = per_million(choice(throughput=None), Terms(profile=profile(), embodied=1.0))
    remedy = "no throughput is on record: measure it with the scenario single-stream"
    assert told(bill.money) == [("hardware", remedy), ("energy", remedy)]
    assert told(bill.carbon) == [("energy", remedy), ("making of the machine", remedy)]


# The energy of an example


def test_a_measured_energy_without_net_or_power_at_rest_takes_the_profiles() -> None:
    drawn = draw(choice(energy=0.05, power=50), Terms(profile=profile()))
    assert drawn.whole.value == 0.05
    assert drawn.whole.guesses == ()
    assert drawn.idle is not None
    assert drawn.above is not None
    assert (drawn.idle.value, drawn.idle.low, drawn.idle.guesses) == (20, 20, (STATED_IDLE,))
    assert drawn.above.value == pytest.approx(0.05 * (1 - 20 / 50))
    assert not drawn.shared
    no_power = draw(choice(energy=0.05, idle_power=20), Terms(profile=profile(idle=None)))
    assert no_power.above is None
    no_rest = draw(choice(energy=0.05, power=50), Terms(profile=profile(idle=None)))
    assert (no_rest.above, no_rest.idle) == (None, None)
    net = draw(choice(energy=0.05, energy_net=0.03, power=50, idle_power=20), Terms(profile=profile()))
    assert net.above is not None
    assert net.above.value == 0.03


def test_noise_does_not_make_the_energy_above_rest_negative() -> None:
    drawn = draw(measured(energy_net=-0.01), Terms(profile=profile()))
    assert drawn.above is not None
    assert drawn.above.value == 0


def test_the_energy_of_another_scenario_than_the_throughputs_is_an_estimate() -> None:
    drawn = draw(measured(offline=True), Terms(profile=profile()))
    assert drawn.above is not None
    assert drawn.whole.guesses == drawn.above.guesses == (OTHER_LOAD,)


@pytest.mark.parametrize(
    ("fields", "machine", "slots", "above", "each"),
    [
        # Four processes of one of four cores: (100 − 20) W × 1/4, and a fourth of the 20 W at rest.
        ({}, {}, None, 0.02, 0.02 + 0.005),
        # Two processes of two of five cores; one core rests.
        ({"threads": 2}, {"cores": 5}, None, 0.032, 0.032 + 0.01),
        # Half of a GPU each, whatever its cores.
        ({"target": "onnxruntime-cuda"}, {"kind": "gpu", "cores": 100}, 2, 0.04, 0.04 + 0.01),
        ({"target": "onnxruntime-cuda"}, {"kind": "gpu", "cores": 100}, None, 0.08, 0.08 + 0.02),
    ],
)
def test_rated_power_in_proportion_to_the_busy_cores(
    fields: dict[str, Any], machine: dict[str, Any], slots: int | None, above: float, each: float
) -> None:
    terms = Terms(profile=profile(**machine), slots=slots)
    drawn = draw(choice(**fields), terms)
    assert drawn.above is not None
    assert drawn.idle is not None
    assert drawn.above.value == pytest.approx(above)
    assert drawn.whole.value == pytest.approx(above + 20 / 1000)
    assert (drawn.idle.value, drawn.shared) == (20, False)
    assert drawn.whole.guesses == drawn.above.guesses == drawn.idle.guesses == (TDP,)
    found, _ = per_example(choice(**fields), terms)
    assert found.value == pytest.approx(each)


def test_rated_power_alone_is_that_of_a_machine_all_of_whose_cores_are_busy() -> None:
    terms = Terms(profile=profile(idle=None))
    drawn = draw(choice(threads=2), terms)
    assert (drawn.shared, drawn.above, drawn.idle) == (True, None, None)
    assert drawn.whole.value == pytest.approx(100 / 2000)
    assert drawn.whole.guesses == (TDP,)
    assert per_example(choice(threads=2), terms)[1] == "0.05 J"
    with pytest.raises(Unknown) as caught:
        draw(choice(threads=3), terms)
    assert str(caught.value) == ("no energy is on record; the profile box states no power at rest, and some cores are")


def test_an_idle_rating_above_the_limit_adds_nothing() -> None:
    drawn = draw(choice(), Terms(profile=profile(idle=120.0)))
    assert drawn.above is not None
    assert drawn.above.value == 0


def test_without_a_measured_energy_and_a_rating_the_reason_says_both() -> None:
    terms = Terms(profile=profile(tdp=None))
    with pytest.raises(Unknown) as caught:
        draw(choice(), terms)
    assert str(caught.value) == "no energy is on record; the profile box states no TDP"
    gap = with_figures(choice(), energy=Measurement.unavailable("J", "no RAPL counter"))
    with pytest.raises(Unknown) as caught:
        draw(gap, terms)
    assert str(caught.value) == "energy was not measured: no RAPL counter; the profile box states no TDP"
    rough = with_figures(choice(), energy=figure(0.01, "J", how="estimated:tdp"))
    assert draw(rough, terms).whole.value == 0.01
    assert draw(rough, Terms(profile=profile())).whole.value == pytest.approx(0.04), "the profile's goes before it"


def test_a_figure_that_is_missing_is_as_one_that_is_not_there() -> None:
    gap = Measurement.unavailable("J", "no counter")
    drawn = draw(with_figures(choice(energy=0.05), energy_net=gap), Terms(profile=profile(idle=None)))
    assert drawn.above is None


# How well a rate is known


def test_a_rate_takes_the_interval_of_the_mean_latency_as_a_share() -> None:
    bare = Measurement(value=1000.0, unit="1/s", n=9, how="measured:clock")
    mean = Measurement(value=2e-3, unit="s", n=9, how="measured:clock", low=1e-3, high=8e-3, confidence=0.9)
    served = with_figures(choice(), throughput=bare, mean_latency=mean)
    rate = throughput(served)
    assert (rate.value, rate.low, rate.high, rate.confidence) == (1000, 250, 2000, 0.9)
    assert throughput(msgspec.structs.replace(served, offline=True)).low is None
    assert throughput(with_figures(served, mean_latency=figure(2e-3, "s", 1.0))).high is None
    assert throughput(with_figures(served, mean_latency=figure(2e-3, "s", 1.0))).low is None
    assert throughput(with_figures(served, mean_latency=figure(2e-3, "s", 1.0))).confidence is None
    assert throughput(with_figures(served, mean_latency=Measurement.unavailable("s", "no"))).low is None
    own = throughput(with_figures(served, throughput=figure(1000, "1/s", 0.5)))
    assert (own.low, own.high, own.confidence) == (500, 1500, 0.95)
    loose = throughput(with_figures(served, mean_latency=Measurement(value=2e-3, unit="s", n=9, how="measured:clock")))
    assert (loose.low, loose.confidence) == (None, None)


# A month


def test_a_month_says_how_each_of_its_parts_follows() -> None:
    bill = per_month(measured(), Terms(profile=profile(), embodied=2.5), ASKED)
    assert told(bill.money, "hardware") == [("hardware", f"(5 machines [{COUNT}] × 730.5 h) × (0.5 USD an hour)")]
    assert told(bill.energy) == [
        ("work", "26,298,000,000 inferences × 0.03 J above the power at rest"),
        ("rest", "5 machines × 20 W × 730.5 h"),
    ]
    assert told(bill.money, "rest") == [("rest", "(5 machines × 20 W × 730.5 h) × 0.25 USD/kWh")]
    assert told(bill.carbon, "making of the machine") == [
        ("making of the machine", f"(5 machines [{COUNT}] × 730.5 h) × 2.5 g an hour")
    ]
    assert (bill.money.name, bill.carbon.name, bill.energy.name) == ("a month", "a month", "energy")
    assert bill.energy.formula == "work + rest"


def test_counts_of_one_are_in_the_singular() -> None:
    terms, asked = Terms(profile=profile()), Demand(traffic=10, headroom=0.0)
    served = measured()
    assert replicas(served, asked).formula == "10/s / (800/s at p99 ≤ 10 ms × (1 − 0)), rounded up"
    count = machines(served, terms, asked)
    assert (count.name, count.figure.unit, count.figure.value) == ("machines", "1", 1)
    assert count.formula.startswith("1 replica (10/s")
    assert found(per_month(served, terms, asked).energy, "rest").formula == "1 machine × 20 W × 730.5 h"


def test_machines_of_several_replicas_rest_on_the_assumption() -> None:
    terms = Terms(profile=profile())
    two = machines(choice(), terms, Demand(traffic=1000))
    assert two.figure.how == f"estimated:{SIDE_BY_SIDE}"
    alone = machines(choice(threads=4), terms, Demand(traffic=1000))
    assert alone.figure.how.startswith("computed:")
    # One replica by its value, two by the end of its interval.
    maybe = machines(choice(half=0.5), terms, Demand(traffic=500))
    assert (maybe.figure.value, maybe.figure.is_estimate) == (1, True)
    bare = with_figures(choice(), capacity=Measurement(value=800.0, unit="1/s", n=9, how="measured:clock"))
    assert machines(bare, terms, Demand(traffic=10)).figure.is_estimate


def test_requests_of_several_examples_take_as_much_more_work() -> None:
    served, asked = measured(batch=8), Demand(traffic=100, batch=8)
    bill = per_month(served, Terms(profile=profile()), asked)
    assert found(bill.energy, "work").figure.value == pytest.approx(800 * MONTH_S * 0.03)
    assert found(bill.energy, "work").formula.startswith("2,103,840,000 inferences")


def test_a_month_of_work_whose_power_at_rest_is_not_known() -> None:
    asked = Demand(traffic=1000)
    inferences = "2,629,800,000 inferences"
    several = per_month(choice(energy=0.05), Terms(profile=profile(idle=None)), asked).energy
    assert told(several) == [
        (
            "work",
            f"{inferences} × (0.05 J / 4 on a machine), the least, as the power at rest that they share is not known",
        ),
        ("rest", "the power at rest is not known, so nor is the energy of the time without work"),
    ]
    assert found(several, "work").figure.how == f"estimated:{SIDE_BY_SIDE}"
    net_alone = per_month(choice(energy=0.05, energy_net=0.03), Terms(profile=profile(idle=None)), asked).energy
    assert told(net_alone) == told(several)
    two = per_month(choice(energy=0.05, threads=2), Terms(profile=profile(idle=None)), asked).energy
    assert found(two, "work").figure.value == pytest.approx(1000 * MONTH_S * 0.05 / 2)
    rated = per_month(choice(), Terms(profile=profile(idle=None)), asked).energy
    assert told(rated, "work") == [("work", f"{inferences} × (0.025 J), the power at rest while at work in it")]
    assert found(rated, "work").figure.value == pytest.approx(1000 * MONTH_S * 0.025)


def test_a_machine_that_was_bought_works_for_a_share_of_its_life() -> None:
    terms = Terms(profile=profile(price={"purchase": 1600, "life_years": 5, "utilisation": 0.5}))
    bill = per_million(choice(), terms)
    assert told(bill.money, "hardware") == [("hardware", f"({HOURS}) × (1,600 USD / (5 years × 8766 h × 0.5))")]
    month = found(per_month(choice(), terms, Demand(traffic=10)).money, "hardware")
    assert month.formula.endswith(" × (1,600 USD / (5 years × 8766 h))")
    hour = hour_price(terms)
    assert (hour.name, hour.figure.unit, hour.formula) == (
        "machine-hour",
        "USD/h",
        "1,600 USD / (5 years × 8766 h × 0.5)",
    )


def test_a_rent_that_pays_for_power_says_so() -> None:
    terms = Terms(profile=profile(price={"per_hour": 1234.5, "includes_energy": True}))
    assert told(per_million(choice(), terms).money) == [
        ("hardware", f"({HOURS}) × (1,234.5 USD an hour, energy in the rent)")
    ]
    assert hour_price(terms).formula == "1,234.5 USD an hour"


@pytest.mark.parametrize(
    ("fields", "demand", "said"),
    [
        (
            {"batch": 8},
            {},
            "its capacity is in queries of 8 examples, a request has 1: "
            "what gathering or splitting them costs was not measured",
        ),
        (
            {"capacity": None},
            {"p99_s": None},
            'no server row on record: measure one with scenario server, rate = "search", p99_ms = …',
        ),
        (
            {"bound_s": 0.02},
            {},
            "no server row under p99 ≤ 10 ms, only under the looser 20 ms: "
            'measure one with scenario server, rate = "search", p99_ms = 10',
        ),
    ],
)
def test_a_capacity_that_does_not_serve_the_demand_says_why(
    fields: dict[str, Any], demand: dict[str, Any], said: str
) -> None:
    asked = Demand(**{"traffic": 100, "p99_s": 0.01, **demand})
    part = replicas(choice(**fields), asked)
    assert (part.name, part.figure.unit, part.figure.reason) == ("replicas", "1", said)


def test_a_capacity_that_failed_says_what_to_measure() -> None:
    lost = choice()
    lost = msgspec.structs.replace(lost, figures={k: v for k, v in lost.figures.items() if k != "capacity"})
    assert replicas(lost, Demand(traffic=1)).figure.reason == (
        'no capacity is on record: measure one with scenario server, rate = "search", p99_ms = …'
    )


# The life

COSTS = Effort.model_validate(
    {
        "life_months": 24,
        "engineering": {"rate_per_hour": 90, "hours": {"*": 7.5}},
        "data": {"collection": 1000, "labelling": 2500},
        "training": {"price_per_hour": 0.34, "runs": 20},
    }
)
TRAINED = Training(
    examples=1,
    epochs=(),
    costs={"training_time": figure(1800, "s"), "training_energy": figure(36e3, "J")},
    machine="this",
)


def test_a_life_says_how_each_of_its_parts_follows() -> None:
    bill = of_life(measured(), Terms(profile=profile()), ASKED, COSTS, TRAINED)
    joules = "20 trainings × 36,000 J"
    assert told(bill.money, "collection", "labelling", "training machine", "training energy", "engineering") == [
        ("collection", "[data] collection = 1,000 USD"),
        ("labelling", "[data] labelling = 2,500 USD"),
        ("training machine", "20 trainings × 1,800 s × 0.34 USD an hour"),
        ("training energy", f"({joules}) × 0.25 USD/kWh"),
        ("engineering", "7.5 h × 90 USD an hour"),
    ]
    assert [part.name for part in bill.money.parts] == ["data", "training", "engineering", "serving"]
    assert [part.name for part in bill.energy.parts] == ["training energy", "serving"]
    assert [part.name for part in bill.carbon.parts] == ["training energy", "serving"]
    assert {part.name for part in (bill.money, bill.energy, bill.carbon)} == {"the model's life"}
    assert told(bill.energy) == [
        ("training energy", joules),
        ("work", "(26,298,000,000 inferences × 0.03 J above the power at rest) × 24 months"),
        ("rest", "(5 machines × 20 W × 730.5 h) × 24 months"),
    ]
    assert told(bill.carbon, "training energy") == [("training energy", f"({joules}) × 400 g/kWh")]
    assert [part.figure.unit for part in (bill.money, bill.energy, bill.carbon)] == ["USD", "J", "g"]
    assert [found(part, "serving").figure.unit for part in (bill.money, bill.energy, bill.carbon)] == ["USD", "J", "g"]


def _life(changes: dict[str, Any], training: Training | None = TRAINED, demand: Demand | None = ASKED) -> Part:
    costs = Effort.model_validate(COSTS.model_dump(exclude_none=True) | changes)
    return of_life(measured(), Terms(profile=profile()), demand, costs, training).money


def test_a_training_machine_whose_rent_pays_for_power() -> None:
    bill = _life({"training": {"price_per_hour": 0.34, "includes_energy": True}})
    assert told(found(bill, "training")) == [
        ("training machine", "1 trainings × 1,800 s × 0.34 USD an hour, energy in the rent")
    ]


def test_a_training_whose_cost_is_stated_is_one_part() -> None:
    bill = _life({"training": {"cost": 500}}, None)
    assert told(found(bill, "training")) == [("training", "[training] cost = 500 USD")]
    assert found(bill, "training").figure.how == "stated:the costs file"


def test_what_a_life_does_not_know_says_where_to_state_it() -> None:
    nothing = "the run has no record of a training of this model: [training] cost in the costs file states one"
    assert told(_life({}, None), "training machine", "training energy") == [
        ("training machine", nothing),
        ("training energy", nothing),
    ]
    bare = msgspec.structs.replace(TRAINED, costs={})
    assert told(_life({}, bare), "training machine", "training energy") == [
        ("training machine", "the training has no training_time on record"),
        ("training energy", "the training has no training_energy on record"),
    ]
    assert told(_life({"training": {}}), "training machine") == [
        ("training machine", "the costs file states no [training] price_per_hour")
    ]
    assert told(_life({"engineering": {"rate_per_hour": 90}}), "engineering") == [
        ("engineering", "the costs file states no [engineering.hours] for fp32")
    ]
    assert told(_life({"engineering": {"hours": {"fp32": 1}}}), "engineering") == [
        ("engineering", "the costs file states no [engineering] rate_per_hour")
    ]
    assert told(_life({"data": {}}), "collection", "labelling") == [
        ("collection", "the costs file states no [data] collection"),
        ("labelling", "the costs file states no [data] labelling"),
    ]
    assert told(_life({}, demand=None), "serving") == [("serving", "no traffic is given")]
    endless = of_life(measured(), Terms(profile=profile()), ASKED, Effort(), TRAINED)
    for part, unit in ((endless.money, "USD"), (endless.energy, "J"), (endless.carbon, "g")):
        gap = found(part, "serving")
        assert (gap.figure.reason, gap.figure.unit) == ("the costs file states no life_months", unit)
