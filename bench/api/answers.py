"""What a comparison, a gate or a recommendation says, as it is seen from Python."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import polars as pl

from bench.analyse.compare import Comparison
from bench.record.comparison import Change, GateReport, Verdict
from bench.record.recommendation import Candidate, Recommendation
from bench.report import compare as compare_report
from bench.report import gate as gate_report
from bench.report import recommend as recommend_report
from bench.report.document import comparison_document, gate_document

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
_WIDTH = 160
"""Of the table in a notebook, which scrolls (characters)."""


@dataclass(frozen=True)
class Kind(Generic[T]):
    """How one kind of answer is drawn, told to machines, put in a frame, and summed up in a line."""

    draw: Callable[[Console, T], None]
    document: Callable[[T], dict[str, Any]]
    schema: dict[str, Any]
    rows: Callable[[T], Sequence[Sequence[Any]]]
    line: Callable[[T], str]


class Answer(Generic[T]):
    """An answer with its evidence. `record` holds all of it, typed; in a notebook it shows its table."""

    def __init__(self, record: T, kind: Kind[T]) -> None:
        self.record = record
        self._kind = kind

    def show(self, console: Console | None = None) -> None:
        """Print it as the command line does. `console` is one of rich; standard output unless given."""
        from rich.console import Console

        self._kind.draw(console or Console(highlight=False), self.record)

    def to_dict(self) -> dict[str, Any]:
        """What the command prints with `--json`."""
        return self._kind.document(self.record)

    def to_polars(self) -> pl.DataFrame:
        """A row for each change (`compare`), verdict (`gate`) or choice (`recommend`), in SI units; ratios are
        after / before, or over the one chosen. What is not known is null, and a text column says why.
        """
        return pl.DataFrame(self._kind.rows(self.record), schema=self._kind.schema, orient="row")

    def __repr__(self) -> str:
        return f"<bench.Answer {self._kind.line(self.record)}>"

    def _repr_html_(self) -> str:
        """The table of the terminal for a notebook, without scripts."""
        from rich.console import Console

        console = Console(
            file=io.StringIO(), record=True, width=_WIDTH, highlight=False, force_jupyter=False, force_terminal=False
        )
        self._kind.draw(console, self.record)
        style = "overflow-x:auto;line-height:normal;white-space:pre"
        return console.export_html(inline_styles=True, code_format=f'<pre style="{style}">{{code}}</pre>')


_TEXT, _NUMBER = pl.String, pl.Float64

COMPARISON = Kind[Comparison](
    draw=compare_report.show,
    document=comparison_document,
    schema={
        "case": _TEXT,
        "metric": _TEXT,
        "unit": _TEXT,
        "before": _NUMBER,
        "after": _NUMBER,
        "ratio": _NUMBER,
        "low": _NUMBER,
        "high": _NUMBER,
        "confidence": _NUMBER,
        "basis": _TEXT,
        "n": pl.Int64,
        "absent": _TEXT,
        "refused": pl.Boolean,
        "labels": pl.List(pl.String),
    },
    rows=lambda found: [_change(change) for change in found.changes],
    line=lambda found: f"{found.after} against {found.before}: {len(found.changes)} changes",
)

GATE = Kind[GateReport](
    draw=gate_report.draw,
    document=gate_document,
    schema={
        "case": _TEXT,
        "metric": _TEXT,
        "rule": _TEXT,
        "outcome": _TEXT,
        "reason": _TEXT,
        "before": _NUMBER,
        "after": _NUMBER,
        "ratio": _NUMBER,
        "low": _NUMBER,
        "high": _NUMBER,
        "detectable": _NUMBER,
        "p_value": _NUMBER,
        "remedy": _TEXT,
    },
    rows=lambda report: [_verdict(verdict) for verdict in report.verdicts],
    line=lambda report: f"{report.candidate} against {report.baseline}: {report.outcome}",
)

RECOMMENDATION = Kind[Recommendation](
    draw=recommend_report.show,
    document=recommend_report.document,
    schema={
        "choice": _TEXT,
        "standing": _TEXT,
        "objective": _NUMBER,
        "objective_low": _NUMBER,
        "objective_high": _NUMBER,
        "objective_how": _TEXT,
        "behind": _NUMBER,
        "behind_low": _NUMBER,
        "behind_high": _NUMBER,
        "dominated_by": _TEXT,
        "faults": pl.List(pl.String),
    },
    rows=lambda found: [_candidate(each) for each in found.candidates],
    line=lambda found: f"{found.model} by {found.objective}: {found.chosen or 'no choice is feasible'}",
)


def _change(change: Change) -> tuple[Any, ...]:
    ratio = (change.ratio, change.low, change.high, change.confidence, change.basis, change.n)
    named = (change.case, change.metric, change.unit, change.before, change.after)
    return (*named, *ratio, change.absent, change.refused, list(change.labels))


def _verdict(verdict: Verdict) -> tuple[Any, ...]:
    told = (verdict.case, verdict.metric, verdict.rule, verdict.outcome, verdict.reason)
    change = verdict.change
    seen = (None,) * 5 if change is None else (change.before, change.after, change.ratio, change.low, change.high)
    return (*told, *seen, verdict.detectable, verdict.p_value, verdict.remedy)


def _candidate(candidate: Candidate) -> tuple[Any, ...]:
    objective, behind = candidate.objective, candidate.behind
    against = (None,) * 3 if behind is None else (behind.value, behind.low, behind.high)
    faults = [f"{judged.on}: {judged.outcome}" for judged in candidate.judged if judged.outcome != "met"]
    figure = (objective.value, objective.low, objective.high, objective.how)
    return (candidate.name, candidate.standing, *figure, *against, candidate.dominated_by, faults)
