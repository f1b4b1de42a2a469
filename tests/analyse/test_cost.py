"""Costs: figures recomputed by hand, and what holds whatever the figures are."""

from __future__ import annotations

import datetime
import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse.cost import (
    Demand,
    Terms,
    cheapest,
    hour_price,
    ledger,
    machines,
    of_life,
    per_million,
    per_month,
    quality_for_money,
    replicas,
    terms_of,
)
from bench.analyse.cost.parts import leaf, missing, scaled, stated, total
from bench.analyse.cost.quantity import Quantity, Unknown
from bench.analyse.cost.units import UnitError
from bench.errors import UserError
from bench.record.artifact import Training
from bench.record.cost import Part
from bench.record.measurement import Measurement
from bench.suite.effort import Effort
from tests.analyse.costed import choice, figure, profile

amounts = st.floats(1e-3, 1e6)
MONTH_S = 730.5 * 3600


def value(part: Part | None) -> float:
    assert part is not None
    assert part.figure.value is not None, part.figure.how
    return part.figure.value


def reason(part: Part) -> str:
    assert part.figure.reason is not None
    return part.figure.reason


# Units


def test_figures_of_different_units_do_not_add_up() -> None:
    with pytest.raises(UnitError, match="USD and EUR do not add up"):
        Quantity.exact(1, "USD") + Quantity.exact(1, "EUR")
    with pytest.raises(UnitError, match="USD and g"):
        total("bill", "USD", [stated("a", 1, "USD", "me", "a"), stated("b", 1, "g", "me", "b")])
    with pytest.raises(UnitError, match="is not one in USD"):
        Quantity.exact(1, "J").figure("USD")
    with pytest.raises(UnitError, match="no unit"):
        Quantity.exact(1, "furlong")


def test_products_carry_their_units() -> None:
    cost = Quantity.exact(2, "W") * Quantity.exact(1, "month") * Quantity.exact(0.5, "USD/kWh")
    assert cost.figure("USD").value == pytest.approx(2 * 730.5 / 1000 * 0.5)
    rate = Quantity.exact(3, "USD/h")
    assert (rate / Quantity.exact(7, "1/s")).figure("USD").value == pytest.approx(3 / 3600 / 7)


@given(amounts, amounts, amounts)
def test_the_unit_a_figure_is_written_in_does_not_matter(hours: float, kwh: float, price: float) -> None:
    bill = Quantity.exact(hours, "h") * Quantity.exact(price, "USD/h") + Quantity.exact(kwh, "kWh") * Quantity.exact(
        price, "USD/kWh"
    )
    same = Quantity.exact(hours * 3600, "s") * Quantity.exact(price / 3600, "USD/s") + Quantity.exact(
        kwh * 3.6e6, "J"
    ) * Quantity.exact(price / 3.6e6, "USD/J")
    assert bill.value == pytest.approx(same.value, rel=1e-12)


spans = st.tuples(st.floats(1e-3, 1e3), st.floats(0, 0.9), st.floats(0, 3))


@given(spans, spans, st.sampled_from(["add", "sub", "mul", "div"]), st.floats(0, 1), st.floats(0, 1))
def test_an_interval_holds_its_value_and_all_that_its_terms_may_be(a, b, what, p, q) -> None:
    def made(span):
        middle, under, over = span
        return Quantity(value=middle, low=middle * (1 - under), high=middle * (1 + over), confidence=0.95)

    work = {
        "add": lambda x, y: x + y,
        "sub": lambda x, y: x - y,
        "mul": lambda x, y: x * y,
        "div": lambda x, y: x / y,
    }[what]
    x, y = made(a), made(b)
    found = work(x, y)
    assert found.low <= found.value <= found.high
    one, other = x.low + p * (x.high - x.low), y.low + q * (y.high - y.low)
    slack = 1e-9 * max(1, abs(found.high), abs(found.low))
    assert found.low - slack <= work(one, other) <= found.high + slack
    assert found.confidence == 0.95


