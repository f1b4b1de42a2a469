"""Whose machine is paid for, at which price, and what a choice gives for its money: by hand, with what is refused."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.analyse.cost import (
    Demand,
    Terms,
    cheapest,
    hour_price,
    ledger,
    machines,
    of_life,
    opened,
    per_million,
    quality_for_money,
    slots,
    terms_for,
    terms_of,
)
from bench.analyse.cost.parts import missing, stated, total
from bench.analyse.cost.quantity import Unknown
from bench.analyse.cost.terms import check_machine
from bench.analyse.cost.whose import NO_FIT
from bench.errors import UserError
from bench.machine.environment import read_environment
from bench.record.artifact import Training
from bench.record.cost import Part
from bench.record.measurement import Measurement
from bench.record.observation import Plan
from bench.store.manifest import Manifest
from bench.suite.effort import Effort
from tests.analyse.costed import choice, figure, profile

DAY = datetime.date(2026, 11, 1)


def effort(**tables: Any) -> Effort:
    return Effort.model_validate(tables)


# What is asked of the service


@pytest.mark.parametrize(
    ("fields", "what", "where", "remedy"),
    [
        (
            {"traffic": 0.0},
            "the traffic must be over 0 requests a second, and no more than 1e+12",
            "--traffic",
            "such as 10000/s",
        ),
        (
            {"traffic": 1.1e12},
            "the traffic must be over 0 requests a second, and no more than 1e+12",
            "--traffic",
            "such as 10000/s",
        ),
        (
            {"traffic": 1.0, "headroom": -0.01},
            "the head-room is a share from 0 to 0.999",
            "--headroom",
            "such as 0.3",
        ),
        (
            {"traffic": 1.0, "headroom": 0.9991},
            "the head-room is a share from 0 to 0.999",
            "--headroom",
            "such as 0.3",
        ),
        ({"traffic": 1.0, "p99_s": 0.0}, "the bound on p99 must be over 0", "--max-p99", "such as 10ms"),
        ({"traffic": 1.0, "p99_s": float("inf")}, "the bound on p99 must be over 0", "--max-p99", "such as 10ms"),
    ],
)
def test_a_demand_that_makes_no_sense_says_what_would(
    fields: dict[str, Any], what: str, where: str, remedy: str
) -> None:
    with pytest.raises(UserError) as caught:
        Demand(**fields)
    assert (caught.value.what, caught.value.where, caught.value.remedy) == (what, where, remedy)


def test_a_demand_at_its_bounds_is_one() -> None:
    assert Demand(traffic=1e12, headroom=0.999, p99_s=1e-9).batch == 1
    assert Demand(traffic=1e-9, headroom=0.0).p99_s is None
    assert Demand(traffic=1.0).headroom == 0.3
    assert Demand(traffic=0.5, p99_s=0.5).traffic == 0.5


# The machine


def test_processes_on_a_machine_are_its_cores_over_their_threads() -> None:
    for threads, cores, held in ((1, 4, 4), (2, 5, 2), (3, 4, 1), (4, 4, 1), (1, 4.9, 4)):
        assert slots(choice(threads=threads), Terms(profile=profile(cores=cores))) == held
    assert slots(choice(threads=2), Terms(profile=profile(), slots=1)) == 1
    assert slots(choice(threads=2), Terms(profile=profile(), slots=2)) == 2
    gpu = choice(target="onnxruntime-cuda", threads=64)
    assert slots(gpu, Terms(profile=profile(kind="gpu"))) == 1
    assert slots(gpu, Terms(profile=profile(kind="gpu"), slots=3)) == 3


@pytest.mark.parametrize(
    ("threads", "asked", "said"),
    [
        (5, None, "it does not fit on box: 5 threads for 4 cores"),
        (5, 1, "it does not fit on box: 5 threads for 4 cores"),
        (2, 3, "it does not fit on box: 3 processes of 2 threads for 4 cores"),
    ],
)
def test_what_does_not_fit_says_how_much_of_what(threads: int, asked: int | None, said: str) -> None:
    with pytest.raises(Unknown) as caught:
        slots(choice(threads=threads), Terms(profile=profile(), slots=asked))
    assert str(caught.value) == said


def test_a_device_that_is_not_the_machines_or_not_known_has_no_cost() -> None:
    for target, kind, said in (
        ("onnxruntime-cuda", "cpu", "the profile box is of a CPU; onnxruntime-cuda computes on a GPU"),
        ("onnxruntime-cpu", "gpu", "the profile box is of a GPU; onnxruntime-cpu computes on a CPU"),
        ("null-cpu", "cpu", "it is not known which device null-cpu computes on"),
    ):
        with pytest.raises(Unknown) as caught:
            check_machine(choice(target=target), Terms(profile=profile(kind=kind)))
        assert str(caught.value) == said
    check_machine(choice(target="onnxruntime-cuda"), Terms(profile=profile(kind="gpu")))


def test_without_a_profile_the_reason_is_the_one_given() -> None:
    assert terms_of(None).no_profile == "no hardware profile is given"
    with pytest.raises(Unknown, match=r"^no hardware profile is given$"):
        slots(choice(), Terms(profile=None))
    with pytest.raises(Unknown, match=r"^none fits$"):
        slots(choice(), terms_of(None, no_profile="none fits"))
    assert not Terms(profile=None).rent_includes_energy
    assert not Terms(profile=profile(price=None)).rent_includes_energy
    assert Terms(profile=profile(price={"per_hour": 1, "includes_energy": True})).rent_includes_energy


def test_amounts_are_in_the_currency_of_the_price() -> None:
    assert Terms(profile=None).money == "USD"
    assert Terms(profile=None, currency="CHF").money == "CHF"
    assert Terms(profile=profile(price=None), currency="CHF").money == "CHF"
    francs = Terms(profile=profile(price={"per_hour": 1, "currency": "CHF"}))
    assert francs.money == "CHF"
    hour = hour_price(francs)
    assert (hour.figure.unit, hour.formula, hour.figure.how) == ("CHF/h", "1 CHF an hour", "stated:by hand")
    bought = Terms(profile=profile(price={"purchase": 8766, "life_years": 1, "utilisation": 0.5, "currency": "CHF"}))
    assert hour_price(bought).figure.value == pytest.approx(2)
    assert hour_price(bought).formula == "8,766 CHF / (1 years × 8766 h × 0.5)"
    none = hour_price(Terms(profile=None, no_profile="none fits"))
    assert (none.name, none.figure.unit, none.figure.reason) == ("machine-hour", "USD/h", "none fits")


# The user's own prices


def test_the_users_prices_take_the_place_of_the_profiles_and_say_so() -> None:
    own = effort(
        currency="USD",
        hardware={"price_per_hour": 2.0, "includes_energy": True, "embodied_kg": 8766, "embodied_years": 4},
        energy={"tariff": 1.0, "carbon": 10.0},
    )
    found = terms_of(profile(), own, 3, today=DAY, elsewhere="not there")
    assert found.profile is not None
    assert found.profile.price is not None
    assert found.profile.price.per_hour is not None
    assert (found.profile.price.currency, found.profile.price.example) == ("USD", False)
    assert found.profile.price.includes_energy
    for told, amount in (
        (found.profile.price.per_hour, 2.0),
        (found.profile.energy.tariff, 1.0),
        (found.profile.energy.carbon, 10.0),
    ):
        assert told is not None
        assert (told.value, told.source, told.date) == (amount, "the costs file", DAY)
    assert found.embodied == pytest.approx(250)
    assert (found.slots, found.elsewhere, found.no_tariff, found.currency) == (3, "not there", "", "USD")


def test_what_the_user_does_not_price_stays_as_the_profile_has_it() -> None:
    found = terms_of(profile(), effort(energy={"carbon": 1.0}), today=DAY)
    assert found.profile is not None
    assert found.profile.price == profile().price
    assert found.profile.energy.tariff == profile().energy.tariff
    assert (found.embodied, found.slots, found.elsewhere, found.no_tariff) == (None, None, "", "")
    other = terms_of(profile(), effort(energy={"tariff": 1.0})).profile
    assert other is not None
    assert other.energy.carbon == profile().energy.carbon
    today = terms_of(profile(), effort(energy={"carbon": 1.0})).profile
    assert today is not None
    assert today.energy.carbon is not None
    assert abs((today.energy.carbon.date - datetime.date.today()).days) <= 1


def test_an_own_price_has_the_currency_of_the_file_else_of_the_profile_else_dollars() -> None:
    francs = profile(price={"per_hour": 1, "currency": "CHF"})
    for machine, file, money in (
        (profile(), effort(currency="EUR", hardware={"price_per_hour": 1}, energy={"tariff": 1}), "EUR"),
        (francs, effort(hardware={"price_per_hour": 1}), "CHF"),
        (profile(price=None), effort(hardware={"price_per_hour": 1}), "USD"),
        (profile(price=None), effort(currency="EUR", hardware={"price_per_hour": 1}, energy={"tariff": 1}), "EUR"),
        (None, effort(currency="EUR"), "EUR"),
        (None, effort(), "USD"),
    ):
        assert terms_of(machine, file).money == money


@pytest.mark.parametrize(
    ("machine", "tables"),
    [
        ({}, {}),
        ({}, {"hardware": {"price_per_hour": 1}}),
        ({}, {"energy": {"tariff": 1}}),
        ({}, {"hardware": {"price_per_hour": 1, "includes_energy": True}}),
        ({"tariff": None}, {}),
        ({}, {"hardware": {"price_per_hour": 1}, "training": {"includes_energy": True, "price_per_hour": 1}}),
    ],
)
def test_two_currencies_in_one_sum_are_refused(machine: dict[str, Any], tables: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        terms_of(profile(**machine), effort(currency="EUR", **tables))
    assert caught.value.what == "the costs file is in EUR, the profile box in USD"
    assert caught.value.where == "currency"
    assert caught.value.remedy == (
        "write the costs in USD, or state [hardware] price_per_hour and [energy] tariff there too"
    )


@pytest.mark.parametrize(
    ("machine", "tables"),
    [
        ({}, {"hardware": {"price_per_hour": 1}, "energy": {"tariff": 1}}),
        ({"tariff": None}, {"hardware": {"price_per_hour": 1}}),
        ({}, {"hardware": {"price_per_hour": 1, "includes_energy": True}, "training": {"cost": 1}}),
        (
            {},
            {
                "hardware": {"price_per_hour": 1, "includes_energy": True},
                "training": {"price_per_hour": 1, "includes_energy": True},
            },
        ),
    ],
)
def test_a_file_that_prices_all_that_is_added_may_have_its_own_currency(
    machine: dict[str, Any], tables: dict[str, Any]
) -> None:
    assert terms_of(profile(**machine), effort(currency="EUR", **tables)).money == "EUR"


def test_a_tariff_without_a_currency_does_not_hold_beside_one_with() -> None:
    bare = profile(price=None)
    foreign = "the profile box does not say in which currency its tariff is, nor the costs file a [energy] tariff"
    assert terms_of(bare, effort(currency="EUR")).no_tariff == foreign
    for machine, file in (
        (bare, effort()),
        (bare, effort(currency="EUR", energy={"tariff": 1})),
        (profile(price=None, tariff=None), effort(currency="EUR")),
        (profile(), effort(currency="USD")),
        (None, effort(currency="EUR")),
    ):
        assert terms_of(machine, file).no_tariff == ""


# Whose machine


def manifest(run_profile: dict[str, Any] | None = None) -> Manifest:
    return Manifest(
        run_id="r1",
        created="2026-11-01T00:00:00+00:00",
        command=("bench", "run"),
        status="complete",
        suite={},
        request={},
        plan=Plan(),
        cases=(),
        models=(),
        environment=msgspec.structs.replace(read_environment(), system="Linux", cpu_model="Made up 9000"),
        profile=run_profile,
    )


TEXT = """
name = "{name}"
title = "a box"
kind = "cpu"
providers = ["onnxruntime-cpu"]
[match]
cpu_model = "{model}"
[cores]
value = 4
source = "by hand"
date = 2026-11-01
[peak.fp32]
value = 1e11
source = "by hand"
date = 2026-11-01
[memory.size]
value = 1e9
source = "by hand"
date = 2026-11-01
[memory.bandwidth]
value = 1e10
source = "by hand"
date = 2026-11-01
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, model in (("mine", "made up"), ("other", "another")):
        (tmp_path / f"{name}.toml").write_text(TEXT.format(name=name, model=model))
    return tmp_path


