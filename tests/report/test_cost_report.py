"""Bills as a reader sees them: estimates and lower bounds are marked, what is not known is listed, parts add up."""

from __future__ import annotations

import io
import json

import msgspec
import pytest
from rich.console import Console

from bench.analyse.cost import Demand, Terms, ledger
from bench.analyse.cost.parts import leaf, missing, total
from bench.analyse.cost.quantity import Quantity
from bench.record.artifact import Training
from bench.record.codec import json_bytes
from bench.record.measurement import Measurement
from bench.report.cost import amount, document, notes, show, show_open, table
from bench.suite.effort import Effort
from tests.analyse.costed import choice, figure, profile

ASKED = Demand(traffic=10_000, p99_s=0.01)
COSTS = Effort.model_validate(
    {
        "life_months": 24,
        "engineering": {"rate_per_hour": 90, "hours": {"*": 4}},
        "data": {"collection": 0, "labelling": 0},
        "training": {"cost": 10},
        "hardware": {"embodied_kg": 1000, "embodied_years": 4},
    }
)


def shown(found, opened: int | None = None, width: int = 240) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    if opened is None:
        show(console, found)
    else:
        show_open(console, found.accounts[opened], found)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_estimates_and_lower_bounds_are_marked() -> None:
    sure = choice("int8", threads=4, energy=0.05, energy_net=0.03, idle_power=20, half=0.01)
    guess = choice("fp32", threads=4, half=0.01)
    bound = choice("fp16", threads=4, capacity=None, energy=None, throughput=1000)
    found = ledger([sure, guess, bound], Terms(profile=profile(tdp=None), embodied=1.0), ASKED)
    rows = {account.choice.variant: account for account in found.accounts}
    assert amount(rows["int8"].million.money).startswith("0.")
    assert amount(rows["fp32"].million.money).startswith("≥ 0.")
    side = ledger([choice()], Terms(profile=profile()))
    assert amount(side.accounts[0].million.money).startswith("≈0.")
    assert amount(rows["fp16"].replicas) == "–"
    assert amount(rows["int8"].replicas) == "18 [18, 19]"
    # The end of what is known, as its value may be the most.
    half = total(
        "sum", "USD", [leaf("a", "USD", lambda: (Quantity.of(figure(8, "USD", 0.5)), "")), missing("b", "USD", "no")]
    )
    assert amount(half) == "≥ 4.00"
    told = notes(found)
    assert "≥ at least: a part that is not known is not zero, and not in the sum" in told
    assert "not known: hardware, making of the machine: no server row on record" in " ".join(told)
    assert any("states no TDP" in line for line in told)


def test_a_column_has_one_unit_and_only_what_is_known_has_a_column() -> None:
    found = ledger(
        [choice("fp32"), choice("int8", throughput=4000)], Terms(profile=profile(), embodied=1.0), ASKED, COSTS
    )
    titles = [column.title for column in table(found.accounts, found).columns]
    assert titles == [
        "choice", "USD a million", "Wh a million", "g CO2e a million", "replicas", "machines",
        "USD a month", "kg CO2e a month", "USD in 24 months", "kg CO2e in 24 months",
    ]  # fmt: skip
    short = [column.title for column in table(found.accounts[:1], ledger([choice()], Terms(profile=None))).columns]
    assert short[:2] == ["choice", "USD a million"]
    title = table(found.accounts, found).title
    assert "for 10,000 requests a second at p99 ≤ 10 ms, 30 % head-room" in title


def test_prices_that_are_examples_are_said_to_be() -> None:
    example = notes(ledger([choice()], Terms(profile=profile())))
    assert "the price is an example, to be replaced by your own: by hand, 2026-11-01" in example
    own = Terms(profile=profile(price={"per_hour": 1.0, "example": False, "includes_energy": True}))
    told = notes(ledger([choice()], own))
    assert "example" not in " ".join(told)
    assert told[0] == "on box (a box, 1.00 USD an hour, energy in it)"