def test_what_has_no_interval_gives_none_and_what_is_stated_is_exact() -> None:
    loose = Quantity.of(Measurement(value=2.0, unit="s", n=1, how="measured:clock"))
    exact = Quantity.of(Measurement(value=2.0, unit="s", n=0, how="stated:me"))
    assert (loose + exact).low is None
    assert (exact + exact).low == 4.0
    assert (exact / Quantity(value=1.0, low=-1.0, high=3.0)).low is None
    with pytest.raises(Unknown, match="nothing to divide by"):
        exact / Quantity.exact(0.0)


def test_the_least_sure_figure_gives_the_grade() -> None:
    exact = Quantity.exact(1.0, "J")
    estimate = exact.guessed("tdp")
    projected = Quantity.of(Measurement(value=1.0, unit="J", n=0, how="projected:T4"))
    assert (exact + exact).how.startswith("computed:")
    assert (exact + estimate).how == "estimated:tdp"
    assert (projected + estimate).how == "projected:T4; tdp"


# Trees


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> Part:
    name = draw(st.sampled_from(["a", "b", "c"]))
    if depth == 0 or draw(st.booleans()):
        if draw(st.integers(0, 3)) == 0:
            return missing(name, "USD", "nobody knows")
        middle = draw(amounts)
        return leaf(name, "USD", lambda: (Quantity.of(figure(middle, "USD", 0.1)), "by hand"))
    return total(name, "USD", [draw(trees(depth - 1)) for _ in range(draw(st.integers(1, 3)))])


@settings(max_examples=60, deadline=None)
@given(trees())
def test_a_total_is_the_sum_of_its_known_leaves_and_the_unknown_stay_listed(tree: Part) -> None:
    known = [part.figure for part in tree.leaves() if part.figure.value is not None]
    if not known:
        assert tree.figure.value is None
        return
    assert value(tree) == pytest.approx(sum(part.value or 0 for part in known))
    assert tree.figure.low == pytest.approx(sum(part.low or 0 for part in known))
    unknown = missing("d", "USD", "not told")
    more = total("whole", "USD", [tree, unknown])
    assert more.unknown == (*tree.unknown, unknown)
    assert not more.complete
    assert value(more) >= value(tree)
    assert (more.figure.low or 0) >= (tree.figure.low or 0)
    twice = scaled(more, Quantity.exact(2.0), "USD", "2")
    assert value(twice) == pytest.approx(2 * value(more))
    assert [part.name for part in twice.unknown] == [part.name for part in more.unknown]


# The price of an hour


def test_a_rent_is_stated_and_a_purchase_is_spread_over_the_hours_it_works() -> None:
    rent = hour_price(Terms(profile=profile(price={"per_hour": 0.5})))
    assert value(rent) == pytest.approx(0.5)
    assert rent.figure.how == "stated:by hand"
    bought = hour_price(Terms(profile=profile(price={"purchase": 5000, "life_years": 4, "utilisation": 0.5})))
    assert value(bought) == pytest.approx(5000 / (4 * 8766 * 0.5))
    assert bought.figure.how.startswith("computed:")
    assert "5,000 USD / (4 years" in bought.formula


def test_a_price_that_is_not_known_is_an_unknown_part_and_never_zero() -> None:
    bill = per_million(choice(), Terms(profile=profile(price=None)))
    hardware = bill.money.part("hardware")
    assert hardware is not None
    assert reason(hardware) == "the profile box states no price"
    assert value(bill.money) == pytest.approx(value(bill.money.part("energy")))
    nothing = per_million(choice(), Terms(profile=None, no_profile="no profile fits")).money
    assert {part.figure.reason for part in nothing.unknown} == {"no profile fits"}


# A million inferences