def test_the_profile_is_the_named_one_else_the_runs_else_the_best_that_fits(folder: Path) -> None:
    # The run's own profile is taken for what the user said it is, whatever machine it asks for.
    own = profile(match={"cpu_model": "another"}).model_dump(mode="json")
    file = effort(energy={"tariff": 0.5})
    named = terms_for(manifest(own), "mine", file, 2, [folder])
    assert named.profile is not None
    assert named.profile.energy.tariff is not None
    assert (named.profile.name, named.slots, named.elsewhere) == ("mine", 2, "")
    assert named.profile.energy.tariff.value == 0.5
    assert named.no_profile == NO_FIT
    runs = terms_for(manifest(own), None, None, None, [folder])
    assert runs.profile is not None
    assert (runs.profile.name, runs.elsewhere) == ("box", "")
    best = terms_for(manifest(), folders=[folder])
    assert best.profile is not None
    assert (best.profile.name, best.slots, best.elsewhere) == ("mine", None, "")


def test_a_named_profile_of_another_machine_says_how_to_get_figures_for_it(folder: Path) -> None:
    found = terms_for(manifest(), "other", folders=[folder])
    assert found.elsewhere == (
        "it was not measured on other, as the CPU is Made up 9000, not one like /another/: "
        "measure it there, or project it with `bench recommend --on other`"
    )


