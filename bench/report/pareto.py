"""The Pareto front on a terminal and as JSON: who is surely on it, who surely off, who undecided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.record.codec import plain as as_plain
from bench.record.front import Front, Placed, Standing
from bench.report.changes import plain
from bench.report.choices import Names, draw, figure, legend, needed, title
from bench.report.table import Column, Table

WORDS: dict[Standing, str] = {"on": "surely on", "undecided": "undecided", "off": "surely off", "not placed": "–"}
"""In the order in which they are listed."""
_STYLES: dict[Standing, str] = {"on": "green", "undecided": "yellow", "off": "", "not placed": "dim"}


def show(console: Console, found: Sequence[Front], notes: Sequence[str] = ()) -> None:
    """Print each front: a table in the order of the standings, and why below it; then the notes."""
    for front in found:
        placed = ranked(front)
        names = Names(each.choice for each in placed)
        console.print()
        styles = [_STYLES[each.standing] for each in placed]
        drawn = table(front, placed)
        draw(console, drawn, styles, [names(each.choice) for each in placed])
        counts = [f"{len(front.of(standing))} {word}" for standing, word in WORDS.items() if front.of(standing)]
        told = ", ".join(counts).replace("–", "not placed")
        for line in (told, *legend(cell for column in drawn.columns for cell in column.cells)):
            console.print(Text(f"• {line}"), soft_wrap=True)
    for note in notes:
        console.print(Text(f"• {plain(note)}"), soft_wrap=True)


def ranked(front: Front) -> list[Placed]:
    """By standing; in each, as the run has them."""
    return [each for standing in WORDS for each in front.of(standing)]


def table(front: Front, placed: Sequence[Placed]) -> Table:
    """A row a choice."""
    names = Names(each.choice for each in placed)
    about = " · ".join(title(metric, front.judged_by) for metric in front.better)
    columns = [
        Column("choice", tuple(names(each.choice) for each in placed)),
        *(
            Column(
                title(metric, front.judged_by),
                tuple(figure(metric, each.figures.get(metric)) for each in placed),
                1,
                numeric=True,
            )
            for metric in front.better
        ),
        Column("front", tuple(WORDS[each.standing] for each in placed)),
        Column("why", tuple(why(each, names) for each in placed), 9),
    ]
    return Table(names.about(front.model, about), tuple(columns))


def why(placed: Placed, names: Names) -> str:
    """Who keeps it off, or might, and what would decide."""
    if placed.why is not None:
        return plain(placed.why)
    by = _few([names(each.choice) for each in placed.by])
    if placed.standing == "off":
        return f"dominated by {by}"
    if placed.standing == "undecided":
        return f"perhaps dominated by {by}; {needed(placed.more)}"
    return ""


def document(found: Sequence[Front], notes: Sequence[str] = ()) -> dict[str, Any]:
    """What `--json` prints."""
    return {"fronts": as_plain(tuple(found)), "notes": list(notes)}


def _few(names: Sequence[str], most: int = 2) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
