"""Rules held against changes: one verdict a rule and case, false alarms among many kept down, doubt said."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from bench.analyse.compare import compare
from bench.analyse.judge import Judged, judge
from bench.analyse.kinds import better_of, kind
from bench.analyse.rules import Rule, in_force
from bench.record.comparison import Change, GateReport, Outcome, Verdict
from bench.stats.fdr import adjusted
from bench.store.snapshot import Snapshot

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

    def held(candidate: Snapshot) -> tuple[dict[tuple[str, str], Change], tuple[str, ...]]:
        metrics = [rule.metric for rule in rules]
        found = compare(before, candidate, metrics, allow=allow, normalise_by=normalise_by)
        return {(c.case, c.metric): c for c in found.changes}, found.notes

    changes, notes = held(after)
    verdicts = judge_all(changes, rules)
    doubtful = [v.case for v in verdicts if v.outcome == "regressed" and v.change and v.change.basis == "intervals"]
    if doubtful and again is not None:
        anew, _ = held(again(list(dict.fromkeys(doubtful))))
        verdicts = [_confirmed(v, anew.get((v.case, v.metric)), rules) for v in verdicts]
        notes += (f"{len(set(doubtful))} cases that had regressed were measured once more",)
    return GateReport(baseline=before.label, candidate=after.label, verdicts=tuple(verdicts), notes=notes)


def gate_changes(
    changes: Iterable[Change],
    rules: Sequence[Rule],
    confirmation: Iterable[Change] = (),
    failed: Mapping[str, str] | None = None,
) -> list[Verdict]:
    """The verdicts on changes that are at hand, such as those of paired rounds.

    `confirmation` are changes of fresh rounds of what had regressed; `failed` are cases that gave no figure, with the
    reason.
    """
    held = {(change.case, change.metric): change for change in changes}
    for case, reason in (failed or {}).items():
        for rule in in_force(rules, case):
            held[case, rule.metric] = Change(case=case, metric=rule.metric, unit="", absent=reason)
    anew = {(change.case, change.metric): change for change in confirmation}
    return [_confirmed(v, anew.get((v.case, v.metric)), rules) for v in judge_all(held, rules)]


def judge_all(changes: Mapping[tuple[str, str], Change], rules: Sequence[Rule]) -> list[Verdict]:
    """One verdict for each case and rule in force; a rule that fits no case is missing one."""
    cases = list(dict.fromkeys(case for case, _ in changes))
    verdicts, judged = [], []
    for case in cases:
        for rule in in_force(rules, case):
            change = changes.get((case, rule.metric))
            found = hold(rule, change)
            judged.append(found)
            verdicts.append(_verdict(case, rule, change, found))
    for rule in rules:
        if not any(rule.fits(case) for case in cases):
            verdicts.append(
                Verdict(
                    case=rule.cases,
                    metric=rule.metric,
                    rule=str(rule),
                    outcome="missing",
                    reason="no case has such a name",
                    remedy="mend the pattern, or compare runs that hold the case",
                )
            )
            judged.append(Judged(outcome="missing", reason=""))
    return _among_many(verdicts, judged)


def hold(rule: Rule, change: Change | None) -> Judged:
    """What one rule says of one change."""
    if change is None:
        return Judged(outcome="missing", reason="neither side has such a figure")
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
    sign = 1 if better_of(change) == "higher" else -1
    lost = sign * (change.before - change.after)
    slack = 1e-12
    outcome = "regressed" if lost > rule.limit + slack else "improved" if lost < -rule.limit - slack else "pass"
    return Judged(outcome=outcome, reason=f"{(change.after - change.before) * 100:+.2f} points")


def _budget(rule: Rule, change: Change) -> Judged:
    """A bound for the candidate alone. What a machine felt is known as closely as its interval says."""
    if change.after is None:
        return Judged(outcome="missing", reason=change.absent or "the candidate has no such figure")
    sign = 1 if rule.text.startswith("<=") else -1
    told = f"{change.after:.6g} {change.unit}"
    low, high = change.after_low, change.after_high
    if kind(rule.metric) != "felt":
        return Judged(outcome="regressed" if sign * (change.after - rule.limit) > 0 else "pass", reason=told)
    if low is None or high is None:
        return Judged(outcome="inconclusive", reason=f"{told}, without an interval", remedy=_MORE)
    told = f"{change.after:.6g} [{low:.6g}, {high:.6g}] {change.unit}"
    best, worst = (low, high) if sign > 0 else (high, low)
    if sign * (best - rule.limit) > 0:
        return Judged(outcome="regressed", reason=told)
    if sign * (worst - rule.limit) > 0:
        return Judged(outcome="inconclusive", reason=f"{told}: the interval holds the budget", remedy=_MORE)
    return Judged(outcome="pass", reason=told)


def _verdict(case: str, rule: Rule, change: Change | None, found: Judged) -> Verdict:
    return Verdict(
        case=case,
        metric=rule.metric,
        rule=str(rule),
        outcome=found.outcome,
        reason=found.reason,
        change=change,
        detectable=found.detectable,
        p_value=found.p_value,
        remedy=found.remedy,
    )


def _among_many(verdicts: Sequence[Verdict], judged: Sequence[Judged]) -> list[Verdict]:
    """Of many comparisons some look bad by chance: p-values are adjusted, and what does not stand is open."""
    at = [i for i, found in enumerate(judged) if found.p_value is not None]
    told = list(verdicts)
    for i, p_value in zip(at, adjusted([judged[i].p_value or 0.0 for i in at]), strict=True):
        told[i] = msgspec.structs.replace(told[i], p_value=float(p_value))
        if told[i].outcome == "regressed" and p_value > RATE:
            told[i] = msgspec.structs.replace(
                told[i],
                outcome="inconclusive",
                reason=f"{told[i].reason}: as one of {len(at)} comparisons it may be chance (adjusted p {p_value:.2g})",
                remedy="measure in more rounds or invocations",
            )
    return told


def _confirmed(verdict: Verdict, again: Change | None, rules: Sequence[Rule]) -> Verdict:
    """A regression that does not show again is open."""
    if verdict.outcome != "regressed" or again is None:
        return verdict
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