def test_a_million_inferences_by_hand() -> None:
    bill = per_million(choice(throughput=1000, energy=0.05, energy_net=0.03, idle_power=20), Terms(profile=profile()))
    hours = 1e6 / (1000 * 4) / 3600
    joules = 1e6 * (0.03 + 20 / (1000 * 4))
    assert value(bill.money.part("hardware")) == pytest.approx(hours * 0.5)
    assert value(bill.energy) == pytest.approx(joules)
    assert value(bill.money.part("energy")) == pytest.approx(joules / 3.6e6 * 0.25)
    assert value(bill.money) == pytest.approx(hours * 0.5 + joules / 3.6e6 * 0.25)
    assert value(bill.carbon) == pytest.approx(joules / 3.6e6 * 400)
    assert [part.name for part in bill.carbon.unknown] == ["making of the machine"]
    assert bill.money.complete
    assert bill.money.figure.how.startswith("estimated:processes side by side")


def test_one_process_a_machine_rests_on_no_assumption() -> None:
    bill = per_million(choice(threads=4, energy=0.05), Terms(profile=profile()))
    assert value(bill.energy) == pytest.approx(0.05e6)
    assert bill.money.figure.how.startswith("computed:")


def test_where_the_power_at_rest_is_not_known_what_one_process_drew_is_the_most() -> None:
    bill = per_million(choice(energy=0.05), Terms(profile=profile(idle=None)))
    assert value(bill.energy) == pytest.approx(0.05e6)
    assert bill.energy.figure.low == pytest.approx(0.05e6 / 4)
    assert bill.energy.figure.is_estimate


def test_energy_that_was_not_measured_is_estimated_from_stated_powers_or_unknown() -> None:
    terms = Terms(profile=profile(idle=20, tdp=100))
    full = per_million(choice(throughput=1000), terms).energy
    assert value(full) == pytest.approx(1e6 * 100 / 4000)
    assert full.figure.how.startswith("estimated:")
    assert "tdp" in full.figure.how
    part = per_million(choice(throughput=1000, threads=1), Terms(profile=profile(idle=20, tdp=100), slots=2)).energy
    assert value(part) == pytest.approx(1e6 * (20 + 80 * 2 / 4) / 2000)
    unknown = per_million(choice(), Terms(profile=profile(tdp=None))).energy
    assert "no TDP" in reason(unknown)
    # Without a power at rest only a machine that is busy altogether is known.
    full = per_million(choice(throughput=1000), Terms(profile=profile(idle=None))).energy
    assert value(full) == pytest.approx(1e6 * 100 / 4000)
    part = per_million(choice(throughput=1000, threads=3), Terms(profile=profile(idle=None))).energy
    assert "no power at rest" in reason(part)


def test_an_estimate_in_the_rows_stands_only_where_the_profile_gives_none() -> None:
    # The row's own estimate may have taken the power at rest for nothing.
    rough = figure(0.01, "J", how="estimated:tdp (rated power and CPU load)")
    served = choice(threads=3, energy_net=0.01, idle_power=0.0)
    served = msgspec.structs.replace(served, figures=served.figures | {"energy": rough})
    rated = per_million(served, Terms(profile=profile(idle=20, tdp=100))).energy
    assert value(rated) == pytest.approx(1e6 * (20 + 80 * 3 / 4) / 1000)
    own = Terms(profile=profile(idle=None, tdp=None))
    assert value(per_million(served, own).energy) == pytest.approx(1e6 * 0.01)
    assert [part.name for part in per_month(served, own, Demand(traffic=1)).energy.unknown] == ["rest"]


def test_a_measured_energy_without_its_share_above_rest_takes_it_from_the_power() -> None:
    found = per_million(choice(energy=0.05, power=50, idle_power=20), Terms(profile=profile())).energy
    assert value(found) == pytest.approx(1e6 * (0.05 * (1 - 20 / 50) + 20 / 4000))


def test_a_rent_that_includes_energy_pays_for_it_and_the_carbon_still_counts() -> None:
    terms = Terms(profile=profile(price={"per_hour": 0.5, "includes_energy": True}))
    bill = per_million(choice(), terms)
    assert [part.name for part in bill.money.parts] == ["hardware"]
    assert bill.money.complete
    assert "energy in the rent" in bill.money.parts[0].formula
    assert value(bill.carbon.part("energy")) > 0


