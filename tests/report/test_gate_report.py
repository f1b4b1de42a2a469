"""A gate and a comparison on a terminal: the verdict first, what matters next, nothing left unsaid."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from bench.record.comparison import Change, GateReport, Outcome, Verdict
from bench.report import changes, compare, gate

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
CASE = "mnist_cnn@digits/int8/onnxruntime-cpu/t1/b1/single-stream"
SUFFIX = "/onnxruntime-cpu/t1/b1/single-stream"

NASTY = "|`*_<b>[a](c)\\#1 @you &amp; ~~$x$! :tada: 5%,\n- \r::error::\x00\x1b\x85\x9b\u2028\ud800\ufffe"
"""Markdown, HTML, workflow commands, controls, half of a surrogate pair, no character."""

anything = st.text(st.characters(codec=None, exclude_categories=[]) | st.sampled_from(NASTY), max_size=60)
"""Text as models and suites may hold it."""


def change(ratio: float | None = 1.042, case: str = CASE, metric: str = "p50_latency", **more: object) -> Change:
    """A change by paired rounds, known to one percent point."""
    fields: dict[str, object] = {
        "case": case,
        "metric": metric,
        "unit": "s",
        "before": 81.2e-6,
        "after": None if ratio is None else 81.2e-6 * ratio,
        "ratio": ratio,
        "low": None if ratio is None else ratio - 0.011,
        "high": None if ratio is None else ratio + 0.011,
        "confidence": 0.95,
        "basis": "paired rounds",
        "n": 12,
    }
    return Change(**{**fields, **more})  # type: ignore[arg-type]


def share(before: float, after: float, **more: object) -> Change:
    exact = {"before": before, "after": after, "unit": "1", "basis": "exact", "low": None, "high": None}
    return change(after / before, metric="accuracy", **{**exact, **more})


def verdict(outcome: Outcome = "regressed", case: str = CASE, ratio: float | None = 1.042, **more: object) -> Verdict:
    fields: dict[str, object] = {
        "case": case,
        "metric": "p50_latency",
        "rule": 'p50_latency = "2%"',
        "outcome": outcome,
        "reason": f"the reason why it is {outcome}",
        "change": change(ratio, case),
    }
    return Verdict(**{**fields, **more})  # type: ignore[arg-type]


def report(*verdicts: Verdict, notes: tuple[str, ...] = ()) -> GateReport:
    return GateReport(baseline="main", candidate="branch", verdicts=verdicts, notes=notes)


def mixed(
    regressed: int = 0, missing: int = 0, inconclusive: int = 0, improved: int = 0, passed: int = 0
) -> GateReport:
    """So many verdicts of each kind, passes first, each of a case of its own."""
    counts: dict[Outcome, int] = {
        "pass": passed,
        "improved": improved,
        "inconclusive": inconclusive,
        "missing": missing,
        "regressed": regressed,
    }
    return report(*(verdict(o, f"m/{o}-{at}{SUFFIX}") for o, count in counts.items() for at in range(count)))


def drawn(draw: Callable[[Console], None], width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    draw(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shown(of: GateReport, width: int = 200) -> str:
    return drawn(lambda console: gate.draw(console, of), width)


def test_the_first_line_is_the_verdict_and_counts_every_outcome() -> None:
    first = shown(mixed(regressed=3, inconclusive=1, passed=40)).splitlines()[0]
    assert first == "3 regressed, 1 inconclusive, 40 passed"
    assert shown(report()).splitlines()[0] == "nothing was judged"


def test_rows_stand_in_the_order_of_what_matters_and_many_passes_are_only_counted() -> None:
    text = shown(mixed(regressed=1, missing=1, inconclusive=1, improved=1, passed=gate.FEW_PASSES + 1))
    places = [text.index(f"{outcome}-0") for outcome in ("regressed", "missing", "inconclusive", "improved")]
    assert places == sorted(places)
    assert "pass-0" not in text
    assert f"not listed: {gate.FEW_PASSES + 1} passed" in text


def test_few_passes_are_listed() -> None:
    text = shown(mixed(passed=gate.FEW_PASSES))
    assert f"pass-{gate.FEW_PASSES - 1}" in text
    assert "not listed" not in text


def test_no_verdict_is_lost_however_many_there_are() -> None:
    of = mixed(regressed=gate.MOST_ROWS, missing=5, passed=500)
    listed, rest = gate.rows_of(of)
    assert len(listed) == gate.MOST_ROWS
    assert {v.outcome for v in listed} == {"regressed"}
    assert len(listed) + len(rest) == len(of.verdicts)
    assert "not listed: 5 missing, 500 passed" in shown(of)


def test_of_two_regressions_the_larger_one_stands_first() -> None:
    of = report(verdict(case=f"m/small{SUFFIX}", ratio=1.03), verdict(case=f"m/large{SUFFIX}", ratio=1.3))
    assert shown(of).index("large") < shown(of).index("small")


def test_a_reason_is_said_once_with_the_cases_it_holds_for_and_with_its_remedy() -> None:
    of = report(
        *(verdict("missing", f"m/v{i}{SUFFIX}", change=None, reason="no counter", remedy="use root") for i in range(5))
    )
    (line,) = [line for line in shown(of).splitlines() if "no counter" in line]
    assert "to do: use root" in line
    assert f"m/v0{SUFFIX}" in line
    assert "and 2 more" in line


def test_labels_are_shown_wherever_the_figure_is_also_when_it_passed() -> None:
    labelled = change(1.0, labels=("allowed: kernel",))
    assert "allowed: kernel" in shown(report(verdict("pass", change=labelled)))
    assert "allowed: kernel" in shown(report(verdict("regressed", change=labelled)))
    assert "allowed: kernel" in drawn(lambda console: compare.draw(console, [labelled]))


def test_what_all_cases_share_is_said_once() -> None:
    pattern, names = changes.shortened([f"m/fp32{SUFFIX}", f"m/int8{SUFFIX}"])
    assert (pattern, names) == (f"m/*{SUFFIX}", ["fp32", "int8"])
    assert changes.shortened(["a/b", "c"]) == ("", ["a/b", "c"])
    assert changes.shortened(["a/b", "a/b"]) == ("", ["a/b", "a/b"])


@given(st.lists(st.from_regex(r"[a-c]/[a-c]/[a-c]", fullmatch=True), min_size=2))
def test_shortened_names_are_as_different_as_the_whole_ones(cases: list[str]) -> None:
    assert len(set(changes.shortened(cases)[1])) == len(set(cases))


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (change(1.042), "+4.2 % [3.1, 5.3]"),
        (change(0.5), "-50.0 % [-51.1, -48.9]"),
        (change(1.004), "+0.40 % [-0.70, 1.50]"),
        (change(1.1, low=None, high=None), "+10.0 %"),
        (change(30.0, low=None, high=None), "+2,900.0 %"),
        (share(0.97, 0.965), "-0.50 pt"),
        (share(0.8, 0.82, basis="intervals", low=1.01, high=1.04), "+2.00 pt [0.80, 3.20]"),
        (share(3.0, 3.3), "+10.0 %"),
        (share(0.97, 0.97), "unchanged"),
        (change(None, absent="no counter"), "–"),
        (None, "–"),
    ],
)
def test_a_change_is_told_in_percent_and_that_of_a_share_in_points(of: Change | None, text: str) -> None:
    assert changes.shift(of) == text


def test_both_sides_have_one_unit_and_an_absent_one_is_a_dash() -> None:
    assert changes.sides(change(20.0)) == ("81.2 µs", "1,624 µs")
    assert changes.sides(change(None, after=None)) == ("81.2 µs", "–")
    assert changes.sides(share(0.97, 0.9655)) == ("0.9700", "0.9655")


@pytest.mark.parametrize(
    ("of", "where"),
    [
        (change(1.1), "worse"),
        (change(0.9), "better"),
        (change(1.1, metric="throughput"), "better"),
        (change(1.005), "unclear"),
        (change(1.1, metric="idle_power"), "unclear"),
        (change(1.1, metric="wall_time_of_another_tool"), "worse"),
        (change(1.1, low=None, high=None, basis="none"), "unclear"),
        (change(1.1, basis="intervals", n=1), "unclear"),
        (change(1.1, basis="intervals", n=3), "worse"),
        (share(0.97, 0.96), "worse"),
        (share(0.97, 0.97), "same"),
        (change(None, absent="x"), "absent"),
    ],
)
def test_a_change_is_better_or_worse_only_beyond_its_noise(of: Change, where: str) -> None:
    assert changes.standing(of) == where


def test_a_comparison_shows_what_became_worse_first_and_counts_what_it_leaves_out() -> None:
    found = [
        change(1.0, case=f"m/same{SUFFIX}", basis="exact", after=81.2e-6),
        change(None, case=f"m/gone{SUFFIX}", absent="the candidate has no such case"),
        change(0.5, case=f"m/better{SUFFIX}"),
        change(1.2, case=f"m/worse{SUFFIX}"),
        change(2.0, case=f"m/worst{SUFFIX}"),
    ]
    text = drawn(lambda console: compare.draw(console, found, "a | b"))
    places = [text.index(f"│ {name} ") for name in ("worst", "worse", "better", "gone", "same")]
    assert places == sorted(places)
    assert "the candidate has no such case (m/gone" in text
    assert f"a | b · m/*{SUFFIX}" in text
    cut = drawn(lambda console: compare.draw(console, found, most=2))
    assert "not listed: 1 better, 1 without a ratio, 1 unchanged" in cut


def test_a_comparison_of_nothing_says_so() -> None:
    assert "no figure is in both" in drawn(lambda console: compare.draw(console, []))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_narrow_terminal_verdict_case_and_change_are_still_there(width: int) -> None:
    names = [f"m/{variant}{SUFFIX}" for variant in ("fp32", "int8")]
    text = shown(report(*(verdict(case=name, again=change(1.05)) for name in names)), width)
    row = next(line for line in text.splitlines() if "fp32" in line)
    assert "regressed" in row
    assert "+4.2 % [3.1, 5.3]" in row


@example(NASTY, NASTY, NASTY)
@given(anything, anything, anything)
def test_no_text_of_a_suite_reaches_the_terminal_as_a_control(case: str, reason: str, label: str) -> None:
    of = report(verdict(case=case, reason=reason, change=change(case=case, labels=(label,))), notes=(reason,))
    found = shown(of) + drawn(lambda console: compare.draw(console, [v.change for v in of.verdicts if v.change], case))
    assert not [char for char in found if ord(char) < 32 and char != "\n"]
    assert "\x9b" not in found


def test_a_pass_without_a_figure_has_nothing_that_qualifies_it() -> None:
    assert gate.reasons([verdict("pass", change=None)]) == []
    labelled = change(1.0, labels=("allowed: kernel",))
    assert gate.reasons([verdict("pass", change=labelled)]) == [("pass", f"passed: allowed: kernel ({CASE} p50)")]
