"""Looking several times, and being misled no more often for it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from bench.stats.sequential import Schedule, schedule

spans = st.tuples(st.integers(2, 60), st.integers(0, 200)).map(lambda pair: (pair[0], pair[0] + pair[1]))
confidences = st.floats(0.5, 0.999)


@given(spans, confidences)
def test_the_errors_of_all_looks_add_up_to_the_error_allowed(span: tuple[int, int], confidence: float) -> None:
    plan = schedule(*span, confidence)
    assert sum(1 - plan.at(rounds) for rounds in plan.looks) == pytest.approx(1 - confidence)


@given(spans, confidences, st.data())
def test_ending_between_looks_spends_what_is_left_and_no_more(
    span: tuple[int, int], confidence: float, data: st.DataObject
) -> None:
    plan = schedule(*span, confidence)
    rounds = data.draw(st.integers(1, plan.looks[-1]))
    before = sum(1 - plan.at(look) for look in plan.looks if look < rounds)
    assert before + 1 - plan.last(rounds) == pytest.approx(1 - confidence)


@given(spans)
def test_looks_rise_to_the_last_and_all_but_that_are_even(span: tuple[int, int]) -> None:
    looks = schedule(*span).looks
    assert list(looks) == sorted(set(looks))
    assert looks[-1] == span[1]
    assert looks[0] >= span[0]
    assert all(look % 2 == 0 for look in looks[:-1])


@given(spans)
def test_a_look_on_the_way_is_surer_than_the_only_one_would_be(span: tuple[int, int]) -> None:
    plan = schedule(*span)
    assert all(plan.at(look) >= plan.confidence for look in plan.looks)
    assert (len(plan.looks) == 1) == (plan.at(plan.looks[-1]) == pytest.approx(plan.confidence))


@pytest.mark.parametrize("span", [(1, 5), (6, 5)])
def test_schedules_that_are_none_are_refused(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="looks from"):
        schedule(*span)


def test_there_is_no_confidence_where_there_is_no_look() -> None:
    with pytest.raises(ValueError, match="no look"):
        schedule(6, 50).at(7)


def alarms(confidence_at: dict[int, float], trials: int = 4000) -> float:
    """The share of A/A trials in which the t interval leaves out 0 at one of the looks at least."""
    logs = np.random.default_rng(0).normal(0, 0.01, (trials, max(confidence_at)))
    alarm = np.zeros(trials, dtype=bool)
    for rounds, confidence in confidence_at.items():
        seen = logs[:, :rounds]
        half = student.ppf(0.5 + confidence / 2, rounds - 1) * seen.std(axis=1, ddof=1) / math.sqrt(rounds)
        alarm |= np.abs(seen.mean(axis=1)) > half
    return float(alarm.mean())


@pytest.mark.parametrize("plan", [schedule(6, 50), schedule(5, 12), Schedule((5, 8, 12, 20, 30, 50))])
def test_stopping_at_the_first_alarm_raises_no_more_of_them_than_allowed(plan: Schedule) -> None:
    assert alarms({rounds: plan.at(rounds) for rounds in plan.looks}) <= 0.05


def test_the_same_looks_at_95_percent_each_would_raise_too_many() -> None:
    assert alarms(dict.fromkeys(schedule(6, 50).looks, 0.95)) > 0.1