def test_what_does_not_fit_on_the_machine_says_so() -> None:
    found = per_million(choice(threads=8), Terms(profile=profile(cores=4)))
    assert reason(found.money.parts[0]) == "it does not fit on box: 8 threads for 4 cores"
    gpu = per_million(choice(), Terms(profile=profile(kind="gpu")))
    assert reason(gpu.money.parts[0]) == "the profile box is of a GPU; onnxruntime-cpu computes on a CPU"


def test_rows_of_another_machine_have_no_cost_unless_they_are_projected_onto_it() -> None:
    terms = Terms(profile=profile(), elsewhere="it was not measured there")
    for bill in (per_million(choice(), terms), per_month(choice(), terms, Demand(traffic=10))):
        assert {part.figure.reason for part in bill.money.unknown} == {"it was not measured there"}
    assert value(per_million(choice(projected="box"), terms).money) > 0
    assert per_million(choice(projected="other"), terms).money.figure.value is None


def test_a_rate_is_known_as_well_as_the_mean_latency_of_the_same_calls() -> None:
    served = choice(throughput=1000)
    bare = served.figures | {"throughput": Measurement(value=1000.0, unit="1/s", n=9, how="measured:clock")}
    mean = figure(0.9e-3, "s", 0.1)
    terms = Terms(profile=profile(tdp=None))
    plain = msgspec.structs.replace(served, figures=bare)
    assert per_million(plain, terms).money.figure.low is None
    known = per_million(msgspec.structs.replace(served, figures=bare | {"mean_latency": mean}), terms).money.figure
    assert known.low == pytest.approx(known.value * 0.9)
    assert known.high == pytest.approx(known.value * 1.1)


def test_what_failed_has_no_cost_but_a_reason() -> None:
    broken = choice(throughput=None, capacity=None)
    assert "no throughput is on record" in reason(per_million(broken, Terms(profile=profile())).money.parts[0])


# A month


def test_a_month_by_hand() -> None:
    asked = Demand(traffic=10_000, p99_s=0.01, headroom=0.3)
    served = choice(half=0.1, capacity=800, energy=0.05, energy_net=0.03, idle_power=20)
    terms = Terms(profile=profile())
    count = replicas(served, asked)
    assert (value(count), count.figure.low, count.figure.high) == (18, 17, 20)  # 10000 / (800 x 0.7) = 17.9
    assert value(machines(served, terms, asked)) == 5
    bill = per_month(served, terms, asked)
    joules = 10_000 * MONTH_S * 0.03, 5 * 20 * MONTH_S
    assert value(bill.money.part("hardware")) == pytest.approx(5 * 0.5 * 730.5)
    assert value(bill.energy.part("work")) == pytest.approx(joules[0])
    assert value(bill.energy.part("rest")) == pytest.approx(joules[1])
    assert value(bill.money) == pytest.approx(5 * 0.5 * 730.5 + sum(joules) / 3.6e6 * 0.25)
    assert value(bill.carbon) == pytest.approx(sum(joules) / 3.6e6 * 400)


def test_a_full_machine_draws_as_much_by_the_month_as_by_the_million() -> None:
    # Capacity equal to throughput and no head-room: the month is nothing but full load.
    served = choice(throughput=1000, capacity=1000, energy=0.05, energy_net=0.03, idle_power=20)
    terms, asked = Terms(profile=profile()), Demand(traffic=4000, headroom=0)
    month, million = per_month(served, terms, asked), per_million(served, terms)
    millions = 4000 * MONTH_S / 1e6
    assert value(month.energy) == pytest.approx(millions * value(million.energy))
    assert value(month.money) == pytest.approx(millions * value(million.money))


