"""What should be faster than fp32, and when it is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.faster import SHOULD_BE_FASTER, pairs, speed_up
from bench.export.variants import VARIANTS
from bench.record.measurement import Measurement
from tests.analyse.rows import row

TIMES = st.floats(min_value=0.1, max_value=1e6)
HALVES = st.floats(min_value=0.0, max_value=0.5)


@given(mine=TIMES, theirs=TIMES, half=HALVES, other=HALVES)
def test_the_interval_holds_the_ratio_and_swapping_the_rows_turns_it_over(
    mine: float, theirs: float, half: float, other: float
) -> None:
    one, two = row("int8", mine, half=half), row("fp32", theirs, half=other)
    gain = speed_up(one.metrics["p50_latency"], two.metrics["p50_latency"])
    back = speed_up(two.metrics["p50_latency"], one.metrics["p50_latency"])
    assert gain is not None
    assert back is not None
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low <= gain.value <= gain.high
    assert back.low is not None
    assert math.isclose(gain.value * back.value, 1, rel_tol=1e-9)
    assert math.isclose(gain.high * back.low, 1, rel_tol=1e-9)


def test_the_interval_is_wider_than_that_of_either_median_and_narrower_than_both_ends_together() -> None:
    one, two = row("int8", 100, half=0.03), row("fp32", 100, half=0.04)
    gain = speed_up(one.metrics["p50_latency"], two.metrics["p50_latency"])
    assert gain is not None
    assert gain.low is not None
    assert 0.96 / 1.03 < gain.low < 0.96


def test_a_row_is_faster_only_when_its_interval_lies_above_1() -> None:
    rows = [row("fp32", 100), row("int8", 60), row("fp16", 98, half=0.05)]
    sure = {pair.row.case.variant: pair.gain.sure for pair in pairs(rows)}
    assert sure == {"int8": True, "fp16": False}


def test_without_an_interval_no_row_is_surely_faster() -> None:
    import msgspec

    fast = row("int8", 10)
    bare = msgspec.structs.replace(fast.metrics["p50_latency"], low=None, high=None)
    fast.metrics["p50_latency"] = bare
    (pair,) = pairs([row("fp32", 100), fast])
    assert pair.gain.value == pytest.approx(10)
    assert not pair.gain.sure


@pytest.mark.parametrize(
    "other",
    [
        {"threads": 2},
        {"batch": 8},
        {"provider": "cuda"},
        {"model": "n"},
        {"options": {"graph_optimization": "none"}},
        {"scenario": "server"},
    ],
)
def test_only_rows_that_are_alike_but_for_the_variant_are_compared(other: dict[str, object]) -> None:
    assert pairs([row("fp32", 100), row("int8", 100, **other)]) == []
    alike = pairs([row("fp32", 100, **other), row("int8", 100, **other)])
    assert len(alike) == (0 if "scenario" in other else 1)


def test_a_variant_of_ones_own_promises_what_its_base_does() -> None:
    (pair,) = pairs([row("fp32", 100), row("mine", 100, base="int8")])
    assert pair.row.case.variant == "mine"
    assert pairs([row("fp32", 100), row("int8", 100, base="int16x8")]) == []


def test_every_variant_promises_to_be_faster_or_is_known_not_to() -> None:
    promise_no_speed = {"fp32", "int16x8"}
    assert set(SHOULD_BE_FASTER) == set(VARIANTS) - promise_no_speed


def test_a_row_without_a_median_is_held_against_nothing() -> None:
    mute = row("int8", 60)
    mute.metrics["p50_latency"] = Measurement.unavailable("s", "the clock gave nothing")
    assert pairs([row("fp32", 100), mute]) == []
    assert pairs([row("fp32", 100), mute, row("fp16", 50)])[0].row.case.variant == "fp16"
