"""The tables of a run as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabulate import tabulate

from bench.record.row import Row
from bench.report.changes import plain
from bench.report.charts.draw import Picture
from bench.report.robustness import by_corruption, curves
from bench.report.table import Table, run_notes, tables
from bench.store.manifest import Manifest


def markdown(manifest: Manifest, rows: Sequence[Row], picture: Picture | None = None) -> str:
    """The run as one Markdown document; text from models and suites cannot break out of its cell."""
    parts = [f"# {_escape(manifest.run_id)}", ""]
    for table in tables(manifest, rows):
        parts += _section(table, table.title)
    for model in curves(manifest, rows):
        parts += _section(by_corruption(model), f"{model.title}: robustness")
    if picture is not None:
        parts += [_shown(picture), ""]
    parts += [f"- {_escape(note)}" for note in run_notes(manifest, rows)]
    return "\n".join(parts) + "\n"


def _section(table: Table, title: str) -> list[str]:
    lines = zip(*(_bold(c.cells, c.best) for c in table.columns), strict=True)
    drawn = tabulate(
        list(lines),
        headers=[_escape(column.title) for column in table.columns],
        tablefmt="pipe",
        colalign=["right" if column.numeric else "left" for column in table.columns],
        disable_numparse=True,
    )
    return [f"## {_escape(title)}", "", drawn, "", *(f"- {_escape(note)}" for note in table.notes), ""]


def _shown(picture: Picture) -> str:
    if picture.missing is not None:
        return f"- no chart of {_escape(picture.title)} was drawn: {_escape(picture.missing)}"
    return f"![{_escape(picture.title)}]({picture.name})"


def _bold(cells: Sequence[str], best: frozenset[int]) -> list[str]:
    return [f"**{_escape(cell)}**" if at in best else _escape(cell) for at, cell in enumerate(cells)]


def _escape(value: str) -> str:
    return re.sub(r"([\\`*_<>|\[\]#])", r"\\\1", plain(value))
