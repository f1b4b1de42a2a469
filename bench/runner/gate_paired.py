"""A gate between two sides that are measured here, in turns, until every rule is decided."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.analyse.gate import gate_changes, hold
from bench.analyse.judge import change_of_series
from bench.analyse.kinds import better_by, kind
from bench.analyse.rules import Rule, in_force
from bench.record.comparison import Change, GateReport, Series, Verdict
from bench.runner.ab import FIRST_LOOK, confidence_of, versions_of
from bench.runner.paired import Paired, PairEvents, run_pairs
from bench.runner.sides import ModelSide, Opened
from bench.stats.sequential import Schedule, schedule

_OPEN = ("inconclusive", "missing")


def gate_pairs(
    opened: Opened, rules: Sequence[Rule], *, rounds: int, budget_s: float, seed: int, events: PairEvents
) -> GateReport:
    """The gate's report on `opened.b` (the candidate) against `opened.a`.

    At most `rounds` rounds and about `budget_s` seconds. What regressed is measured once more, in fresh rounds until it
    is decided anew, at most as long again. Figures of quality come from one further process a side and case.
    """
    looks = schedule(min(FIRST_LOOK, rounds), rounds)

    def settled(case: str, done: int, series: Mapping[str, Series]) -> bool:
        felt = [rule for rule in in_force(rules, case) if kind(rule.metric) == "felt"]
        changes = {rule: series.get(rule.metric) for rule in felt}
        return all(
            found is None or hold(rule, change_of_series(found, looks.at(done))).outcome not in _OPEN
            for rule, found in changes.items()
        )

    def measured(cases: Sequence[str], order: int) -> Paired:
        return run_pairs(
            opened.a, opened.b, cases, schedule=looks, budget_s=budget_s, settled=settled, events=events, seed=order
        )

    paired = measured(opened.cases, seed)
    changes = _changes(looks, paired)
    changes += _exact(opened, [rule.metric for rule in rules], events)
    failed = {case: str(broken) for case, broken in paired.failures.items()}
    verdicts = gate_changes(changes, rules, failed=failed)
    notes = [*opened.notes, *versions_of(opened)]
    bad = list(dict.fromkeys(v.case for v in verdicts if _by_rounds(v)))
    if bad and paired.stopped_by != "interrupted":
        again = measured(bad, seed + 1)
        verdicts = gate_changes(changes, rules, _changes(looks, again), failed)
        notes.append(f"{len(bad)} cases that had regressed were measured once more")
    notes.append(
        f"{max(paired.rounds.values(), default=0)} rounds in {paired.seconds:.0f} s, ended by {paired.stopped_by}"
    )
    return GateReport(baseline=opened.a.name, candidate=opened.b.name, verdicts=tuple(verdicts), notes=tuple(notes))


def _changes(looks: Schedule, paired: Paired) -> list[Change]:
    return [change_of_series(s, confidence_of(looks, paired, s.case)) for s in paired.series]


def _by_rounds(verdict: Verdict) -> bool:
    return verdict.outcome == "regressed" and verdict.change is not None and verdict.change.basis == "paired rounds"


def _exact(opened: Opened, metrics: Iterable[str], events: PairEvents) -> list[Change]:
    """Changes of what needs no rounds: sizes, and quality on the same data."""
    a, b = opened.a, opened.b
    if not isinstance(a, ModelSide) or not isinstance(b, ModelSide):
        return []
    wanted = list(dict.fromkeys(metrics))
    found = []
    if "size" in wanted:
        found += [_change(case, "size", "B", float(a.size(case)), float(b.size(case)), 1) for case in opened.cases]
    judged = [metric for metric in wanted if kind(metric) == "quality"]
    if judged:
        with tempfile.TemporaryDirectory(prefix="bench-gate-") as scratch:
            for case in opened.cases:
                found += _quality(case, judged, (a, b), Path(scratch), events)
    return found


def _quality(
    case: str, metrics: Sequence[str], sides: tuple[ModelSide, ModelSide], scratch: Path, events: PairEvents
) -> list[Change]:
    if sides[0].data(case) != sides[1].data(case):
        why = "not comparable: the evaluation data differ"
        return [Change(case=case, metric=metric, unit="", absent=why, refused=True) for metric in metrics]
    before, after = (side.quality(case, scratch, events.progress) for side in sides)
    changes = []
    for metric in metrics:
        one, two = before[metric], after[metric]
        if one.value is None or two.value is None:
            changes.append(Change(case=case, metric=metric, unit=one.unit, absent=one.reason or two.reason))
        else:
            change = _change(case, metric, one.unit, one.value, two.value, two.n)
            changes.append(msgspec.structs.replace(change, better=better_by(metric, sides[1].judged_by(case))))
    return changes


def _change(case: str, metric: str, unit: str, before: float, after: float, n: int) -> Change:
    ratio = after / before if before else None
    return Change(
        case=case,
        metric=metric,
        unit=unit,
        before=before,
        after=after,
        ratio=ratio,
        basis="exact",
        n=n,
        absent=None if before else "the baseline is 0, so that there is no ratio",
    )