def test_a_month_without_the_power_at_rest_is_a_lower_bound() -> None:
    bill = per_month(choice(threads=4, energy=0.05), Terms(profile=profile(idle=None)), Demand(traffic=100))
    assert [part.name for part in bill.energy.unknown] == ["rest"]
    assert value(bill.energy) == pytest.approx(100 * MONTH_S * 0.05)
    assert not bill.money.complete


def test_a_capacity_that_is_missing_or_too_loose_names_the_row_to_measure() -> None:
    asked = Demand(traffic=100, p99_s=0.01)
    none = reason(replicas(choice(capacity=None), asked))
    assert none == 'no server row on record: measure one with scenario server, rate = "search", p99_ms = 10'
    loose = reason(replicas(choice(bound_s=0.02), asked))
    assert "only under the looser 20 ms" in loose
    assert "p99_ms = 10" in loose
    assert value(replicas(choice(bound_s=0.005), asked)) > 0
    batched = reason(replicas(choice(batch=8), asked))
    assert "queries of 8 examples, a request has 1" in batched
    bill = per_month(choice(capacity=None), Terms(profile=profile()), asked)
    assert {part.figure.reason for part in bill.money.unknown} == {none}


def test_machines_with_one_replica_do_not_rest_on_the_assumption_of_several() -> None:
    found = machines(choice(), Terms(profile=profile()), Demand(traffic=10))
    assert found.figure.how.startswith("computed:")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"traffic": 0.0}, "traffic"),
        ({"traffic": 1.0, "headroom": 1.0}, "head-room"),
        ({"traffic": 1.0, "p99_s": 0.0}, "p99"),
        ({"traffic": 1e308}, "traffic"),
        ({"traffic": 1.0, "headroom": 0.9999999999999999}, "head-room"),
    ],
)
def test_a_demand_that_makes_no_sense_is_refused(fields, word) -> None:
    with pytest.raises(UserError, match=word):
        Demand(**fields)


# What holds whatever the figures are

figures = st.fixed_dictionaries(
    {
        "throughput": st.floats(1, 1e5),
        "capacity": st.floats(1, 1e5),
        "half": st.floats(0, 0.5),
    },
    optional={"energy": st.floats(1e-6, 10), "energy_net": st.floats(-1, 10), "idle_power": st.floats(0, 100)},
)
factors = st.floats(1, 10)


def _bills(fields, *, price=0.5, tariff=0.25, carbon=400.0, traffic=100.0, headroom=0.3, currency="USD", energy=1.0):
    fields = fields | {name: fields[name] * energy for name in ("energy", "energy_net", "idle_power") if name in fields}
    terms = Terms(
        profile=profile(tariff=tariff, carbon=carbon, price={"per_hour": price, "currency": currency}), embodied=1.0
    )
    served = choice(**fields)
    demand = Demand(traffic=traffic, headroom=headroom)
    effort = Effort.model_validate(
        {"life_months": 24, "training": {"cost": 10 * price}, "data": {"collection": price, "labelling": 0}}
    )
    return per_million(served, terms), per_month(served, terms, demand), of_life(served, terms, demand, effort, None)


def _never_falls(before: Part, after: Part) -> None:
    for a, b in zip(_ends(before), _ends(after), strict=True):
        assert a is None or b is None or b >= a * (1 - 1e-9)


def _ends(part: Part) -> tuple[float | None, ...]:
    return part.figure.value, part.figure.low, part.figure.high


@settings(max_examples=40, deadline=None)
@given(figures, factors, st.sampled_from(["price", "tariff", "carbon", "traffic", "headroom", "energy"]))
def test_cost_never_falls_as_price_traffic_energy_or_carbon_rise(fields, factor, what) -> None:
    base = {"price": 0.5, "tariff": 0.25, "carbon": 400.0, "traffic": 100.0, "headroom": 0.09, "energy": 1.0}
    before, after = _bills(fields, **base), _bills(fields, **base | {what: base[what] * factor})
    for less, more in zip(before, after, strict=True):
        for name in ("money", "energy", "carbon"):
            _never_falls(getattr(less, name), getattr(more, name))