def test_a_note_names_the_choices_it_holds_for_unless_it_holds_for_all() -> None:
    both = ledger([choice("fp32"), choice("int8", throughput=None)], Terms(profile=profile(price=None)))
    told = notes(both)
    assert "not known: hardware: the profile box states no price (fp32)" in told
    assert any(line.endswith("(int8)") and "no throughput" in line for line in told)
    assert any("embodied_kg" in line and not line.endswith(")") for line in told)
    failed = ledger([choice("fp32", failure="below the floor")], Terms(profile=profile()))
    assert "failed: below the floor" in notes(failed)


def test_a_bill_opens_to_its_parts_with_their_formulas() -> None:
    terms = Terms(profile=profile(), embodied=1.0)
    found = ledger([choice("fp32")], terms, ASKED, COSTS, {"m": None})
    told = shown(found, 0)
    for words in (
        "its life of 24 months for 10,000 requests a second",
        "money of the model's life",
        "hardware",
        "10,000/s / (800/s at p99 ≤ 10 ms × (1 − 0.3)), rounded up",
        "4 h × 90 USD an hour",
        "[training] cost = 10 USD",
        "× 0.25 USD/kWh) × 24 months",
        "training energy  not known: the run has no record",
    ):
        assert words in told
    plain = shown(ledger([choice("fp32")], terms), 0)
    assert "a million inferences at full load" in plain
    assert "1,000,000 / (1,000/s × 4 on a machine)" in plain
    assert "a month for 10,000" in shown(ledger([choice("fp32")], terms, ASKED), 0)


def test_json_holds_every_part_and_its_totals_are_those_of_its_leaves() -> None:
    trained = Training(examples=1, epochs=(), costs={"training_energy": figure(3.6e6, "J")}, machine="m")
    found = ledger([choice("fp32")], Terms(profile=profile()), ASKED, COSTS, {"m": trained})
    told = json.loads(json_bytes(document(found)))
    life = told["accounts"][0]["life"]["money"]

    def leaves(part):
        return [part] if not part["parts"] else [leaf for each in part["parts"] for leaf in leaves(each)]

    known = [leaf["figure"]["value"] for leaf in leaves(life) if leaf["figure"]["value"] is not None]
    assert life["figure"]["value"] == pytest.approx(sum(known))
    assert told["currency"] == "USD"
    assert told["profile"]["name"] == "box"
    assert told["machine_hour"]["figure"]["how"] == "stated:by hand"
    assert told["notes"]


def test_quality_for_money_and_share_of_the_peak_have_columns_where_they_are_known() -> None:
    cheap = choice("int8", accuracy=0.90, half=0.001, throughput=2000)
    dear = choice("fp32", accuracy=0.95, half=0.001, throughput=1000)
    share = Measurement(value=0.4, unit="1", n=0, how="computed:limit / measured")
    found = ledger([dear, cheap], Terms(profile=profile()), shares={dear.name: share})
    columns = {column.title: column.cells for column in table(found.accounts, found).columns}
    assert columns["quality"] == ("0.9500", "0.9000")
    assert columns["of the peak"] == ("40.0 %", "–")
    assert columns["quality a USD"][1] == "–"
    assert float(columns["quality a USD"][0].split()[0].lstrip("≈").replace(",", "")) > 0


def test_nasty_names_stay_in_their_cell_and_a_narrow_terminal_keeps_what_matters() -> None:
    nasty = msgspec.structs.replace(choice("fp32"), name="m/[red]\n\x1b[31m/x/t1/b1")
    told = shown(ledger([nasty, choice("int8")], Terms(profile=profile()), ASKED, COSTS), width=80)
    assert "\x1b" not in told
    assert "[red]" in told
    assert "USD a million" in told


def test_without_a_profile_the_notes_name_no_machine_and_say_what_is_not_known() -> None:
    told = notes(ledger([choice()], Terms(profile=None)))
    assert not [line for line in told if line.startswith("on ")]
    assert any(line.startswith("not known: ") and "hardware" in line for line in told)
