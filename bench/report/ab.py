"""Two sides measured in turns: what is seen while it goes on, and the tables afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.record.codec import plain
from bench.record.comparison import AbReport, Change, Outcome, Verdict
from bench.record.metric import METRICS
from bench.report.live import Live
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit
from bench.report.units import text

WORDS: dict[Outcome, str] = {
    "pass": "same",
    "regressed": "SLOWER",
    "improved": "faster",
    "inconclusive": "inconclusive",
    "missing": "failed",
}
SHOWN = (
    "p50_latency", "wall_time", "p90_latency", "p99_latency", "throughput", "capacity", "cold_start", "load_time",
    "cpu_time", "peak_rss", "energy",
)  # fmt: skip
"""The figures of the tables, in order; the JSON document has all of them."""
_ENDS = {
    "decision": "every case was decided",
    "budget": "the time was over (--budget)",
    "rounds": "the rounds were over (--rounds)",
    "failures": "every case failed",
    "interrupted": "it was interrupted",
}


class LivePairs(Live):
    """Follows pairs (see `bench.runner.paired.PairEvents`) on standard error."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._rounds = 0

    def pairs(self, cases: int, rounds: int) -> None:
        """See `PairEvents.pairs`."""
        self.begin(cases * rounds, 0)
        self._rounds = rounds

    def pair(self, case: str, at: int) -> None:
        """See `PairEvents.pair`."""
        self._scene.turn(f"round {at + 1}, {case}", case=True)

    def paired(self, case: str, at: int, told: str) -> None:
        """See `PairEvents.paired`."""
        self._advance(case, told)
        if self._view is None:
            self._line(f"round {at + 1} of at most {self._rounds}, {case}: {told}")

    def settled(self, case: str, rounds: int) -> None:
        """See `PairEvents.settled`."""
        self._total -= self._rounds - rounds
        self._scene.count(self._done, self._total)
        self._line(f"{case}: decided after {rounds} rounds")


def show(console: Console, report: AbReport, verdicts: Sequence[Verdict]) -> None:
    """Print the verdicts, the other figures, and what has to be said of them."""
    console.print(fit(verdict_table(report, verdicts), console))
    judged = {(verdict.case, verdict.metric) for verdict in verdicts}
    others = [change for change in _shown(report) if (change.case, change.metric) not in judged]
    if others:
        console.print()
        console.print(fit(figure_table(others), console))
    for note in notes(report, verdicts):
        console.print(Text(f"• {note}", style="dim"), soft_wrap=not console.is_terminal)


def verdict_table(report: AbReport, verdicts: Sequence[Verdict]) -> Table:
    """A line a case: its judged figure on both sides, the ratio and the verdict."""
    changes = [v.change or Change(case=v.case, metric=v.metric, unit="s") for v in verdicts]
    columns = _columns(changes)
    columns.append(Column("verdict", tuple(_word(verdict) for verdict in verdicts)))
    return Table(f"A: {report.a}\nB: {report.b}", tuple(columns))


def figure_table(changes: Sequence[Change]) -> Table:
    """The other figures, which nothing was decided by."""
    return Table("other figures, not judged", tuple(_columns(changes)))


def notes(report: AbReport, verdicts: Sequence[Verdict]) -> list[str]:
    """Why each verdict is what it is where that is not plain, how it was measured, and what was left out."""
    told = []
    for verdict in verdicts:
        if verdict.outcome in ("inconclusive", "missing"):
            remedy = f"; {verdict.remedy}" if verdict.remedy else ""
            told.append(f"{verdict.case}: {WORDS[verdict.outcome]}: {verdict.reason}{remedy}")
    allowed = verdicts[0].rule if verdicts else ""
    told.append(f"judged: {allowed}; paired rounds, order alternating; the intervals of all looks hold together at 95%")
    told.append(f"{report.rounds} rounds in {report.seconds:.0f} s; {_ENDS.get(report.stopped_by, report.stopped_by)}")
    return told + list(report.notes)


def document(report: AbReport, verdicts: Sequence[Verdict], exit_code: int) -> dict[str, Any]:
    """The report with its verdicts, ready for JSON. Each verdict has the word of the table as `told`."""
    judged = [{**plain(verdict), "told": WORDS[verdict.outcome].lower()} for verdict in verdicts]
    return {**plain(report), "verdicts": judged, "exit_code": exit_code}


def _word(verdict: Verdict) -> str:
    return WORDS[verdict.outcome]


def _shown(report: AbReport) -> list[Change]:
    """The changes to show: by case, and within it in the order of `SHOWN`."""
    cases = list(dict.fromkeys(change.case for change in report.changes))
    kept = [change for change in report.changes if change.metric in SHOWN]
    return sorted(kept, key=lambda change: (cases.index(change.case), SHOWN.index(change.metric)))


def _columns(changes: Sequence[Change]) -> list[Column]:
    return [
        Column("case", tuple(change.case for change in changes)),
        Column("figure", tuple(_title(change.metric) for change in changes)),
        Column("A", tuple(_value(change.before, change.unit) for change in changes), 2, numeric=True),
        Column("B", tuple(_value(change.after, change.unit) for change in changes), 2, numeric=True),
        Column("B / A", tuple(_ratio(change) for change in changes), numeric=True),
        Column("95% interval", tuple(_interval(change) for change in changes), numeric=True),
        Column("rounds", tuple(str(change.n) for change in changes), 1, numeric=True),
    ]


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric.replace("_", " ")


def _value(value: float | None, unit: str) -> str:
    return ABSENT if value is None else text(value, unit)


def _ratio(change: Change) -> str:
    return ABSENT if change.ratio is None else f"{change.ratio:.4f}"


def _interval(change: Change) -> str:
    if change.low is None or change.high is None:
        return ABSENT
    return f"{change.low - 1:+.2%} … {change.high - 1:+.2%}"
