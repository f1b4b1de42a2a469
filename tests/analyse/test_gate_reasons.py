"""What a gate says beside its verdict: the reason, the remedy, and what happened at each bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from scipy.stats import norm

from bench.analyse.gate import doubtful_cases, gate, gate_changes, hold, judge_all, verdict
from bench.analyse.judge import Judged
from bench.analyse.rules import Rule, parse_word
from bench.errors import UserError
from bench.record.comparison import Change
from bench.store.snapshot import Snapshot, empty
from tests.analyse.snapshots import CASE, figure, latency, snapshot

MORE = "measure longer (min_s), or in more processes (invocations)"


def rules(*words: str) -> list[Rule]:
    return [parse_word(word, "--rule") for word in words]


def said(word: str, change: Change | None) -> tuple[str, str, str | None]:
    """Outcome, reason and remedy of one rule."""
    (rule,) = rules(word)
    found = hold(rule, change)
    return found.outcome, found.reason, found.remedy


def change(metric: str, before: float | None, after: float | None, **more: Any) -> Change:
    ratio = after / before if before and after is not None else None
    return Change(
        **{"case": "c", "metric": metric, "unit": "", "before": before, "after": after, "ratio": ratio} | more
    )


def intervals(p_value: float, case: str = "c", worse: float = 1.2) -> Change:
    """A latency whose one-sided p-value against "not worse" is this."""
    spread = math.log(worse) / float(norm.isf(p_value))
    return change(
        "p50_latency",
        1.0,
        worse,
        case=case,
        low=worse * math.exp(-1.96 * spread),
        high=worse * math.exp(1.96 * spread),
        confidence=0.95,
        basis="intervals",
        n=5,
        spread=spread,
    )


# One rule, one change


def test_where_there_is_nothing_to_hold_the_reason_says_so() -> None:
    assert said("p50_latency=5%", None) == ("missing", "neither side has such a figure", None)
    broken = change("p50_latency", 1.0, 1.0, broken="killed by signal 9")
    assert said("p50_latency=5%", broken) == ("regressed", "the candidate's case failed: killed by signal 9", None)
    for figures in ((float("inf"), 1.0), (1.0, float("nan"))):
        assert said("size=5%", change("size", *figures)) == ("missing", "a figure is not a finite number", None)


@pytest.mark.parametrize(
    ("before", "after", "outcome", "reason"),
    [
        (0.990, 0.985, "pass", "-0.50 points"),
        (0.990, 0.98499, "regressed", "-0.50 points"),
        (0.985, 0.990, "pass", "+0.50 points"),
        (0.985, 0.99001, "improved", "+0.50 points"),
        (0.9, 0.9, "pass", "+0.00 points"),
        (0.9, 0.8, "regressed", "-10.00 points"),
    ],
)
def test_points_that_are_lost_are_counted_to_the_limit(before: float, after: float, outcome: str, reason: str) -> None:
    assert said("accuracy=-0.5pt", change("accuracy", before, after)) == (outcome, reason, None)


def test_points_need_both_figures_and_a_share() -> None:
    word = "accuracy=-0.5pt"
    assert said(word, change("accuracy", None, 0.9, absent="no baseline")) == ("missing", "no baseline", None)
    assert said(word, change("accuracy", 0.9, None)) == ("missing", "there is no figure", None)
    refused = change("accuracy", 0.9, 0.9, ratio=None, absent="other data", refused=True)
    assert said(word, refused) == ("inconclusive", "other data", None)
    assert said(word, change("accuracy", 0.9, 0.9, ratio=None, absent="no pair"))[:2] == ("missing", "no pair")
    assert said(word, change("accuracy", 0.0, 0.0, ratio=None))[:2] == ("pass", "+0.00 points")
    assert said(word, change("accuracy", 0.9, 0.9, better="lower")) == (
        "inconclusive",
        "this figure is an error, which has no points",
        'give a share, such as "5%"',
    )


def test_a_budget_of_what_has_no_noise_holds_at_its_bound() -> None:
    assert said("size<=1000B", change("size", None, 1000.0, unit="B")) == ("pass", "1000 B", None)
    assert said("size<=1000B", change("size", None, 1001.0, unit="B")) == ("regressed", "1001 B", None)
    assert said("accuracy>=0.9", change("accuracy", None, 0.9))[0] == "pass"
    assert said("accuracy>=0.9", change("accuracy", None, 0.8999))[0] == "regressed"
    assert said("accuracy>=0.9", change("accuracy", None, 0.12345678))[1] == "0.123457 "


def test_a_budget_needs_the_candidates_figure_and_the_better_side() -> None:
    assert said("size<=1kB", change("size", 1.0, None)) == ("missing", "the candidate has no such figure", None)
    assert said("size<=1kB", change("size", 1.0, None, absent="gone"))[1] == "gone"
    assert said("accuracy>=0.5", change("accuracy", 0.6, 0.6, better="lower")) == (
        "inconclusive",
        "the better side here is <=",
        "write <=",
    )
    assert said("accuracy<=0.5", change("accuracy", 0.6, 0.6)) == (
        "inconclusive",
        "the better side here is >=",
        "write >=",
    )


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (7.0, 10.0, "pass"),
        (7.0, 10.1, "inconclusive"),
        (10.0, 12.0, "inconclusive"),
        (10.1, 12.0, "regressed"),
    ],
)
def test_a_budget_of_what_was_felt_holds_where_the_whole_interval_does(low: float, high: float, outcome: str) -> None:
    felt = change("p50_latency", None, 9.5, unit="s", after_low=low, after_high=high, after_processes=3)
    told = f"9.5 [{low:g}, {high:g}] s"
    open_one = outcome == "inconclusive"
    assert said("p50_latency<=10s", felt) == (
        outcome,
        f"{told}: the interval holds the budget" if open_one else told,
        MORE if open_one else None,
    )
    # Of a rate more is better: the same, mirrored.
    rate = change("throughput", None, 1.0, unit="1/s", after_low=20 - high, after_high=20 - low, after_processes=3)
    assert said("throughput>=10/s", rate)[0] == outcome


@pytest.mark.parametrize(
    "lack",
    [{"after_low": None}, {"after_high": None}, {"after_processes": None}, {"after_processes": 2}],
)
def test_a_budget_of_what_was_felt_needs_an_interval_from_three_processes(lack: dict[str, Any]) -> None:
    felt = change(
        "p50_latency", None, 9.5, **{"unit": "s", "after_low": 9, "after_high": 9.9, "after_processes": 3} | lack
    )
    assert said("p50_latency<=10s", felt) == (
        "inconclusive",
        "9.5 s, without an interval from 3 or more processes",
        MORE,
    )


# Rules over cases


def test_a_verdict_holds_what_it_was_judged_by() -> None:
    found = intervals(1e-6, "m/fp32")
    (one,) = judge_all({("m/fp32", "p50_latency"): found}, rules("p50_latency=5%"))
    assert (one.case, one.metric, one.rule, one.outcome) == ("m/fp32", "p50_latency", "p50_latency 5%", "regressed")
    assert one.change is found
    assert one.reason.startswith("+20.0% [")
    assert one.detectable is not None
    assert one.detectable > 0
    assert one.p_value is not None
    assert 0 < one.p_value < 0.05
    assert (one.remedy, one.again) == (None, None)
    (wide,) = judge_all({("c", "p50_latency"): intervals(0.1)}, rules("p50_latency=5%"))
    assert wide.outcome == "inconclusive"
    assert wide.remedy is not None
    assert wide.remedy.startswith("about ")


def test_a_verdict_of_its_own_keeps_all_that_was_judged() -> None:
    judged = Judged(outcome="pass", reason="because", detectable=0.1, p_value=0.2, remedy="do")
    kept = verdict("c", "size", "size 5%", None, judged)
    assert (kept.outcome, kept.reason, kept.detectable, kept.p_value, kept.remedy) == (
        "pass",
        "because",
        0.1,
        0.2,
        "do",
    )


def test_a_rule_without_a_case_says_what_to_mend() -> None:
    held = {("m/fp32", "size"): change("size", 1.0, 1.0, basis="exact", case="m/fp32")}
    fits, lost = judge_all(held, rules("size=1%", "*/fp64: size=2%"))
    assert (fits.case, fits.outcome) == ("m/fp32", "pass")
    assert (lost.case, lost.metric, lost.rule, lost.outcome, lost.change) == (
        "*/fp64",
        "size",
        "*/fp64: size 2%",
        "missing",
        None,
    )
    assert lost.reason == "no case has such a name"
    assert lost.remedy == "mend the pattern, or compare runs that hold the case"


def test_every_case_is_held_to_every_rule_once() -> None:
    held = {(c, "size"): change("size", 1.0, 1.0, basis="exact", case=c) for c in ("a", "b")}
    found = judge_all(held, rules("size=1%", "macs=1%"))
    assert [(v.case, v.metric, v.outcome) for v in found] == [
        ("a", "size", "pass"),
        ("a", "macs", "missing"),
        ("b", "size", "pass"),
        ("b", "macs", "missing"),
    ]


@pytest.mark.parametrize(("others", "outcome"), [(1, "regressed"), (2, "inconclusive")])
def test_a_p_value_counts_as_many_times_as_there_are_comparisons(others: int, outcome: str) -> None:
    """One of 0.02 among two is 0.04 and stands; among three it is 0.06, and may be chance."""
    even = {f"e{i}": intervals(0.5 - 1e-9, f"e{i}", 1 + 1e-12) for i in range(others)}
    held = {(c.case, "p50_latency"): c for c in (intervals(0.02, "bad"), *even.values())}
    held["size", "size"] = change("size", 1.0, 1.0, basis="exact", case="size")
    bad = judge_all(held, rules("p50_latency=0%", "size: size=0%"))[0]
    assert (bad.case, bad.outcome) == ("bad", outcome)
    assert bad.p_value == pytest.approx(0.02 * (1 + others), rel=1e-6)
    if outcome == "inconclusive":
        assert bad.reason.startswith("+20.0% [")
        assert bad.reason.endswith(": as one of 3 comparisons it may be chance (adjusted p 0.06)")
        assert bad.remedy == "measure in more rounds or invocations"


def test_only_what_noise_may_have_made_is_worth_another_look() -> None:
    held = {
        ("size", "size"): change("size", 1.0, 2.0, basis="exact", case="size"),
        ("felt", "p50_latency"): intervals(1e-6, "felt"),
        ("felt", "p99_latency"): change("p99_latency", 1.0, 1.0, case="felt"),
        ("broke", "p50_latency"): change("p50_latency", 1.0, 1.0, case="broke", broken="killed"),
    }
    found = judge_all(held, rules("p50_latency=5%", "size: size=0%"))
    assert {v.case for v in found if v.outcome == "regressed"} == {"size", "felt", "broke"}
    assert doubtful_cases(found) == ["felt"]


# Two runs


def test_a_report_names_its_two_sides_and_what_has_to_be_known() -> None:
    report = gate(latency("main", 1.0), latency("mine", 1.0, machine={"kernel": "7.0"}), rules("p50_latency=5%"))
    assert (report.baseline, report.candidate) == ("main", "mine")
    assert report.notes[0] == "1 cases in both, 0 only in main, 0 only in mine"
    assert report.outcome == "inconclusive"
    allowed = gate(
        latency("main", 1.0), latency("mine", 1.0, machine={"kernel": "7.0"}), rules("p50_latency=5%"), allow=["kernel"]
    )
    assert allowed.outcome == "pass"
    assert any(note.startswith("compared in spite of kernel") for note in allowed.notes)


def again(candidate: Snapshot) -> tuple[Callable[[Sequence[str]], Snapshot], list[list[str]]]:
    asked: list[list[str]] = []

    def measure(cases: Sequence[str]) -> Snapshot:
        asked.append(list(cases))
        return candidate

    return measure, asked


def test_a_second_look_is_told_with_what_it_found() -> None:
    before, after, word = latency("a", 1.0), latency("b", 1.1), rules("p50_latency=5%")
    first = gate(before, after, word).verdicts[0].reason
    measure, _ = again(latency("b2", 1.12))
    stays = gate(before, after, word, again=measure)
    assert stays.notes == (*gate(before, after, word).notes, "1 cases that had regressed were measured once more")
    assert len(stays.notes) > 1
    (shown,) = stays.verdicts
    assert shown.reason.startswith(f"{first}; measured once more: +12.0% [")
    assert shown.again is not None
    assert shown.change is not None
    assert (shown.change.after, shown.again.after) == (1.1, 1.12)
    measure, _ = again(latency("b2", 1.0))
    (gone,) = gate(before, after, word, again=measure).verdicts
    assert (gone.outcome, gone.again is None) == ("inconclusive", False)
    assert gone.reason.startswith(f"{first}, but measured once more: +0.0% [")
    assert gone.remedy == "measure in more rounds or invocations, or find what disturbs this machine (bench doctor)"
    measure, _ = again(empty("b2"))
    (lost,) = gate(before, after, word, again=measure).verdicts
    assert lost.outcome == "inconclusive"
    assert "measured once more: the candidate has no such case" in lost.reason


def test_a_second_look_that_fails_leaves_the_first_and_says_why() -> None:
    def fails(cases: Sequence[str]) -> Snapshot:
        raise UserError("the model is gone", where="m.onnx")

    report = gate(latency("a", 1.0), latency("b", 1.1), rules("p50_latency=5%"), again=fails)
    assert report.outcome == "regressed"
    why = "what had regressed could not be measured once more: the model is gone"
    assert report.notes == (*gate(latency("a", 1.0), latency("b", 1.1), rules("p50_latency=5%")).notes, why)


def test_only_cases_that_had_regressed_are_judged_anew() -> None:
    other = CASE.replace("int8", "fp32")

    def run(label: str, slow: float, steady: float) -> Snapshot:
        return snapshot(
            label,
            {
                CASE: {"p50_latency": figure(slow, 0.005), "size": figure(2.0, n=1)},
                other: {"p50_latency": figure(steady, 0.005), "size": figure(1.0, n=1)},
            },
        )

    before = snapshot("a", {c: {"p50_latency": figure(1.0, 0.005), "size": figure(1.0, n=1)} for c in (CASE, other)})
    measure, asked = again(run("b2", 1.0, 2.0))
    report = gate(before, run("b", 1.1, 1.0), rules("p50_latency=5%", "size=0%"), again=measure)
    assert asked == [[CASE]]
    assert {(v.case, v.metric): v.outcome for v in report.verdicts} == {
        (CASE, "p50_latency"): "inconclusive",
        (CASE, "size"): "regressed",
        (other, "p50_latency"): "pass",
        (other, "size"): "pass",
    }
    assert [v.again is not None for v in report.verdicts] == [True, False, False, False]


def test_a_reference_of_another_machine_is_held_to_no_rule_and_is_measured_along_once() -> None:
    def run(label: str, slow: float, reference: float = 1.0) -> Snapshot:
        figures = {"m/slow/x": {"p50_latency": figure(slow, 0.005)}, CASE: {"p50_latency": figure(reference, 0.005)}}
        return snapshot(label, figures, machine={"cpu_model": label})

    measure, asked = again(run("c", 1.0))
    report = gate(run("a", 1.0), run("b", 1.2), rules("p50_latency=5%"), normalise_by=CASE, again=measure)
    assert asked == [["m/slow/x", CASE]]
    assert [(v.case, v.outcome) for v in report.verdicts] == [("m/slow/x", "inconclusive")]
    # Of one machine the reference is held to the rules as all others are; where it is in doubt it is asked for once.
    same = {"cpu_model": "A"}
    here = [
        snapshot(
            label,
            {"m/slow/x": {"p50_latency": figure(slow, 0.005)}, CASE: {"p50_latency": figure(reference, 0.005)}},
            machine=same,
        )
        for label, slow, reference in (("a", 1.0, 1.0), ("b", 1.2, 1.2))
    ]
    measure, asked = again(here[1])
    report = gate(*here, rules("p50_latency=5%"), normalise_by=CASE, again=measure)
    assert asked == [[CASE]]
    assert {v.case: v.outcome for v in report.verdicts} == {"m/slow/x": "pass", CASE: "regressed"}


# Changes at hand


def test_cases_that_gave_nothing_are_missing_or_broke_in_the_candidate() -> None:
    held = gate_changes(
        [],
        rules("p50_latency=5%", "only/this: size=0%"),
        failed={"a": "no round was whole", "b": "B died"},
        broken={"b": "killed by signal 11"},
    )
    assert [(v.case, v.metric, v.outcome, v.reason) for v in held] == [
        ("a", "p50_latency", "missing", "no round was whole"),
        ("b", "p50_latency", "regressed", "the candidate's case failed: killed by signal 11"),
        ("only/this", "size", "missing", "no case has such a name"),
    ]
    assert held[0].change == Change(case="a", metric="p50_latency", unit="", absent="no round was whole")
    assert held[1].change is not None
    assert held[1].change.broken == "killed by signal 11"


def test_a_case_that_was_asked_for_once_more_and_gave_nothing_stands_and_says_so() -> None:
    first, word = intervals(1e-6), rules("p50_latency=5%")
    (plain,) = gate_changes([first], word)
    assert plain.outcome == "regressed"
    (silent,) = gate_changes([first], word, [], asked_again=["c"])
    assert (silent.outcome, silent.again) == ("regressed", None)
    assert silent.reason == f"{plain.reason}; measured once more, it gave no figure"
    (unasked,) = gate_changes([first], word, [intervals(1e-6)], asked_again=["d"])
    assert unasked == plain
    (elsewhere,) = gate_changes([first], rules("c*: p50_latency=5%"), [intervals(1e-7)], asked_again=["c"])
    assert (elsewhere.rule, elsewhere.outcome) == ("c*: p50_latency 5%", "regressed")
    fresh = intervals(1e-7)
    (shown,) = gate_changes([first], word, [fresh], asked_again=["c"])
    assert shown.again is fresh


def test_the_second_look_is_held_to_the_rule_of_the_first() -> None:
    """Two rules for one figure: each is confirmed by itself."""
    first = intervals(1e-6)
    first = Change(
        **{f: getattr(first, f) for f in first.__struct_fields__}
        | {"after_low": 1.1, "after_high": 1.3, "after_processes": 5}
    )
    fresh = change(
        "p50_latency",
        1.0,
        1.0,
        **{
            "low": 0.99,
            "high": 1.01,
            "confidence": 0.95,
            "basis": "intervals",
            "n": 5,
            "spread": 0.005,
            "after_low": 1.1,
            "after_high": 1.3,
            "after_processes": 5,
        },
    )
    share, budget = gate_changes([first], rules("p50_latency=5%", "p50_latency<=1s"), [fresh], asked_again=["c"])
    assert (share.rule, share.outcome) == ("p50_latency 5%", "inconclusive")
    assert (budget.rule, budget.outcome) == ("p50_latency <= 1s", "regressed")
