"""The tables of a run on a terminal, as wide as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement as Width
from rich.table import Table as RichTable
from rich.text import Text

from bench.record.row import Row
from bench.report.table import Column, Table, run_notes, tables
from bench.store.manifest import Manifest


def show(console: Console, folder: Path, manifest: Manifest, rows: Sequence[Row]) -> None:
    """Print every table of the run, its notes and where it is kept."""
    for table in tables(manifest, rows):
        console.print()
        console.print(fit(table, console))
        for note in table.notes:
            console.print(Text(f"• {note}", style="yellow"), soft_wrap=not console.is_terminal)
    for note in run_notes(manifest, rows):
        console.print(Text(f"• {note}", style="dim"), soft_wrap=not console.is_terminal)
    console.print(f"results in [bold]{escape(str(folder))}[/bold]", soft_wrap=True)


def fit(table: Table, console: Console) -> RichTable:
    """The table without the columns, least important first, that the width has no room for."""
    columns = list(table.columns)
    while True:
        drawn = _draw(table.title, columns)
        optional = [column for column in columns if column.priority > 0]
        if not optional or Width.get(console, console.options.update(max_width=10_000), drawn).maximum <= console.width:
            return drawn
        columns.remove(max(optional, key=lambda column: column.priority))


def _draw(title: str, columns: Sequence[Column]) -> RichTable:
    drawn = RichTable(title=Text(title), title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(Text(column.title), justify="right" if column.numeric else "left", no_wrap=True)
    for at in range(len(columns[0].cells)):
        drawn.add_row(*(Text(c.cells[at], style="bold green" if at in c.best else "") for c in columns))
    return drawn