@settings(max_examples=30, deadline=None)
@given(figures, st.floats(0.01, 100))
def test_a_currency_worth_less_makes_every_amount_as_much_more(fields, rate) -> None:
    for one, other in zip(
        _bills(fields), _bills(fields, price=0.5 * rate, tariff=0.25 * rate, currency="EUR"), strict=True
    ):
        assert value(other.money) == pytest.approx(rate * value(one.money))
        assert other.money.figure.unit == "EUR"
        assert value(other.carbon) == value(one.carbon)


@settings(max_examples=40, deadline=None)
@given(figures)
def test_intervals_hold_their_value_and_the_parts_add_up(fields) -> None:
    for bill in _bills(fields):
        for part in (bill.money, bill.energy, bill.carbon):
            for each in itertools.chain([part], part.leaves()):
                low, high = each.figure.low, each.figure.high
                if each.figure.value is not None and low is not None and high is not None:
                    slack = 1e-9 * abs(each.figure.value)
                    assert low - slack <= each.figure.value <= high + slack
            known = [each.figure.value for each in part.leaves() if each.figure.value is not None]
            assert value(part) == pytest.approx(sum(known))


@given(st.floats(1, 1e6), st.floats(1, 1e4), st.floats(0, 0.9), st.floats(0, 0.09))
def test_more_head_room_never_needs_fewer_replicas(traffic, capacity, headroom, more) -> None:
    served = choice(capacity=capacity, half=0.1)
    _never_falls(
        replicas(served, Demand(traffic=traffic, headroom=headroom)),
        replicas(served, Demand(traffic=traffic, headroom=headroom + more)),
    )


@given(st.integers(1, 10_000), st.floats(1e-3, 1e3))
def test_rounding_up_counts_no_machine_too_many_for_the_rounding_of_numbers(count, capacity) -> None:
    served = choice(capacity=capacity)
    assert value(replicas(served, Demand(traffic=count * capacity * 0.7, headroom=0.3))) == count


# The life


COSTS = Effort.model_validate(
    {
        "currency": "USD",
        "life_months": 24,
        "engineering": {"rate_per_hour": 90, "hours": {"int8*": 80, "fp32": 4, "*": 7}},
        "data": {"collection": 1000, "labelling": 2500},
        "training": {"price_per_hour": 0.34, "runs": 20},
    }
)
TRAINED = Training(
    examples=1,
    epochs=(),
    costs={
        "training_time": figure(1800, "s", 0.0),
        "training_energy": figure(36e3, "J", 0.0),
    },
    machine="this",
)


def test_a_life_by_hand() -> None:
    asked, terms, served = Demand(traffic=10_000), Terms(profile=profile()), choice("int8-dynamic")
    bill = of_life(served, terms, asked, COSTS, TRAINED)
    month = per_month(served, terms, asked)
    assert value(bill.money.part("data")) == 3500
    assert value(bill.money.part("training machine")) == pytest.approx(20 * 0.5 * 0.34)
    assert value(bill.money.part("training energy")) == pytest.approx(20 * 36e3 / 3.6e6 * 0.25)
    assert value(bill.money.part("engineering")) == 80 * 90
    assert value(bill.money.part("serving")) == pytest.approx(24 * value(month.money))
    assert value(bill.energy) == pytest.approx(24 * value(month.energy) + 20 * 36e3)
    assert value(bill.carbon) == pytest.approx(24 * value(month.carbon) + 20 * 0.01 * 400)
    assert bill.money.complete
    known = [part.figure.value for part in bill.money.leaves()]
    assert value(bill.money) == pytest.approx(sum(known))


def test_a_variant_that_took_two_weeks_is_seen_for_what_it_is() -> None:
    terms, asked = Terms(profile=profile()), Demand(traffic=100)
    quick, slow = (
        value(of_life(choice(name, capacity=capacity), terms, asked, COSTS, TRAINED).money)
        for name, capacity in (("fp32", 800), ("int8", 1600))
    )
    assert slow - quick == pytest.approx(76 * 90)


