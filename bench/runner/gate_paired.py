"""A gate between two sides that are measured here, in turns, until every rule is decided."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.analyse.gate import doubtful_cases, gate_changes, hold
from bench.analyse.judge import change_of_series
from bench.analyse.kinds import better_by, kind
from bench.analyse.rules import Rule, in_force
from bench.record.comparison import Change, GateReport, Series
from bench.record.metric import METRICS
from bench.runner.ab import FIRST_LOOK, changes_of, versions_of
from bench.runner.paired import Paired, PairEvents, run_pairs
from bench.runner.sides import ModelSide, Opened
from bench.stats.sequential import schedule

_OPEN = ("inconclusive", "missing")


def gate_pairs(
    opened: Opened,
    rules: Sequence[Rule],
    *,
    rounds: int,
    budget_s: float,
    seed: int,
    events: PairEvents,
    confirm: bool = True,
) -> GateReport:
    """The gate's report on `opened.b` (the candidate) against `opened.a`.

    At most `rounds` rounds and about `budget_s` seconds. What regressed is measured once more, in fresh rounds until it
    is decided anew, at most as long again, unless `confirm` is False. Rules are for the full names of the candidate's
    cases. Figures of quality come from one further process a side and case.
    """
    looks = schedule(min(FIRST_LOOK, rounds), rounds)
    full = {case: opened.names.get(case, case) for case in opened.cases}

    def settled(case: str, done: int, series: Mapping[str, Series]) -> bool:
        felt = [rule for rule in in_force(rules, full[case]) if kind(rule.metric) == "felt"]
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
    exact = [] if paired.stopped_by == "interrupted" else _exact(opened, [rule.metric for rule in rules], events)
    changes = [_named(change, full) for change in (*changes_of(looks, paired), *exact)]
    failed = {full[case]: str(broken) for case, broken in paired.failures.items()}
    broken = {full[case]: str(b) for case, b in paired.failures.items() if b.side == opened.b.name}
    verdicts = gate_changes(changes, rules, failed=failed, broken=broken)
    notes = [*opened.notes, *versions_of(opened)]
    interrupted = paired.stopped_by == "interrupted"
    bad = doubtful_cases(verdicts)
    if bad and confirm and not interrupted:
        again = measured([case for case in opened.cases if full[case] in bad], seed + 1)
        anew = [_named(change, full) for change in changes_of(looks, again)]
        verdicts = gate_changes(changes, rules, anew, failed, broken, bad)
        interrupted = again.stopped_by == "interrupted"
        notes.append(f"{len(bad)} cases that had regressed were measured once more")
    notes.append(
        f"{max(paired.rounds.values(), default=0)} rounds in {paired.seconds:.0f} s, ended by {paired.stopped_by}"
    )
    return GateReport(
        baseline=opened.a.name,
        candidate=opened.b.name,
        verdicts=tuple(verdicts),
        notes=tuple(notes),
        interrupted=interrupted,
    )


def _named(change: Change, full: Mapping[str, str]) -> Change:
    return msgspec.structs.replace(change, case=full[change.case], after_processes=change.n)


def _exact(opened: Opened, metrics: Iterable[str], events: PairEvents) -> list[Change]:
    """Changes of what needs no rounds: sizes, and quality on the same data."""
    a, b = opened.a, opened.b
    if not isinstance(a, ModelSide) or not isinstance(b, ModelSide):
        return []
    wanted = list(dict.fromkeys(metrics))
    found = []
    for metric in (m for m in wanted if kind(m) == "artifact"):
        for case in opened.cases:
            before, after = a.of_file(case, metric), b.of_file(case, metric)
            if before is None or after is None:
                found.append(Change(case=case, metric=metric, unit="", absent="it is not counted for this file"))
            else:
                found.append(_change(case, metric, METRICS[metric].unit, before, after, 1))
    judged = [metric for metric in wanted if kind(metric) == "quality"]
    if judged:
        with tempfile.TemporaryDirectory(prefix="bench-gate-") as scratch:
            for case in opened.cases:
                found += _quality(case, judged, (a, b), Path(scratch), events)
    return found


def _quality(
    case: str, metrics: Sequence[str], sides: tuple[ModelSide, ModelSide], scratch: Path, events: PairEvents
) -> list[Change]:
    if sides[0].data(case) != sides[1].data(case) or sides[0].judged_by(case) != sides[1].judged_by(case):
        why = "not comparable: the evaluation data or the task metric differ"
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
    )
