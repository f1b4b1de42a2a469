"""What `bench tune` prints of a search: the frontier, the confirmed gain in words, and what has to be known."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from bench.record.comparison import Change
from bench.record.measurement import Measurement
from bench.report.tune import confirmed, frontier_table, notes, show, verdict_lines
from bench.runner.tune.confirm import Confirmation, Verdict
from bench.runner.tune.goals import Constraint, Goals, Objective
from bench.runner.tune.result import Candidate, Tuned
from bench.runner.tune.setup import Setup

FASTEST = Goals(objectives=(Objective("p50_latency", "lower"),), constraints=(Constraint("accuracy", ">=", 0.97),))
PAIRED = Change(
    case="chosen against default",
    metric="p50_latency",
    unit="s",
    before=1e-3,
    after=7e-4,
    ratio=0.7,
    low=0.68,
    high=0.72,
    basis="paired rounds",
    n=12,
)


def figure(value: float | None, unit: str = "s", half: float | None = None) -> Measurement:
    if value is None:
        return Measurement.unavailable(unit, "no such counter")
    bounds = {} if half is None else {"low": value - half, "high": value + half, "confidence": 0.95}
    return Measurement(value=value, unit=unit, n=100, how="measured:clock", **bounds)


def candidate(number: int | None, variant: str = "int8", **more: Any) -> Candidate:
    figures = {"p50_latency": figure(7e-4, half=7e-6), "accuracy": figure(0.98, "1", 0.01)}
    setup = Setup(model="m", variant=variant, base=variant, target="onnxruntime-cpu")
    return Candidate(**{"number": number, "setup": setup, "status": "complete", "figures": figures, **more})


def tuned(**more: Any) -> Tuned:
    default, best = candidate(None, "fp32"), candidate(3, standing="on")
    fields = {
        "model": "m",
        "goals": FASTEST,
        "sampler": "tpe",
        "study": "results/tune/m.db",
        "size": 48,
        "repeats": 0,
        "seconds": 90.0,
        "stopped_by": "trials",
        "default": default,
        "candidates": (default, best),
        "frontier": (best,),
        "chosen": best,
    }
    return Tuned(**{**fields, **more})


def shown(found: Tuned) -> str:
    out = io.StringIO()
    show(Console(file=out, width=200, color_system=None), found)
    return out.getvalue()


@pytest.mark.parametrize(
    ("verdict", "change", "reason", "told"),
    [
        ("improved", PAIRED, "", "improved: p50 1.00 ms → 700 µs, -30.0% [-32.0%, -28.0%], 12 paired rounds"),
        ("no better", PAIRED, "", "the default could not be beaten by 1% or more: p50 1.00 ms → 700 µs, -30.0% ["),
        ("no better", None, "the search chose the default", "the default could not be beaten: the search chose the"),
        ("inconclusive", PAIRED, "too few rounds", "inconclusive: p50 1.00 ms → 700 µs, too few rounds"),
        ("failed", None, "the worker crashed", "failed: the worker crashed"),
    ],
)
def test_the_confirmation_is_told_with_the_figures_that_it_has(
    verdict: Verdict, change: Change | None, reason: str, told: str
) -> None:
    assert confirmed(Confirmation(verdict=verdict, metric="p50_latency", reason=reason, change=change)).startswith(told)


def test_a_figure_without_noise_has_neither_interval_nor_rounds_and_one_from_nothing_no_share() -> None:
    exact = Change(case="c", metric="size", unit="B", before=2048.0, after=1024.0, ratio=0.5, basis="exact")
    found = Confirmation(verdict="improved", metric="size", reason="", change=exact)
    assert confirmed(found) == "improved: size 2.00 KiB → 1.00 KiB, -50.0%"
    unset = Change(case="c", metric="energy", unit="J", before=0.0, after=0.0, basis="exact")
    found = Confirmation(verdict="no better", metric="energy", reason="", change=unset)
    assert confirmed(found).endswith(": energy 0 µJ → 0 µJ")


def test_where_no_setting_meets_the_constraints_there_is_neither_table_nor_suite() -> None:
    none = tuned(frontier=(), chosen=None)
    assert verdict_lines(none) == ["no setting that was tried meets accuracy >= 0.97"]
    assert verdict_lines(tuned(chosen=None, goals=Goals(objectives=FASTEST.objectives)))[0].endswith("what was asked")
    told = shown(none)
    assert "the best settings" not in told
    assert "as a suite" not in told


def test_a_search_that_was_interrupted_names_the_best_so_far_and_how_to_go_on() -> None:
    found = tuned(stopped_by="interrupted")
    assert verdict_lines(found) == ["the best so far, not confirmed: int8/onnxruntime-cpu/t1/b1"]
    assert "it was interrupted" in notes(found)[0]
    assert notes(found)[-2:] == ["go on with --resume", "the study is kept in results/tune/m.db"]


def test_trials_that_failed_for_one_reason_are_counted_under_it() -> None:
    failed = [candidate(at, status="failed", reason="it crashed") for at in (4, 5)]
    told = notes(tuned(candidates=(*failed, candidate(6, status="failed", reason="no such operator"))))
    assert "3 trials of 48 settings by tpe in 90 s; all trials were made; 3 failed" in told
    assert "2 failed: it crashed" in told
    assert "1 failed: no such operator" in told


def test_of_the_frontier_figures_have_their_spread_a_missing_one_is_a_dash_and_the_default_stands_below() -> None:
    blind = candidate(4, standing="maybe", figures={"p50_latency": figure(8e-4), "accuracy": figure(None, "1")})
    table = frontier_table(tuned(frontier=(candidate(3, standing="on"), blind)))
    cells = {column.title: column.cells for column in table.columns}
    assert cells["trial"] == ("3", "4", "default")
    assert cells["p50 µs"] == ("700 ±1.0%", "800", "700 ±1.0%")
    assert cells["accuracy"] == ("0.9800", "–", "0.9800")
    assert cells["best"] == ("surely best", "maybe", "–")


def test_of_several_objectives_it_is_a_frontier() -> None:
    goals = Goals(objectives=(*FASTEST.objectives, Objective("size", "lower")))
    table = frontier_table(tuned(goals=goals))
    assert table.title == "m: the frontier of 2 trials"
    assert table.columns[-1].cells == ("on it", "–")


def test_the_suite_of_the_chosen_setting_is_printed_below() -> None:
    assert shown(tuned(snippet='name = "tuned"\n')).endswith('the chosen setting as a suite:\n\nname = "tuned"\n')