def test_a_profile_of_the_run_that_cannot_be_read_is_refused_with_its_run() -> None:
    with pytest.raises(UserError) as caught:
        terms_for(manifest({"name": "box"}))
    assert "the profile of the run r1" in str(caught.value)


# What the money buys


def bill(amount: float, half: float = 0.01) -> Part:
    return Part(name="money", figure=figure(amount, "USD", half))


def test_the_cheapest_is_the_least_of_the_complete_ones() -> None:
    gap = total("x", "USD", [stated("a", 1, "USD", "me", "a"), missing("b", "USD", "no")])
    assert cheapest({"a": bill(3), "b": bill(2), "c": gap, "d": missing("d", "USD", "no")}) == "b"
    assert cheapest({"c": gap}) is None
    assert cheapest({}) is None


def test_quality_gained_by_money_by_hand() -> None:
    better, worse = choice("fp32", accuracy=0.95), choice("int8", accuracy=0.90)
    gained = quality_for_money(better, bill(200, 0), worse, bill(100, 0))
    assert (gained.value, gained.unit) == (pytest.approx(0.05 / 100), "1/USD")
    lost = quality_for_money(worse, bill(200, 0), better, bill(100, 0))
    assert lost.value == pytest.approx(-0.05 / 100)
    by_error = [msgspec.structs.replace(each, judged_by="mae") for each in (better, worse)]
    assert quality_for_money(by_error[0], bill(200, 0), by_error[1], bill(100, 0)).value == pytest.approx(-0.05 / 100)


