"""Two sides in turns until it is clear which is slower, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bench.analyse.gate import verdict
from bench.analyse.judge import change_of_series, judge
from bench.analyse.kinds import better
from bench.record.comparison import AbReport, Change, GateReport, Series, Verdict
from bench.runner.paired import Paired, PairEvents, run_pairs
from bench.runner.sides import ModelSide, Opened
from bench.stats.sequential import Schedule, schedule

FIRST_LOOK = 6
"""Fewer rounds show only what is far beyond any threshold, since the spread itself is hardly known."""
MODEL_METRIC, COMMAND_METRIC = "p50_latency", "wall_time"


class AbResult(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and a verdict for each case on one metric. A case with a side that failed has the outcome missing."""

    report: AbReport
    verdicts: tuple[Verdict, ...]
    failed: bool

    @property
    def exit_code(self) -> int:
        """0 the same or faster, 1 slower or a side failed, 3 not known."""
        gate = GateReport(baseline=self.report.a, candidate=self.report.b, verdicts=self.verdicts)
        return 1 if self.failed else gate.exit_code


def compare_sides(
    opened: Opened, *, metric: str, threshold: float, rounds: int, budget_s: float, seed: int, events: PairEvents
) -> AbResult:
    """Measure in turns and judge `metric` of each case; `threshold` is the share by which B may be slower.

    At most `rounds` rounds and about `budget_s` seconds; a case ends at the first look at which it is decided.
    """
    looks = schedule(min(FIRST_LOOK, rounds), rounds)

    def settled(case: str, done: int, series: Mapping[str, Series]) -> bool:
        del case  # one rule for all
        if metric not in series:
            return False
        change = change_of_series(series[metric], looks.at(done))
        return judge(change, threshold, better(metric)).outcome in ("pass", "regressed", "improved")

    paired = run_pairs(
        opened.a, opened.b, opened.cases, schedule=looks, budget_s=budget_s, settled=settled, events=events, seed=seed
    )
    changes = {(change.case, change.metric): change for change in changes_of(looks, paired)}
    report = AbReport(
        a=opened.a.name,
        b=opened.b.name,
        rounds=max(paired.rounds.values(), default=0),
        seconds=paired.seconds,
        stopped_by=paired.stopped_by,
        series=paired.series,
        changes=tuple(changes.values()),
        notes=(*opened.notes, *versions_of(opened)),
    )
    verdicts = tuple(_verdict(case, metric, threshold, changes.get((case, metric)), paired) for case in opened.cases)
    return AbResult(report=report, verdicts=verdicts, failed=bool(paired.failures))


def versions_of(opened: Opened) -> list[str]:
    """A sentence a side on what measured it."""
    return [
        f"{side.name} ran on {', '.join(side.versions)}"
        for side in (opened.a, opened.b)
        if isinstance(side, ModelSide) and side.versions
    ]


def changes_of(looks: Schedule, paired: Paired) -> list[Change]:
    """The change of every series, at the confidence of the look that settled its case, or at all that is left."""

    def confidence(case: str) -> float:
        rounds = paired.rounds[case]
        return looks.at(rounds) if case in paired.settled else looks.last(rounds)

    return [change_of_series(series, confidence(series.case)) for series in paired.series]


def _verdict(case: str, metric: str, threshold: float, change: Change | None, paired: Paired) -> Verdict:
    rule = f"{metric} {threshold:.3%}".replace(".000%", "%")
    broken = paired.failures.get(case)
    if broken is not None or change is None:
        reason = str(broken) if broken is not None else "no round gave it on both sides"
        return Verdict(case=case, metric=metric, rule=rule, outcome="missing", reason=reason, change=change)
    return verdict(case, metric, rule, change, judge(change, threshold, better(metric)))
