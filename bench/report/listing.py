"""Lists of what there is, as a table on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.shown import shown


def draw(console: Console, lines: Sequence[dict[str, str]]) -> None:
    """Draw records of the same keys as a table."""
    if not lines:
        console.print("none")
        return
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    for key in lines[0]:
        table.add_column(key, overflow="fold")
    for line in lines:
        table.add_row(*(Text("\n".join(map(shown, value.split("\n")))) for value in line.values()))
    console.print(table)
