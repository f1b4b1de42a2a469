"""The paired gate on recorded noise: how it ends, and what it says then."""

from __future__ import annotations

import itertools

import pytest

from bench.analyse.rules import parse_word
from bench.record.case import Case
from bench.record.observation import Failure, Plan
from bench.runner.ab import compare_sides
from bench.runner.gate_paired import gate_pairs
from bench.runner.sides import Asked, ModelSide, Opened, Ready, open_models
from bench.runner.trial import Trial
from bench.runner.unwatched import Unwatched
from bench.worker.messages import Job
from tests.runner.test_sides import SHORT
from tests.runner.test_sides import Quiet as Silent
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


def test_what_a_file_alone_does_not_tell_is_missing_with_the_reason(tmp_path):
    trial = Trial(tmp_path)
    job = Job(
        case=Case(model="trial", variant="fp32", runtime="onnxruntime", provider="cpu"),
        artifact=trial.artifact,
        artifact_path=str(trial.path),
        inputs=str(trial.inputs),
        outputs=None,
        plan=Plan(),
        cores=None,
    )
    a, b = (ModelSide(name, {CASE: Ready(job)}, Unwatched()) for name in "AB")
    report = _gate(b, "size=0%", "macs=0%", "accuracy=1%", a=a, budget_s=0)
    told = {verdict.metric: (verdict.outcome, verdict.reason) for verdict in report.verdicts}
    assert told["size"][0] == "pass"
    assert told["macs"] == ("missing", "it is not counted for this file")
    assert told["accuracy"] == ("missing", "no evaluation data")


def test_quality_is_judged_on_the_same_data_only(digits_bundle):
    folder, bundle = digits_bundle
    (onnx,) = [folder / a.path for a in bundle.artifacts if (a.variant, a.format) == ("fp32", "onnx")]
    rules = [parse_word(word, "--rule") for word in ("accuracy=5%", "robustness=5%")]
    told = {}
    for a in (f"{folder}/fp32", str(onnx)):
        asked = Asked(a=a, b=f"{folder}/int8", targets=("onnxruntime-cpu",), measure=SHORT)
        with open_models(asked, Silent()) as opened:
            report = gate_pairs(opened, rules, rounds=2, budget_s=0, seed=0, events=Quiet())
        told[a] = {verdict.metric: verdict for verdict in report.verdicts}
    same, other = told.values()
    assert same["accuracy"].outcome == "pass"
    assert same["accuracy"].change.basis == "exact"
    assert "not evaluated in pairs" in same["robustness"].reason
    assert {verdict.outcome for verdict in other.values()} == {"inconclusive"}
    assert "the evaluation data or the task metric differ" in other["accuracy"].reason


def test_a_figure_that_no_round_gives_is_never_settled():
    opened = Opened(Recorded("A", _steady()), Recorded("B", _steady()), (CASE,), (), {})
    result = compare_sides(opened, metric="energy", threshold=0.02, rounds=8, budget_s=60.0, seed=0, events=Quiet())
    assert (result.report.rounds, result.report.stopped_by, result.exit_code) == (8, "rounds", 3)
    (verdict,) = result.verdicts
    assert (verdict.outcome, verdict.reason) == ("missing", "no round gave it on both sides")