def test_what_the_costs_file_does_not_state_is_listed() -> None:
    bill = of_life(choice("pruned"), Terms(profile=profile()), None, Effort(), None)
    assert {part.name for part in bill.money.unknown} == {
        "collection", "labelling", "training machine", "training energy", "engineering", "serving",
    }  # fmt: skip
    assert bill.money.figure.value is None
    told = " ".join(part.figure.reason or "" for part in bill.money.unknown)
    assert "no [engineering.hours] for pruned" in told
    assert "no traffic is given" in told
    later = of_life(choice(), Terms(profile=profile()), Demand(traffic=1), Effort(), TRAINED)
    assert "states no life_months" in reason(later.money.part("serving") or later.money)


def test_a_stated_cost_of_training_and_a_rent_with_power_take_the_place_of_measured_ones() -> None:
    terms = Terms(profile=profile())
    own = COSTS.model_copy(update={"training": COSTS.training.model_copy(update={"cost": 500.0})})
    assert value(of_life(choice(), terms, None, own, None).money.part("training")) == 500
    rent = COSTS.model_copy(update={"training": COSTS.training.model_copy(update={"includes_energy": True})})
    training = of_life(choice(), terms, None, rent, TRAINED).money.part("training")
    assert training is not None
    assert training.complete
    assert [part.name for part in training.parts] == ["training machine"]


# The user's own prices


def test_the_costs_file_goes_before_the_profile() -> None:
    own = Effort.model_validate(
        {
            "hardware": {"price_per_hour": 2.0, "embodied_kg": 1000, "embodied_years": 4},
            "energy": {"tariff": 1.0, "carbon": 10.0},
        }
    )
    terms = terms_of(profile(), own, today=datetime.date(2026, 11, 1))
    assert value(hour_price(terms)) == pytest.approx(2.0)
    assert hour_price(terms).figure.how == "stated:the costs file"
    bill = per_million(choice(threads=4, energy=0.36), terms)
    hours = 1e6 / 1000 / 3600
    assert value(bill.money.part("energy")) == pytest.approx(0.1)
    assert value(bill.carbon) == pytest.approx(1.0 + hours * 1e6 / (4 * 8766))
    assert bill.carbon.complete


def test_two_currencies_are_never_mixed() -> None:
    with pytest.raises(UserError, match="the costs file is in EUR, the profile box in USD"):
        terms_of(profile(), Effort(currency="EUR"))
    both = Effort.model_validate({"currency": "EUR", "hardware": {"price_per_hour": 1}, "energy": {"tariff": 0.3}})
    assert terms_of(profile(), both).money == "EUR"
    unpriced = terms_of(profile(price=None), Effort(currency="EUR"))
    assert unpriced.money == "EUR"
    # Nothing says in which currency the tariff of such a profile is.
    energy = per_million(choice(threads=4, energy=0.05), unpriced).money.part("energy")
    assert energy is not None
    assert "in which currency its tariff is" in reason(energy)
    assert terms_of(None, Effort(currency="EUR")).money == "EUR"


def test_a_rent_that_includes_energy_does_not_pay_for_that_of_the_training() -> None:
    costs = {"currency": "EUR", "hardware": {"price_per_hour": 1, "includes_energy": True}}
    with pytest.raises(UserError, match="the costs file is in EUR, the profile box in USD"):
        terms_of(profile(), Effort.model_validate(costs | {"training": {"price_per_hour": 1}}))
    own = Effort.model_validate(costs | {"training": {"cost": 7}})
    assert terms_of(profile(), own).money == "EUR"


