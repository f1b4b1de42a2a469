"""The tables of a run as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabulate import tabulate

from bench.record.row import Row
from bench.report.table import run_notes, tables
from bench.store.manifest import Manifest


def markdown(manifest: Manifest, rows: Sequence[Row]) -> str:
    """The run as one Markdown document; text from models and suites cannot break out of its cell."""
    parts = [f"# {_escape(manifest.run_id)}", ""]
    for table in tables(manifest, rows):
        lines = zip(*(_bold(c.cells, c.best) for c in table.columns), strict=True)
        parts += [f"## {_escape(table.title)}", ""]
        parts.append(
            tabulate(
                list(lines),
                headers=[_escape(column.title) for column in table.columns],
                tablefmt="pipe",
                colalign=["right" if column.numeric else "left" for column in table.columns],
                disable_numparse=True,
            )
        )
        parts += ["", *(f"- {_escape(note)}" for note in table.notes), ""]
    parts += [f"- {_escape(note)}" for note in run_notes(manifest, rows)]
    return "\n".join(parts) + "\n"


def _bold(cells: Sequence[str], best: frozenset[int]) -> list[str]:
    return [f"**{_escape(cell)}**" if at in best else _escape(cell) for at, cell in enumerate(cells)]


def _escape(value: str) -> str:
    return re.sub(r"([\\`*_<>|\[\]#])", r"\\\1", " ".join(value.split()))
