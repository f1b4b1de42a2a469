"""Decisions: beyond what is allowed, within it, or open."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse.judge import change_of_series, judge
from bench.record.comparison import Change, Series

ROUNDS = 12


def _series(ratio: float, spread: float = 0.005, rounds: int = ROUNDS, seed: int = 0) -> Series:
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(0, 0.1, rounds)) * 1e-3
    b = a * ratio * np.exp(rng.normal(0, spread, rounds))
    return Series(case="c", metric="p50_latency", unit="s", a=tuple(a), b=tuple(b))


def _decided(ratio: float, allowed: float, better: str = "lower", **more: float) -> str:
    return judge(change_of_series(_series(ratio, **more)), allowed, better).outcome  # type: ignore[arg-type]


def test_what_both_sides_felt_is_no_change():
    change = change_of_series(_series(1.1, spread=0.001))
    assert change.ratio == pytest.approx(1.1, rel=0.005)
    assert change.low < 1.1 < change.high
    assert change.n == ROUNDS


def test_a_slow_down_beyond_the_rule_is_a_regression_and_one_within_it_is_none():
    assert _decided(1.10, 0.05) == "regressed"
    assert _decided(1.02, 0.05) == "pass"
    assert _decided(0.90, 0.05) == "improved"


def test_where_more_is_better_less_is_the_regression():
    assert _decided(0.90, 0.05, "higher") == "regressed"
    assert _decided(0.98, 0.05, "higher") == "pass"
    assert _decided(1.10, 0.05, "higher") == "improved"


def test_noise_that_hides_the_rule_makes_no_pass():
    found = judge(change_of_series(_series(1.0, spread=0.08)), 0.02, "lower")
    assert found.outcome == "inconclusive"
    assert found.detectable > 0.02
    assert "rounds would show a change by 2.0%" in found.remedy


@settings(max_examples=60, deadline=None)
@given(st.floats(0.8, 1.3), st.floats(0.001, 0.1), st.integers(2, 30), st.sampled_from([0.01, 0.02, 0.05, 0.1]))
def test_no_decision_goes_beyond_its_interval(ratio, spread, rounds, allowed):
    change = change_of_series(_series(ratio, spread, rounds))
    found = judge(change, allowed, "lower")
    beyond, within = change.low > 1 + allowed, change.high <= 1 + allowed
    assert (found.outcome == "regressed") == beyond
    if found.outcome == "pass":
        assert within
        assert found.detectable <= allowed or change.high <= 1
    if found.outcome == "improved":
        assert change.high < 1 / (1 + allowed)


def test_one_process_a_side_decides_nothing_however_narrow_its_interval():
    change = Change(
        case="c", metric="p50_latency", unit="s", ratio=1.5, low=1.49, high=1.51, confidence=0.95,
        basis="intervals", n=1, spread=0.005,
    )  # fmt: skip
    found = judge(change, 0.05, "lower")
    assert found.outcome == "inconclusive"
    assert "invocations" in found.remedy
    assert judge(
        Change(**{f: getattr(change, f) for f in change.__struct_fields__} | {"n": 3}), 0.05, "lower"
    ).outcome == ("regressed")


def test_figures_without_noise_are_held_to_the_letter():
    size = Change(case="c", metric="size", unit="B", before=100, after=101, ratio=1.01, basis="exact", n=1)
    assert judge(size, 0.0, "lower").outcome == "regressed"
    assert judge(size, 0.01, "lower").outcome == "pass"
    assert judge(size, 0.0, "higher").outcome == "improved"


def test_a_zero_rule_cannot_be_passed_by_noisy_figures():
    found = judge(change_of_series(_series(1.0)), 0.0, "lower")
    assert found.outcome == "inconclusive"
    assert "allow more than 0" in found.remedy


def test_what_has_no_ratio_says_why():
    empty = change_of_series(Series(case="c", metric="energy", unit="J", a=(), b=()))
    assert judge(empty, 0.05, "lower").outcome == "missing"
    negative = change_of_series(Series(case="c", metric="energy", unit="J", a=(1.0, -1.0), b=(1.0, 1.0)))
    assert "not positive" in judge(negative, 0.05, "lower").reason
    single = change_of_series(Series(case="c", metric="energy", unit="J", a=(1.0,), b=(2.0,)))
    assert (single.ratio, single.after) == (None, 2.0)
    refused = Change(case="c", metric="energy", unit="J", absent="not comparable: kernel", refused=True)
    assert judge(refused, 0.05, "lower").outcome == "inconclusive"


def test_equal_rounds_are_a_pass_and_need_no_luck():
    same = Series(case="c", metric="peak_rss", unit="B", a=(5.0,) * 4, b=(5.0,) * 4)
    found = judge(change_of_series(same), 0.05, "lower")
    assert found.outcome == "pass"
    assert found.detectable == 0
    assert math.isclose(found.p_value, 1.0)