def test_a_machine_that_was_bought_is_paid_for_once_in_its_life() -> None:
    bought = profile(price={"purchase": 600, "life_years": 5, "utilisation": 0.5})
    terms, asked = Terms(profile=bought), Demand(traffic=10)
    assert value(per_month(choice(), terms, asked).money.part("hardware")) == pytest.approx(600 / 60)
    life = of_life(choice(), terms, asked, COSTS.model_copy(update={"life_months": 60.0}), TRAINED).money
    assert value(life.part("hardware")) == pytest.approx(600)
    # At full load it works for half of its life, so that an hour of work costs twice as much.
    million = per_million(choice(throughput=1000), terms).money.part("hardware")
    assert value(million) == pytest.approx(1e6 / 4000 / 3600 * 600 / (5 * 8766 * 0.5))


def test_what_is_too_large_for_a_number_is_not_known() -> None:
    costs = {"life_months": 1e308, "engineering": {"rate_per_hour": 1e308, "hours": {"*": 1e308}}}
    bill = of_life(choice(), Terms(profile=profile()), Demand(traffic=10), Effort.model_validate(costs), TRAINED).money
    for name in ("engineering", "serving"):
        part = bill.part(name)
        assert part is not None
        assert reason(part) == "it is too large to be told"
        assert name in [each.name for each in bill.unknown]


def test_processes_that_are_asked_for_have_to_fit_on_the_machine() -> None:
    for threads, slots in ((1, 5), (8, 1), (2, 3)):
        found = machines(choice(threads=threads), Terms(profile=profile(cores=4), slots=slots), Demand(traffic=1))
        assert "does not fit on box" in reason(found)
    assert value(machines(choice(threads=2), Terms(profile=profile(cores=4), slots=2), Demand(traffic=1))) == 1


def test_a_month_with_several_processes_and_no_power_at_rest_counts_the_least_of_their_work() -> None:
    bill = per_month(choice(threads=1, energy=0.05), Terms(profile=profile(idle=None)), Demand(traffic=2000))
    assert value(bill.energy) == pytest.approx(2000 * MONTH_S * 0.05 / 4)
    assert [part.name for part in bill.energy.unknown] == ["rest"]


# What the money buys


def _bill(amount: float, half: float = 0.01) -> Part:
    return leaf("money", "USD", lambda: (Quantity.of(figure(amount, "USD", half)), ""))


def test_quality_for_money_over_the_cheapest() -> None:
    cheap, dear = choice("int8", accuracy=0.90, half=0.001), choice("fp32", accuracy=0.95, half=0.001)
    bills = {"int8": _bill(100), "fp32": _bill(200), "open": total("x", "USD", [_bill(1), missing("y", "USD", "no")])}
    assert cheapest(bills) == "int8"
    gained = quality_for_money(dear, bills["fp32"], cheap, bills["int8"])
    assert gained.value == pytest.approx(0.05 / 100)
    assert gained.unit == "1/USD"
    assert gained.low < gained.value < gained.high
    assert "unknown parts" in (quality_for_money(dear, bills["open"], cheap, bills["int8"]).reason or "")
    assert "costs do not stand apart" in (quality_for_money(dear, _bill(100.5), cheap, bills["int8"]).reason or "")
    alike = choice("fp16", accuracy=0.9001, half=0.001)
    assert "qualities do not stand apart" in (
        quality_for_money(alike, bills["fp32"], cheap, bills["int8"]).reason or ""
    )


def test_the_ledger_holds_every_choice_against_the_cheapest_of_its_model() -> None:
    cheap = choice("int8", accuracy=0.90, half=0.001, throughput=2000)
    dear = choice("fp32", accuracy=0.95, half=0.001, throughput=1000)
    found = ledger([dear, cheap], Terms(profile=profile()))
    assert found.accounts[0].against == cheap.name
    assert found.accounts[0].gained.value > 0
    assert found.accounts[1].gained is None
    assert found.accounts[0].widest is found.accounts[0].million
    none = ledger([dear, cheap], Terms(profile=profile(price=None)))
    assert none.accounts[0].gained.reason == "no choice has a complete cost"