@pytest.mark.parametrize(
    ("mine", "other", "costs", "said"),
    [
        ({"dataset": "mnist"}, {}, (200, 100), "the qualities are of other data or another metric"),
        ({"judged_by": "auc"}, {}, (200, 100), "the qualities are of other data or another metric"),
        ({"accuracy": None}, {}, (200, 100), "no quality is on record"),
        ({}, {"accuracy": None}, (200, 100), "no quality is on record"),
        ({"accuracy": 0.9}, {}, (200, 100), "the qualities do not stand apart"),
        ({}, {}, (100, 100), "the costs do not stand apart"),
        ({}, {}, (100, 200), "it costs less"),
    ],
)
def test_where_quality_for_money_says_nothing_it_says_why(
    mine: dict[str, Any], other: dict[str, Any], costs: tuple[float, float], said: str
) -> None:
    one, two = choice("fp32", **{"accuracy": 0.95, **mine}), choice("int8", **{"accuracy": 0.90, **other})
    found = quality_for_money(one, bill(costs[0], 0), two, bill(costs[1], 0))
    assert (found.unit, found.reason) == ("1/USD", said)


def test_without_an_interval_or_with_unknown_parts_nothing_is_told() -> None:
    one, two = choice("fp32", accuracy=0.95), choice("int8", accuracy=0.90)
    bare = Measurement(value=0.95, unit="1", n=9, how="measured:x")
    loose = msgspec.structs.replace(one, figures=one.figures | {"accuracy": bare})
    assert quality_for_money(loose, bill(200), two, bill(100)).reason == (
        "the qualities have no interval to tell them apart by"
    )
    gap = total("x", "USD", [stated("a", 300, "USD", "me", "a"), missing("b", "USD", "no")])
    for costs in ((gap, bill(100)), (bill(200), gap)):
        assert quality_for_money(one, costs[0], two, costs[1]).reason == "a cost has unknown parts"
    free = Part(name="money", figure=Measurement(value=200.0, unit="USD", n=9, how="measured:x"))
    assert quality_for_money(one, free, two, bill(100)).reason == "the costs have no interval to tell them apart by"


