"""The paired gate on recorded noise: how it ends, and what it says then."""

from __future__ import annotations

import itertools

import pytest

from bench.analyse.rules import parse_word
from bench.record.observation import Failure
from bench.runner.gate_paired import gate_pairs
from bench.runner.sides import Opened
from tests.trials.sides import CASE, Quiet, Recorded

FULL = "trial/int8/onnxruntime-cpu/t1/b1/single-stream"


def _steady():
    return itertools.cycle([1.0e-3, 1.001e-3, 0.999e-3, 1.0005e-3, 0.9995e-3])


def _gate(b, *words, a=None, budget_s=60.0, **more):
    rules = [parse_word(word, "--rule") for word in words]
    opened = Opened(a or Recorded("A", _steady()), b, (CASE,), (), {CASE: FULL})
    return gate_pairs(opened, rules, rounds=20, budget_s=budget_s, seed=0, events=Quiet(), **more)


class Failing(Recorded):
    """Breaks down in a round of its own."""

    def __init__(self, name, at, error=None):
        super().__init__(name, _steady())
        self._at, self._error = at, error

    def measure(self, case, at, on_progress):
        if at < self._at:
            return super().measure(case, at, on_progress)
        if self._error is not None:
            raise self._error
        return Failure(reason="killed by SIGSEGV", phase="measure")


def test_rules_are_for_full_names_of_cases():
    report = _gate(Recorded("B", _steady(), 0.1), "*/int8/*: p50_latency=2%", "*/fp32/*: p50_latency=2%")
    assert {(v.case, v.outcome) for v in report.verdicts} == {(FULL, "regressed"), ("*/fp32/*", "missing")}
    assert report.verdicts[0].again is not None


def test_the_second_look_may_be_left_out():
    report = _gate(Recorded("B", _steady(), 0.1), "p50_latency=2%", confirm=False)
    assert report.verdicts[0].again is None
    assert report.exit_code == 1


def test_a_budget_that_ends_before_the_first_round_leaves_nothing_to_judge():
    report = _gate(Recorded("B", _steady()), "p50_latency=2%", budget_s=0)
    assert report.exit_code == 3


@pytest.mark.parametrize(("side", "code"), [("A", 3), ("B", 1)])
def test_a_candidate_that_breaks_down_regressed_and_a_baseline_that_does_is_missing(side, code):
    sides = {"A": Recorded("A", _steady()), "B": Recorded("B", _steady())} | {side: Failing(side, at=2)}
    report = _gate(sides["B"], "p50_latency=2%", a=sides["A"])
    assert report.exit_code == code
    assert "SIGSEGV" in report.verdicts[0].reason


def test_an_interrupted_gate_says_so_by_its_exit_code():
    assert _gate(Failing("B", 3, KeyboardInterrupt()), "p50_latency=2%").exit_code == 130
