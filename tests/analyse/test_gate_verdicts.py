"""Verdicts of a gate: nothing passes in silence, and nothing fails by chance."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analyse.gate import gate, gate_changes
from bench.analyse.judge import change_of_series
from bench.analyse.rules import parse_word
from bench.errors import UserError
from bench.record.comparison import Series
from bench.store.snapshot import empty
from tests.analyse.snapshots import CASE, figure, latency, snapshot


def _rules(*words):
    return [parse_word(word, "--rule") for word in words]


def _gate(a, b, *words, **more):
    return gate(a, b, _rules(*words), **more)


@pytest.mark.parametrize(
    ("ratio", "outcome", "code"),
    [(1.0, "pass", 0), (1.1, "regressed", 1), (0.8, "improved", 0), (1.05, "inconclusive", 3)],
)
def test_each_outcome_has_its_exit_code(ratio, outcome, code):
    report = _gate(latency("a", 1.0), latency("b", ratio), "p50_latency=5%")
    assert report.outcome == report.verdicts[0].outcome == outcome
    assert report.exit_code == code
    assert report.verdicts[0].detectable > 0


def test_a_baseline_that_is_not_there_is_missing():
    report = _gate(empty("main"), latency("b", 1.0), "p50_latency=5%")
    assert (report.outcome, report.exit_code) == ("missing", 3)


def test_a_renamed_case_is_missing_on_both_sides():
    renamed = snapshot("b", {"new": {"p50_latency": figure(1.0, 0.005)}})
    report = _gate(latency("a", 1.0), renamed, "p50_latency=5%")
    assert sorted(v.case for v in report.verdicts) == sorted([CASE, "new"])
    assert {v.outcome for v in report.verdicts} == {"missing"}
    assert report.exit_code == 3


def test_a_metric_that_is_not_available_is_missing_with_its_reason():
    report = _gate(latency("a", 1.0), latency("b", 1.0), "energy=5%")
    assert report.verdicts[0].outcome == "missing"
    none = snapshot("b", {CASE: {"energy": figure(None, how="unavailable:no RAPL counters on this VM")}})
    report = _gate(none, none, "energy=5%")
    assert "no RAPL counters" in report.verdicts[0].reason
    assert report.exit_code == 3


def test_zero_samples_are_missing():
    none = snapshot("b", {CASE: {"p50_latency": figure(1.0, 0.01, n=0)}})
    assert _gate(latency("a", 1.0), none, "p50_latency=5%").outcome == "missing"


def test_another_machine_is_inconclusive_and_says_which_key():
    report = _gate(latency("a", 1.0), latency("b", 1.0, machine={"cpu_model": "B"}), "p50_latency=5%")
    assert (report.outcome, report.exit_code) == ("inconclusive", 3)
    assert "cpu_model" in report.verdicts[0].reason


def test_a_rule_for_no_case_is_missing_one():
    report = _gate(latency("a", 1.0), latency("b", 1.0), "p50_latency=5%", "*/fp64/*: size=1%")
    assert {v.outcome for v in report.verdicts} == {"pass", "missing"}
    assert report.exit_code == 3


def test_points_of_accuracy_are_counted_on_the_same_examples():
    def run(label, accuracy):
        return snapshot(label, {CASE: {"accuracy": {**figure(accuracy, 0.01), "unit": "1"}}})

    assert _gate(run("a", 0.990), run("b", 0.986), "accuracy=-0.5pt").outcome == "pass"
    assert _gate(run("a", 0.990), run("b", 0.984), "accuracy=-0.5pt").outcome == "regressed"
    assert _gate(run("a", 0.990), run("b", 0.996), "accuracy=-0.5pt").outcome == "improved"


def test_an_accuracy_that_is_an_error_is_better_when_it_is_lower():
    def run(label, error):
        figures = {CASE: {"accuracy": {**figure(error, 0.01), "unit": "1"}}}
        return snapshot(label, figures, cases={CASE: {"judged_by": "mae"}})

    assert _gate(run("a", 0.50), run("b", 0.60), "accuracy=5%").outcome == "regressed"
    assert _gate(run("a", 0.50), run("b", 0.40), "accuracy=5%").outcome == "improved"
    assert _gate(run("a", 0.50), run("b", 0.50), "accuracy=-0.5pt").outcome == "inconclusive", "errors have no points"
    assert _gate(run("a", 0.50), run("b", 0.60), "accuracy>=0.3").outcome == "inconclusive", "the wrong side"
    assert _gate(run("a", 0.50), run("b", 0.60), "accuracy<=0.55").outcome == "regressed"


def test_a_case_that_failed_in_the_candidate_alone_is_a_regression():
    figures = {CASE: {"p50_latency": figure(1.0, 0.005)}}
    fell = snapshot("b", figures, cases={CASE: {"status": "failed", "reason": "accuracy below its floor"}})
    report = _gate(latency("a", 1.0), fell, "p50_latency=5%")
    assert (report.outcome, report.exit_code) == ("regressed", 1)
    assert "accuracy below its floor" in report.verdicts[0].reason
    assert _gate(fell, fell, "p50_latency=5%").outcome != "regressed"


def test_what_is_no_number_passes_no_rule():
    def run(label, accuracy):
        return snapshot(label, {CASE: {"accuracy": figure(accuracy)}})

    for rule in ("accuracy=5%", "accuracy=-0.5pt", "accuracy>=0.5"):
        assert _gate(run("a", 0.9), run("b", float("nan")), rule).outcome == "missing"


def test_a_share_of_nothing_is_open_and_points_of_it_are_counted():
    def run(label, accuracy):
        return snapshot(label, {CASE: {"accuracy": figure(accuracy)}})

    assert _gate(run("a", 0.0), run("b", 0.1), "accuracy=5%").outcome == "inconclusive"
    assert _gate(run("a", 0.0), run("b", 0.1), "accuracy=-0.5pt").outcome == "improved"


def test_a_budget_needs_samples_and_more_than_one_process():
    assert _gate(empty("none"), latency("b", 0.008, 0.01, invocations=1), "p50_latency<=10ms").outcome == "inconclusive"
    none = snapshot("b", {CASE: {"accuracy": figure(0.9, n=0)}})
    assert _gate(empty("none"), none, "accuracy>=0.5").outcome == "missing"


def test_a_normalised_regression_is_measured_again_with_its_reference():
    other = "m/int8/litert-xnnpack/t1/b1/single-stream"

    def run(label, slow=1.0):
        figures = {CASE: {"p50_latency": figure(slow, 0.005)}, other: {"p50_latency": figure(1.0, 0.005)}}
        return snapshot(label, figures, machine={"cpu_model": label})

    asked = []

    def again(cases):
        asked.append(list(cases))
        return run("c", 1.2)

    report = _gate(run("a"), run("b", 1.2), "p50_latency=5%", normalise_by=other, again=again)
    assert asked == [[CASE, other]]
    assert [(v.case, v.outcome) for v in report.verdicts] == [(CASE, "regressed")]


def test_a_regression_that_cannot_be_measured_again_stands_and_says_so():
    def again(cases):
        raise UserError("this is another machine")

    report = _gate(latency("a", 1.0), latency("b", 1.1), "p50_latency=5%", again=again)
    assert report.exit_code == 1
    assert "another machine" in " ".join(report.notes)


def test_a_budget_is_of_the_candidate_alone_and_its_interval_decides():
    def held(value, half, *words):
        return _gate(empty("none"), latency("b", value, half), *words).outcome

    assert held(0.008, 0.01, "p50_latency<=10ms") == "pass"
    assert held(0.012, 0.01, "p50_latency<=10ms") == "regressed"
    assert held(0.010, 0.05, "p50_latency<=10ms") == "inconclusive"
    assert held(0.008, None, "p50_latency<=10ms") == "inconclusive"


def test_of_many_cases_those_that_look_bad_by_chance_are_not_called_regressions():
    """2,000 equal cases: without control some 2.5 % of them would be called worse than equal."""
    rng = np.random.default_rng(1)
    names = [f"m{i}/int8/onnxruntime-cpu/t1/b1/single-stream" for i in range(2000)]

    def run(label):
        noise = np.exp(rng.normal(0, 0.01, len(names)))
        return snapshot(
            label, {c: {"p50_latency": figure(float(x), 1.96 * 0.01)} for c, x in zip(names, noise, strict=True)}
        )

    a, b = run("a"), run("b")
    outcomes = [v.outcome for v in _gate(a, b, "p50_latency=0%").verdicts]
    chance = sum(v.change.low > 1 for v in _gate(a, b, "p50_latency=0%").verdicts)
    assert chance > 20, "so many would have been called regressions one by one"
    assert outcomes.count("regressed") <= 1


def test_among_many_equal_cases_a_real_regression_still_stands():
    names = [f"m{i}/int8/onnxruntime-cpu/t1/b1/single-stream" for i in range(200)]
    a = snapshot("a", {c: {"p50_latency": figure(1.0, 0.005)} for c in names})
    b = snapshot("b", {c: {"p50_latency": figure(1.2 if c == names[7] else 1.0, 0.005)} for c in names})
    assert [v.case for v in _gate(a, b, "p50_latency=5%").verdicts if v.outcome == "regressed"] == [names[7]]


def test_a_regression_is_measured_again_before_it_counts():
    asked = []

    def anew(ratio):
        def again(cases):
            asked.append(list(cases))
            return latency("b2", ratio)

        return again

    stays = _gate(latency("a", 1.0), latency("b", 1.1), "p50_latency=5%", again=anew(1.12))
    assert (stays.outcome, stays.exit_code) == ("regressed", 1)
    assert stays.verdicts[0].again.ratio == pytest.approx(1.12)
    goes = _gate(latency("a", 1.0), latency("b", 1.1), "p50_latency=5%", again=anew(1.0))
    assert (goes.outcome, goes.exit_code) == ("inconclusive", 3)
    assert "measured once more" in goes.verdicts[0].reason
    assert asked == [[CASE], [CASE]]
    _gate(latency("a", 1.0), latency("b", 1.0), "p50_latency=5%", again=anew(1.0))
    assert len(asked) == 2, "what passed is not measured again"


def _rounds(ratio, seed, n=12):
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(0, 0.05, n))
    b = a * ratio * np.exp(rng.normal(0, 0.005, n))
    return change_of_series(Series(case="c", metric="p50_latency", unit="s", a=tuple(a), b=tuple(b)))


def test_paired_rounds_are_held_to_the_same_rules_and_confirmed_by_fresh_ones():
    rules = _rules("p50_latency=5%", "size=0%")
    first = _rounds(1.1, 1)
    (regressed, size) = gate_changes([first], rules)
    assert (regressed.outcome, size.outcome) == ("regressed", "missing")
    assert gate_changes([first], rules, [_rounds(1.1, 2)], asked_again=["c"])[0].outcome == "regressed"
    assert gate_changes([first], rules, [_rounds(1.0, 3)], asked_again=["c"])[0].outcome == "inconclusive"


def test_a_case_that_broke_in_a_paired_gate_is_missing_with_the_reason():
    verdicts = gate_changes([], _rules("p50_latency=5%"), failed={"c": "B failed in round 2: killed"})
    assert verdicts[0].outcome == "missing"
    assert "killed" in verdicts[0].reason
