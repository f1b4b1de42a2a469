"""`bench cost`: on a kept run, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from bench.cli.amounts import latency, rate
from bench.cli.cost import cost
from bench.errors import UserError
from bench.record.measurement import Measurement
from tests.kept_runs import keep, observed, row_of

app = typer.Typer()
app.command()(cost)

PROFILE = """
name = "box"
title = "a box"
kind = "cpu"
providers = ["onnxruntime-cpu"]
cores = {{ value = 4, source = "by hand", date = 2026-11-01 }}
peak.fp32 = {{ value = 1e11, source = "by hand", date = 2026-11-01 }}
memory.size = {{ value = 1e9, source = "by hand", date = 2026-11-01 }}
memory.bandwidth = {{ value = 1e10, source = "by hand", date = 2026-11-01 }}
price.per_hour = {{ value = {price}, source = "by hand", date = 2026-11-01 }}
price.includes_energy = true
{more}
"""
COSTS = """
life_months = 24
[engineering]
rate_per_hour = 90
hours = { fp32 = 4, "int8*" = 80 }
[data]
collection = 1000
labelling = 2500
[training]
cost = 7
"""
MONTH_H = 730.5


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run of two choices, each with a row of single-stream and one of the server scenario."""
    folder = tmp_path_factory.mktemp("cost")
    rows = []
    for variant, us, capacity in (("fp32", 80.0, 5000.0), ("int8", 40.0, 11_000.0)):
        rows.append(row_of(observed(variant, us)))
        server = row_of(observed(variant, us, scenario="server", options={"rate": "search", "p99_ms": 10.0}))
        found = Measurement(
            value=capacity, unit="1/s", n=9, how="measured:rate-search", low=0.9 * capacity, high=1.1 * capacity,
            confidence=0.99,
        )  # fmt: skip
        rows.append(msgspec.structs.replace(server, metrics=server.metrics | {"capacity": found}))
    keep(folder / "results", "20260101-000000-s-aa", rows)
    (folder / "box.toml").write_text(PROFILE.format(price=0.5, more=""))
    (folder / "other.toml").write_text(PROFILE.format(price=0.5, more='match = { architecture = ["s390"] }'))
    (folder / "costs.toml").write_text(COSTS)
    return folder


def here(work: Path, *arguments: str, profile: str = "box.toml") -> Result:
    """The command in this process."""
    paths = ["--out", str(work / "results"), "--profile", str(work / profile)]
    given = [str(work / word) if word.endswith(".toml") else word for word in arguments]
    return CliRunner().invoke(app, [*given, *paths])


def test_each_choice_has_its_cost_and_the_month_is_that_of_its_machines(work: Path) -> None:
    done = here(work, "--traffic", "10000/s", "--max-p99", "10ms", "--json")
    assert done.exit_code == 0, done.stderr
    accounts = {each["choice"]["variant"]: each for each in json.loads(done.stdout)["accounts"]}
    # 10000 / (5000 x 0.7) = 2.9 and 10000 / (11000 x 0.7) = 1.3; four processes a machine.
    assert accounts["fp32"]["replicas"]["figure"]["value"] == 3
    assert accounts["int8"]["replicas"]["figure"]["value"] == 2
    for each in accounts.values():
        assert each["machines"]["figure"]["value"] == 1
        assert each["month"]["money"]["figure"]["value"] == pytest.approx(0.5 * MONTH_H)
    halved = (
        accounts["fp32"]["million"]["money"]["figure"]["value"]
        / accounts["int8"]["million"]["money"]["figure"]["value"]
    )
    assert halved == pytest.approx(2, rel=0.02)
    # A rate has the interval of the mean latency behind it.
    assert accounts["fp32"]["million"]["money"]["figure"]["low"] is not None


def test_the_life_shows_the_weeks_that_a_cheaper_variant_took(work: Path) -> None:
    done = here(work, "--traffic", "10k/s", "--costs", "costs.toml", "--json")
    accounts = {each["choice"]["variant"]: each for each in json.loads(done.stdout)["accounts"]}
    life = {variant: each["life"]["money"]["figure"]["value"] for variant, each in accounts.items()}
    assert life["fp32"] == pytest.approx(3500 + 7 + 4 * 90 + 24 * 0.5 * MONTH_H)
    assert life["int8"] - life["fp32"] == pytest.approx(76 * 90)
    shown = here(work, "--traffic", "10k/s", "--costs", "costs.toml").stdout
    assert "USD in 24 months" in shown
    assert "the price is an example" in shown


def test_a_cost_opens_to_its_parts(work: Path) -> None:
    shown = here(work, "--traffic", "10000/s", "--open", "int8")
    assert shown.exit_code == 0, shown.stderr
    assert "10,000/s / (11,000/s at p99 ≤ 10 ms × (1 − 0.3)), rounded up" in " ".join(shown.stdout.split())
    one = json.loads(here(work, "--open", "int8", "--json").stdout)
    assert [each["choice"]["variant"] for each in one["accounts"]] == ["int8"]


def test_only_some_choices_and_more_processes_on_a_machine(work: Path) -> None:
    done = here(work, "--only", "*fp32*", "--slots", "1", "--traffic", "10000/s", "--json")
    (account,) = json.loads(done.stdout)["accounts"]
    assert account["machines"]["figure"]["value"] == 3
    assert account["month"]["money"]["figure"]["how"].startswith("computed:")


def test_a_profile_of_another_machine_has_no_cost_to_show(work: Path) -> None:
    done = here(work, "--traffic", "10000/s", profile="other.toml")
    assert done.exit_code == 3
    assert "it was not measured on box, as the architecture is" in done.stdout
    assert "bench recommend --on box" in done.stdout


def test_a_bound_that_no_row_holds_names_the_row_to_measure(work: Path) -> None:
    done = here(work, "--traffic", "10000/s", "--max-p99", "5ms")
    assert done.exit_code == 3
    assert 'measure one with scenario server, rate = "search", p99_ms = 5' in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--max-p99", "10ms"), "--traffic"),
        (("--traffic", "many"), "cannot read the rate 'many'"),
        (("--traffic", "0/s"), "over 0 requests"),
        (("--traffic", "1/s", "--max-p99", "10"), "cannot read the latency '10'"),
        (("--traffic", "1/s", "--headroom", "1"), "head-room"),
        (("--open", "fp64"), "unknown choice"),
        (("--open", "onnxruntime"), "may mean 2 choices"),
        (("--costs", "none.toml"), "cannot read the costs file"),
        (("--only", "x"), "no such choice"),
    ],
)
def test_bad_input_is_a_message_and_exit_code_2(work: Path, arguments: tuple[str, ...], word: str) -> None:
    done = here(work, *arguments)
    assert done.exit_code == 2
    assert word in done.stderr


@given(st.integers(1, 10**6))
def test_rates_and_latencies_are_read_in_their_units(number: int) -> None:
    assert rate(f"{number}", "") == rate(f"{number}/s", "") == number
    assert rate(f"{number}/min", "") == pytest.approx(number / 60)
    assert rate(f"{number}k/h", "") == pytest.approx(number / 3.6)
    assert latency(f"{number}ms", "") == pytest.approx(number / 1e3)
    assert latency(f"{number} µs", "") == latency(f"{number}us", "") == pytest.approx(number / 1e6)


@pytest.mark.parametrize("text", ["", "-1/s", "1e3/s", "1 / fortnight", "1K/s", "nan"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        rate(text, "--traffic")
