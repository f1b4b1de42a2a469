"""Rules held against changes: one verdict a rule and case, false alarms among many kept down, doubt said."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from bench.analyse.compare import compare
from bench.analyse.judge import FEWEST_PROCESSES, Judged, judge
from bench.analyse.kinds import better_of, kind
from bench.analyse.rules import Rule, in_force
from bench.errors import UserError
from bench.record.comparison import Change, GateReport, Outcome, Verdict
from bench.stats.fdr import adjusted
from bench.store.snapshot import Snapshot

_SHARE = 'give a share, such as "5%"'
_MORE = "measure longer (min_s), or in more processes (invocations)"
RATE = 0.05
"""The share of false alarms among the alarms that is borne."""

Again = Callable[[Sequence[str]], Snapshot]
"""Measures these cases of the candidate once more."""


def gate(
    before: Snapshot,
    after: Snapshot,
    rules: Sequence[Rule],
    *,
    allow: Collection[str] = (),
    normalise_by: str | None = None,
    again: Again | None = None,
) -> GateReport:
    """The verdicts of `rules` on the candidate `after` against the baseline `before`.

    A regression counts only if it stands among all comparisons (Benjamini-Hochberg at 5 %) and, where `again` is
    given, if it shows once more when its cases are measured anew. Raises `UserError` as `compare`.
    """

    def held(candidate: Snapshot) -> tuple[dict[tuple[str, str], Change], tuple[str, ...], str | None]:
        metrics = [rule.metric for rule in rules]
        found = compare(before, candidate, metrics, allow=allow, normalise_by=normalise_by)
        # The reference has nothing to be normalised by: where it may not be compared itself, no rule is for it.
        changes = [c for c in found.changes if not (c.refused and c.case == found.reference)]
        return {(c.case, c.metric): c for c in changes}, found.notes, found.reference

    changes, notes, reference = held(after)
    verdicts = judge_all(changes, rules)
    doubtful = doubtful_cases(verdicts)
    if doubtful and again is not None:
        try:
            anew, _, _ = held(again([*doubtful, *(() if reference is None or reference in doubtful else (reference,))]))
        except UserError as error:
            notes += (f"what had regressed could not be measured once more: {error.what}",)
        else:
            verdicts = [_confirmed(v, anew.get((v.case, v.metric)), rules, doubtful) for v in verdicts]
            notes += (f"{len(doubtful)} cases that had regressed were measured once more",)
    return GateReport(baseline=before.label, candidate=after.label, verdicts=tuple(verdicts), notes=notes)


def gate_changes(
    changes: Iterable[Change],
    rules: Sequence[Rule],
    confirmation: Iterable[Change] = (),
    failed: Mapping[str, str] | None = None,
    broken: Mapping[str, str] | None = None,
    asked_again: Collection[str] = (),
) -> list[Verdict]:
    """The verdicts on changes that are at hand, such as those of paired rounds.

    `confirmation` are changes of fresh rounds of the cases `asked_again`, which had regressed; `failed` are cases that
    gave no figure, with the reason, and `broken` those of them that the candidate failed in.
    """
    held = {(change.case, change.metric): change for change in changes}
    for case, reason in (failed or {}).items():
        for rule in in_force(rules, case):
            why = (broken or {}).get(case)
            held[case, rule.metric] = Change(case=case, metric=rule.metric, unit="", absent=reason, broken=why)
    anew = {(change.case, change.metric): change for change in confirmation}
    return [_confirmed(v, anew.get((v.case, v.metric)), rules, asked_again) for v in judge_all(held, rules)]


def doubtful_cases(verdicts: Iterable[Verdict]) -> list[str]:
    """Cases with a regression that noise may have made: in what a machine felt, of a case that ran."""
    bad = [v for v in verdicts if v.outcome == "regressed" and kind(v.metric) == "felt"]
    return list(dict.fromkeys(v.case for v in bad if v.change is not None and v.change.broken is None))


def judge_all(changes: Mapping[tuple[str, str], Change], rules: Sequence[Rule]) -> list[Verdict]:
    """One verdict for each case and rule in force; a rule that fits no case is missing one."""
    cases = list(dict.fromkeys(case for case, _ in changes))
    verdicts, judged = [], []
    for case in cases:
        for rule in in_force(rules, case):
            change = changes.get((case, rule.metric))
            found = hold(rule, change)
            judged.append(found)
            verdicts.append(verdict(case, rule.metric, str(rule), change, found))
    for rule in rules:
        if not any(rule.fits(case) for case in cases):
            remedy = "mend the pattern, or compare runs that hold the case"
            found = Judged(outcome="missing", reason="no case has such a name", remedy=remedy)
            judged.append(found)
            verdicts.append(verdict(rule.cases, rule.metric, str(rule), None, found))
    return _among_many(verdicts, judged)


def hold(rule: Rule, change: Change | None) -> Judged:
    """What one rule says of one change."""
    if change is None:
        return Judged(outcome="missing", reason="neither side has such a figure")
    if change.broken is not None:
        return Judged(outcome="regressed", reason=f"the candidate's case failed: {change.broken}")
    if not all(math.isfinite(x) for x in (change.before, change.after, change.ratio) if x is not None):
        return Judged(outcome="missing", reason="a figure is not a finite number")
    if rule.form == "budget":
        return _budget(rule, change)
    if rule.form == "points":
        return _points(rule, change)
    return judge(change, rule.limit, better_of(change))


def _points(rule: Rule, change: Change) -> Judged:
    """The same examples on both sides: what was lost on them is a count, without noise."""
    if change.before is None or change.after is None or (change.ratio is None and change.absent):
        outcome: Outcome = "inconclusive" if change.refused else "missing"
        return Judged(outcome=outcome, reason=change.absent or "there is no figure")
    if better_of(change) == "lower":
        return Judged(outcome="inconclusive", reason="this figure is an error, which has no points", remedy=_SHARE)
    lost = change.before - change.after
    slack = 1e-12
    outcome = "regressed" if lost > rule.limit + slack else "improved" if lost < -rule.limit - slack else "pass"
    return Judged(outcome=outcome, reason=f"{(change.after - change.before) * 100:+.2f} points")


def _budget(rule: Rule, change: Change) -> Judged:
    """A bound for the candidate alone."""
    if change.after is None:
        return Judged(outcome="missing", reason=change.absent or "the candidate has no such figure")
    side = "<=" if better_of(change) == "lower" else ">="
    if not rule.text.startswith(side):
        return Judged(outcome="inconclusive", reason=f"the better side here is {side}", remedy=f"write {side}")
    sign = 1 if side == "<=" else -1
    if kind(rule.metric) == "felt":
        return _within(rule, change, sign)
    over = sign * (change.after - rule.limit) > 0
    return Judged(outcome="regressed" if over else "pass", reason=f"{change.after:.6g} {change.unit}")


def _within(rule: Rule, change: Change, sign: int) -> Judged:
    """What a machine felt is known as closely as its interval says. `sign` is 1 where less is better, else -1."""
    low, high = change.after_low, change.after_high
    if low is None or high is None or (change.after_processes or 0) < FEWEST_PROCESSES:
        few = f"{change.after:.6g} {change.unit}, without an interval from {FEWEST_PROCESSES} or more processes"
        return Judged(outcome="inconclusive", reason=few, remedy=_MORE)
    told = f"{change.after:.6g} [{low:.6g}, {high:.6g}] {change.unit}"
    best, worst = (low, high) if sign > 0 else (high, low)
    if sign * (best - rule.limit) > 0:
        return Judged(outcome="regressed", reason=told)
    if sign * (worst - rule.limit) > 0:
        return Judged(outcome="inconclusive", reason=f"{told}: the interval holds the budget", remedy=_MORE)
    return Judged(outcome="pass", reason=told)


def verdict(case: str, metric: str, rule: str, change: Change | None, found: Judged) -> Verdict:
    """What was judged, with what it was judged by."""
    return Verdict(
        case=case,
        metric=metric,
        rule=rule,
        outcome=found.outcome,
        reason=found.reason,
        change=change,
        detectable=found.detectable,
        p_value=found.p_value,
        remedy=found.remedy,
    )


def _among_many(verdicts: Sequence[Verdict], judged: Sequence[Judged]) -> list[Verdict]:
    """Of many comparisons some look bad by chance: p-values are adjusted, and what does not stand is open."""
    alone = {i: found.p_value for i, found in enumerate(judged) if found.p_value is not None}
    told = list(verdicts)
    for i, p_value in zip(alone, adjusted(list(alone.values())), strict=True):
        told[i] = msgspec.structs.replace(told[i], p_value=float(p_value))
        if told[i].outcome == "regressed" and p_value > RATE:
            chance = f"as one of {len(alone)} comparisons it may be chance (adjusted p {p_value:.2g})"
            told[i] = msgspec.structs.replace(
                told[i],
                outcome="inconclusive",
                reason=f"{told[i].reason}: {chance}",
                remedy="measure in more rounds or invocations",
            )
    return told


def _confirmed(verdict: Verdict, again: Change | None, rules: Sequence[Rule], asked: Collection[str]) -> Verdict:
    """A regression that does not show again is open; one that could not be looked at again stands, and says so."""
    if verdict.outcome != "regressed" or verdict.case not in asked or kind(verdict.metric) != "felt":
        return verdict
    if again is None:
        return msgspec.structs.replace(verdict, reason=f"{verdict.reason}; measured once more, it gave no figure")
    rule = next(r for r in in_force(rules, verdict.case) if str(r) == verdict.rule)
    found = hold(rule, again)
    if found.outcome == "regressed":
        return msgspec.structs.replace(
            verdict, again=again, reason=f"{verdict.reason}; measured once more: {found.reason}"
        )
    return msgspec.structs.replace(
        verdict,
        outcome="inconclusive",
        again=again,
        reason=f"{verdict.reason}, but measured once more: {found.reason}",
        remedy="measure in more rounds or invocations, or find what disturbs this machine (bench doctor)",
    )