# The ledger


def test_a_ledger_holds_what_was_asked_for() -> None:
    trained = Training(examples=1, epochs=(), costs={"training_time": figure(3600, "s")}, machine="this")
    costs = effort(life_months=24, training={"price_per_hour": 2.0}, data={"collection": 0, "labelling": 0})
    terms, asked, served = Terms(profile=profile()), Demand(traffic=1000), choice(accuracy=0.9)
    share = figure(0.5, "1")
    found = ledger([served], terms, asked, costs, {"m": trained}, {served.name: share}, ["a note"])
    (account,) = found.accounts
    assert (found.terms, found.demand, found.months, found.notes) == (terms, asked, 24, ("a note",))
    assert (found.machine_hour.name, found.machine_hour.figure.value) == ("machine-hour", 0.5)
    assert (account.choice, account.share) == (served, share)
    assert account.month is not None
    assert account.life is not None
    assert account.replicas is not None
    assert account.machines is not None
    assert (account.replicas.figure.value, account.machines.figure.value) == (2, 1)
    assert account.machines == machines(served, terms, asked)
    assert account.million == per_million(served, terms)
    assert account.widest is account.life
    assert account.life == of_life(served, terms, asked, costs, trained)
    machine = account.life.money.part("training machine")
    assert machine is not None
    assert machine.figure.value == pytest.approx(2.0)
    (without,) = ledger([served], terms, asked).accounts
    assert without.widest is without.month
    assert (without.life, without.share) == (None, None)
    bare = ledger([served], terms)
    assert (bare.demand, bare.months, bare.notes) == (None, None, ())
    (least,) = bare.accounts
    assert (least.month, least.replicas, least.machines, least.life) == (None, None, None, None)
    assert least.widest is least.million


def test_the_cheapest_to_hold_against_is_of_the_same_model_and_did_not_fail() -> None:
    dear = choice("fp32", accuracy=0.95, throughput=1000.0)
    cheap = choice("int8", accuracy=0.90, throughput=2000.0)
    failed = msgspec.structs.replace(choice("int4", accuracy=0.5, throughput=9000.0), failure="below its floor")
    alien = msgspec.structs.replace(choice("tiny", accuracy=0.5, throughput=9000.0), model="n")
    found = {
        account.choice.variant: account
        for account in ledger([dear, cheap, failed, alien], Terms(profile=profile())).accounts
    }
    assert found["fp32"].against == cheap.name
    assert found["fp32"].gained is not None
    assert found["fp32"].gained.value is not None
    assert found["fp32"].gained.value > 0
    assert (found["int8"].against, found["int8"].gained) == (None, None)
    assert found["int4"].against == cheap.name
    assert found["int4"].gained is not None
    assert found["int4"].gained.reason == "it costs less"
    assert (found["tiny"].against, found["tiny"].gained) == (None, None)
    (none,) = ledger([dear], Terms(profile=profile(price=None, tariff=None))).accounts
    assert none.gained == Measurement.unavailable("1/USD", "no choice has a complete cost")
    assert none.against is None


def test_an_account_is_opened_by_its_name_a_pattern_or_a_piece_of_it() -> None:
    names = ("fp32", "int8", "int8-dynamic")
    found = ledger([choice(name) for name in names], Terms(profile=profile()))
    whole = "m/int8/onnxruntime-cpu/t1/b1"
    assert opened(found, whole).choice.variant == "int8"
    assert opened(found, "fp32").choice.variant == "fp32"
    assert opened(found, "int8-dyn").choice.variant == "int8-dynamic"
    assert opened(found, "m/f*/t1").choice.variant == "fp32"
    with pytest.raises(UserError) as caught:
        opened(found, "int8")
    assert caught.value.what == "'int8' may mean 2 choices"
    assert caught.value.where == "--open"
    assert caught.value.remedy == f"say which: {whole}, m/int8-dynamic/onnxruntime-cpu/t1/b1"
    with pytest.raises(UserError) as caught:
        opened(found, "m/fp64/onnxruntime-cpu/t1/b1")
    assert caught.value.what == "unknown choice 'm/fp64/onnxruntime-cpu/t1/b1'"
    assert caught.value.where == "--open"
    assert (caught.value.remedy or "").startswith("did you mean 'm/fp32/onnxruntime-cpu/t1/b1'? valid: ")
    assert whole in (caught.value.remedy or "")
