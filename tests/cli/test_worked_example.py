"""Every figure of docs/worked-example.md, computed by hand from the rows, the profile and the costs that it names.

Nothing of `bench.analyse` computes here: the rows are read with polars, prices with tomllib.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import bench

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/worked-example.md").read_text()
RUN = ROOT / "docs/examples/digits-run"
PROFILE = tomllib.loads((ROOT / "hardware_profiles/server-cpu-vnni.toml").read_text())
COSTS = tomllib.loads((ROOT / "docs/examples/costs.toml").read_text())
TRAFFIC, BOUND_S, HEADROOM = 10_000.0, 0.010, 0.3
HOURS_A_MONTH = 730.5
PRICE = PROFILE["price"]["per_hour"]["value"]
SLOTS = int(PROFILE["cores"]["value"])
"""Processes of one thread on a machine: its cores."""

Figure = dict[str, Any]


def asked(command: str) -> list[str]:
    """The words of the command of the page that begins so, on this run."""
    (line,) = re.findall(rf"^({command}.*)$", PAGE, re.MULTILINE)
    return line.split()[1:]


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Figure]]:
    """The figures by choice: capacity from its server row, all else from its single-stream row."""
    table = pl.read_parquet(RUN / "cases.parquet")
    found: dict[str, dict[str, Figure]] = {}
    for row in table.to_dicts():
        name = f"{row['model']}/{row['variant']}/{row['runtime']}-{row['provider']}/t{row['threads']}/b{row['batch']}"
        wanted = ["capacity"] if row["scenario"] == "server" else ["accuracy", "p50_latency", "throughput", "size"]
        found.setdefault(name, {}).update({metric: row[metric] for metric in wanted})
    return found


@pytest.fixture(scope="module")
def serving() -> dict[str, Any]:
    done = bench(*asked("bench recommend .*0.97$"), "--json", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def ledger() -> dict[str, Any]:
    done = bench(*asked("bench cost .*--costs"), "--json", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def replicas(capacity: float) -> int:
    return math.ceil(TRAFFIC / (capacity * (1 - HEADROOM)))


def month(capacity: float) -> float:
    return math.ceil(replicas(capacity) / SLOTS) * HOURS_A_MONTH * PRICE


def by_variant(variant: str) -> float:
    """Hours of work: the exact name, else the first pattern that fits."""
    hours = COSTS["engineering"]["hours"]
    fits = (name for name in hours if name == variant or (name.endswith("*") and variant.startswith(name[:-1])))
    return float(hours[next(fits)])


def test_replicas_machines_and_the_month_follow_from_the_measured_capacity(rows, serving):
    assert {candidate["name"] for candidate in serving["candidates"]} == set(rows)
    for candidate in serving["candidates"]:
        capacity = rows[candidate["name"]]["capacity"]
        for end, other in (("value", "value"), ("low", "high"), ("high", "low")):
            told = candidate["replicas"]["figure"][end]
            assert told == (None if capacity[other] is None else replicas(capacity[other]))
            cost = candidate["money"]["figure"][end]
            assert cost == (None if capacity[other] is None else pytest.approx(month(capacity[other])))
        assert candidate["machines"]["figure"]["value"] == math.ceil(replicas(capacity["value"]) / SLOTS)


def test_the_limits_are_judged_by_the_intervals_of_the_rows(rows, serving):
    for candidate in serving["candidates"]:
        row = rows[candidate["name"]]
        judged = {each["on"]: each for each in candidate["judged"]}
        surely = row["accuracy"]["low"] >= 0.97
        assert (judged["quality"]["outcome"] == "met") == surely
        assert judged["quality"]["figure"]["low"] == pytest.approx(row["accuracy"]["low"])
        assert judged["p99"]["figure"]["value"] == BOUND_S


def test_the_gains_are_ratios_of_the_rows_with_the_far_ends_of_both_intervals(rows, serving):
    chosen, reference = rows[serving["chosen"]], rows[serving["reference"]]
    gains = {gain["metric"]: gain for gain in serving["gains"]}
    for metric in ("p50_latency", "capacity", "size"):
        ours, theirs, told = chosen[metric], reference[metric], gains[metric]["ratio"]
        assert told["value"] == pytest.approx(ours["value"] / theirs["value"])
        if ours["low"] is not None and theirs["low"] is not None:
            assert told["low"] == pytest.approx(ours["low"] / theirs["high"])
            assert told["high"] == pytest.approx(ours["high"] / theirs["low"])
    apart = gains["accuracy"]["difference"]
    assert apart["value"] == pytest.approx(chosen["accuracy"]["value"] - reference["accuracy"]["value"])
    assert apart["low"] == pytest.approx(chosen["accuracy"]["low"] - reference["accuracy"]["high"])


def test_nothing_feasible_is_cheaper_than_the_chosen_one(rows, serving):
    feasible = [name for name, row in rows.items() if row["accuracy"]["low"] >= 0.97]
    assert serving["chosen"] in feasible
    cheapest = min(month(rows[name]["capacity"]["value"]) for name in feasible)
    assert month(rows[serving["chosen"]]["capacity"]["value"]) == pytest.approx(cheapest)


def test_a_million_inferences_are_the_hours_that_they_keep_a_machine_busy(rows, ledger):
    for account in ledger["accounts"]:
        rate = rows[account["choice"]["name"]]["throughput"]["value"]
        told = account["million"]["money"]["figure"]
        assert told["value"] == pytest.approx(1e6 / (rate * SLOTS) / 3600 * PRICE)
        assert told["how"].startswith("estimated:")
        joules = account["million"]["energy"]["figure"]
        assert joules["value"] == pytest.approx(1e6 * PROFILE["power"]["tdp"]["value"] / (rate * SLOTS))
        assert joules["how"].startswith("estimated:tdp")
        assert joules["value"] / 3.6e6 * PROFILE["energy"]["carbon"]["value"] == pytest.approx(
            account["million"]["carbon"]["figure"]["value"]
        )


def test_the_life_is_training_work_and_serving(rows, ledger):
    manifest = json.loads((RUN / "manifest.json").read_text())
    seconds = manifest["models"][0]["training"]["costs"]["training_time"]["value"]
    trained = COSTS["training"]["runs"] * seconds / 3600 * COSTS["training"]["price_per_hour"]
    for account in ledger["accounts"]:
        choice = account["choice"]
        worked = by_variant(choice["variant"]) * COSTS["engineering"]["rate_per_hour"]
        served = COSTS["life_months"] * month(rows[choice["name"]]["capacity"]["value"])
        data = COSTS["data"]["collection"] + COSTS["data"]["labelling"]
        told = account["life"]["money"]["figure"]["value"]
        assert told == pytest.approx(data + trained + worked + served)


@pytest.mark.parametrize("command", ["bench recommend .*0.97$", "bench recommend .*--costs"])
def test_the_page_shows_what_the_command_answers(command):
    done = bench(*asked(command), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[:5]
    assert [line.split()[0] for line in lines] == ["choice", "gains", "rivals", "binds", "confidence"]
    for line in lines:
        assert line.rstrip() in PAGE


def test_the_table_of_the_page_is_that_of_the_rows(rows):
    shown = dict(re.findall(r"^\| (\S+/\S+) \|(.*)\|$", PAGE, re.MULTILINE))
    assert {f"mnist_cnn@digits/{name}/t1/b1" for name in shown} == set(rows)
    for name, cells in shown.items():
        capacity = rows[f"mnist_cnn@digits/{name}/t1/b1"]["capacity"]["value"]
        needed = replicas(capacity)
        wanted = [f"{capacity:,.0f}", str(needed), str(math.ceil(needed / SLOTS)), f"{month(capacity):.2f}"]
        assert [cell.strip() for cell in cells.split("|")] == wanted
