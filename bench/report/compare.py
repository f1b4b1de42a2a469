"""Changes between two runs on a terminal, what matters first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from bench.analyse.compare import Comparison
from bench.record.comparison import Change
from bench.report import changes as texts
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import Fitted, fit

STYLES: dict[texts.Standing, str] = {"worse": "red", "better": "green", "unclear": "", "absent": "magenta", "same": ""}
MOST = 200
"""Rows that are listed: drawing tens of thousands takes minutes, and nobody reads them."""
REFUSED = "Not compared, since the machines differ in what matters:"
REMEDY = "to do: --allow-mismatch KEY, --normalise-by CASE, or measure both here with `bench ab`"
NOTHING = "nothing to compare: no figure is in both"
_COUNTED: dict[texts.Standing, str] = {"absent": "without a ratio", "same": "unchanged"}


def show(console: Console, found: Comparison) -> None:
    """Print a comparison: the table, in what the two differ, and what has to be known."""
    draw(console, known(found), heading(found), MOST)
    if found.refusing:
        console.print(Text(REFUSED, style="bold"))
        for difference in found.refusing:
            console.print(Text(f"• {texts.plain(str(difference))}"), soft_wrap=True)
        console.print(Text(REMEDY), soft_wrap=True)
    for note in remarks(found):
        console.print(Text(f"• {note}", style="dim"), soft_wrap=True)


def heading(found: Comparison) -> str:
    """Which run is held against which."""
    return f"{found.after} against {found.before}"


def known(found: Comparison) -> list[Change]:
    """The changes of which at least one side has a figure: those that are listed."""
    return [change for change in found.changes if change.before is not None or change.after is not None]


def remarks(found: Comparison) -> list[str]:
    """What has to be known of the whole comparison, a line each."""
    return [texts.plain(note) for note in (*found.notes, *_without_figures(found))]


def qualifications(changes: Sequence[Change]) -> list[str]:
    """Why figures are absent and what qualifies them, each said once with the cases it holds for."""
    noted = [(told, texts.where(change)) for change in changes if (told := texts.note(change))]
    return [f"{told} ({cases})" for told, cases in texts.said_once(noted)]


def left_out(changes: Sequence[Change]) -> str:
    """How many changes a list leaves out, by where they stand; empty where there are none."""
    rest = [texts.standing(change) for change in changes]
    counts = [f"{rest.count(s):,} {_COUNTED.get(s, s)}" for s in texts.STANDINGS if s in rest]
    return f"not listed: {', '.join(counts)}" if counts else ""


def _without_figures(found: Comparison) -> list[str]:
    """Which figures neither side has, each with how many cases and why."""
    reasons: dict[tuple[str, str], int] = {}
    for change in found.changes:
        if change.before is None and change.after is None:
            key = texts.title(change.metric), change.absent or ""
            reasons[key] = reasons.get(key, 0) + 1
    return [f"{metric} of {count} cases: {reason}" for (metric, reason), count in reasons.items()]


def draw(console: Console, changes: Sequence[Change], title: str = "", most: int | None = None) -> None:
    """Print the changes as a table, `most` of them at most, and count the rest by where they stand.

    Why a figure is absent and what qualifies one stands below, each said once with the cases it holds for.
    """
    ordered = texts.ranked_changes(changes)
    if not ordered:
        console.print(NOTHING)
        return
    shown = ordered[:most]
    console.print(coloured(table(shown, title), [STYLES[texts.standing(change)] for change in shown], console))
    rest = left_out(ordered[len(shown) :])
    if rest:
        console.print(Text(rest, style="dim"))
    for told in qualifications(ordered):
        console.print(Text(f"• {told}", style="yellow"), soft_wrap=not console.is_terminal)


def table(changes: Sequence[Change], title: str = "") -> Table:
    """A row a change, in the order given."""
    before, after = zip(*(texts.sides(change) for change in changes), strict=True)
    common, names = texts.shortened([change.case for change in changes])
    columns = [
        Column("case", tuple(names)),
        Column("metric", tuple(texts.title(change.metric) for change in changes)),
        Column("before", before, 2, numeric=True),
        Column("after", after, 1, numeric=True),
        Column("change", tuple(texts.shift(change) for change in changes), numeric=True),
        Column("rests on", tuple(texts.evidence(change) for change in changes), 4),
    ]
    return Table(
        " · ".join(filter(None, (texts.plain(title), common))), tuple(c for c in columns if set(c.cells) != {ABSENT})
    )


def coloured(table: Table, styles: Sequence[str], console: Console) -> Fitted:
    """The table with a style a row; where even its main columns are too wide, names of cases are wrapped."""
    drawn = fit(table, console, folded={"case"})
    drawn.colour(styles)
    return drawn
