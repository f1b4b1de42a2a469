"""A gate's report on a terminal: the verdict, the rows that matter, and why."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from bench.record.comparison import GateReport, Outcome, Verdict
from bench.report import changes
from bench.report.compare import coloured
from bench.report.table import ABSENT, Column, Table

STYLES: dict[Outcome, str] = {
    "regressed": "red",
    "missing": "magenta",
    "inconclusive": "yellow",
    "improved": "green",
    "pass": "",
}

FEW_PASSES = 10
"""As many passes are still listed; more are only counted."""

MOST_ROWS = 60
"""More rows than this are counted: who needs them all asks for JSON, Markdown or JUnit."""


def draw(console: Console, report: GateReport) -> None:
    """Print the verdict line, the table, a line for each reason, and the notes."""
    shown, rest = rows_of(report)
    outcome = report.outcome
    console.print(Text(changes.verdict_line(report), style=f"bold {STYLES[outcome]}".strip()))
    held = f"{changes.plain(report.candidate)} against {changes.plain(report.baseline)}"
    console.print(Text(held, style="dim"), soft_wrap=True)
    if shown:
        console.print(coloured(table(shown), [STYLES[verdict.outcome] for verdict in shown], console))
    if rest:
        console.print(Text(f"not listed: {changes.counted(verdict.outcome for verdict in rest)}", style="dim"))
    for outcome, reason in reasons(shown):
        console.print(Text(f"• {reason}", style=STYLES[outcome]), soft_wrap=not console.is_terminal)
    for note in report.notes:
        console.print(Text(f"• {changes.plain(note)}", style="dim"), soft_wrap=not console.is_terminal)


def rows_of(report: GateReport) -> tuple[list[Verdict], list[Verdict]]:
    """Verdicts to list, what matters first, and those that are only counted."""
    ordered = changes.ranked(report.verdicts)
    passes = [verdict for verdict in ordered if verdict.outcome == "pass"]
    listed = ordered if len(passes) <= FEW_PASSES else ordered[: len(ordered) - len(passes)]
    shown = listed[:MOST_ROWS]
    return shown, ordered[len(shown) :]


def table(verdicts: Sequence[Verdict]) -> Table:
    """A row a verdict; a column that says nothing of any of them is left out."""
    before, after = zip(*(changes.sides(verdict.change) for verdict in verdicts), strict=True)
    common, names = changes.shortened([verdict.case for verdict in verdicts])
    columns = [
        Column("verdict", tuple(changes.WORDS[verdict.outcome] for verdict in verdicts)),
        Column("case", tuple(names)),
        Column("metric", tuple(changes.title(verdict.metric) for verdict in verdicts)),
        Column("rule", tuple(changes.plain(verdict.rule) for verdict in verdicts), 2),
        Column("baseline", before, 4, numeric=True),
        Column("candidate", after, 3, numeric=True),
        Column("change", tuple(changes.shift(verdict.change) for verdict in verdicts), numeric=True),
        Column("again", tuple(changes.shift(verdict.again) for verdict in verdicts), 1, numeric=True),
        Column("detectable", tuple(changes.detectable(verdict) for verdict in verdicts), 5, numeric=True),
        Column("rests on", tuple(changes.evidence(verdict.change) for verdict in verdicts), 6),
    ]
    return Table(common, tuple(column for column in columns if set(column.cells) != {ABSENT}))


def reasons(verdicts: Sequence[Verdict]) -> list[tuple[Outcome, str]]:
    """Why each verdict but a pass is what it is, and what qualifies the figures of a pass, with the cases."""
    told = [
        ((verdict.outcome, text), changes.where(verdict))
        for verdict in verdicts
        if (text := changes.note(verdict.change) if verdict.outcome == "pass" else changes.because(verdict))
    ]
    return [
        (outcome, f"{changes.WORDS[outcome]}: {text} ({cases})") for (outcome, text), cases in changes.said_once(told)
    ]
