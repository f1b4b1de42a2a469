"""The tables of a run on a terminal, as wide as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from bench.errors import UserError
from bench.record.row import Row
from bench.report.align import aligned, is_figures, shortened
from bench.report.safe import spelled
from bench.report.sparkline import Shapes, read_shapes
from bench.report.table import LAST, Column, Table, run_notes, tables
from bench.store.manifest import Manifest

BEST = "*"
_LEGEND = f"{BEST} best of its column, among rows alike in threads, batch, scenario and options"
_LEAST_TEXT = 5
"""Cells of a text column below which its rows could not be told apart: then a row takes several lines."""
_MATTERS = 2
"""Columns of this priority and those before it are shown where a row takes several lines."""


class Fitted(RichTable):
    """A table as wide as a console has room for, with what has to be known of it in dim lines below.

    `records` is the same, a block of lines for each row, where the console is too narrow for columns.
    """

    below: tuple[str, ...] = ()
    records: tuple[tuple[Text, ...], ...] = ()

    def colour(self, styles: Sequence[str]) -> None:
        """Give each row its style."""
        for row, style in zip(self.rows, styles, strict=True):
            row.style = style
        for lines, style in zip(self.records, styles, strict=False):
            for line in lines:
                line.stylize(style)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table or its records, then the lines."""
        if self.records:
            if self.title:
                yield Text.assemble((str(self.title), "bold"))
            yield from (line for lines in self.records for line in lines)
        else:
            yield from super().__rich_console__(console, options)
        for line in self.below:
            yield Text(line, style="dim")


def show(console: Console, folder: Path, manifest: Manifest, rows: Sequence[Row]) -> None:
    """Print every table of the run, its notes and where it is kept."""
    shapes, trouble = _shapes(folder)
    for table in tables(manifest, rows):
        console.print()
        console.print(fit(shapes.beside(table, rows, console), console))
        _say(console, table.notes, "yellow")
    _say(console, [*trouble, *run_notes(manifest, rows)], "dim")
    console.print(f"results in [bold]{escape(spelled(str(folder), console))}[/bold]", soft_wrap=True)


def fit(table: Table, console: Console, *, folded: Collection[str] | None = None) -> Fitted:
    """The table as the width has room for it, with one word on what it leaves out. Numbers are never cut or wrapped.

    First the lines between the columns go, then the columns that matter least, then the middle of long text; where
    that is not enough, a row takes several lines. With `folded`, the text of the columns with these titles goes on in
    the next line instead, and no other text is cut.
    """
    columns = [_printable(column, console) for column in table.columns]
    heading = "\n".join(spelled(line, console) for line in table.title.splitlines())
    if _width(columns, lines=True) <= console.width:
        return _draw(heading, columns, (), lines=True)
    kept = _chosen(columns, console.width)
    if _width(kept) <= console.width:
        return _draw(heading, kept, _gone(columns, kept))
    room = _narrowed(kept, console.width, folded)
    if room and folded is None:
        return _draw(heading, _cut(kept, room, spelled("…", console)), _gone(columns, kept))
    if room:
        drawn = _draw(heading, kept, _gone(columns, kept))
        for at, width in room.items():
            column = drawn.columns[at]
            column.width, column.no_wrap, column.overflow = width, False, "fold"
        return drawn
    kept = [column for column in columns if column.priority <= _MATTERS]
    drawn = _draw(heading, kept, _gone(columns, kept))
    drawn.records = tuple(_records(kept, console.width))
    return drawn


def _chosen(columns: Sequence[Column], width: int) -> list[Column]:
    """Those that may not be dropped, and of the others as many as have room, the most important first."""
    kept = {at for at, column in enumerate(columns) if column.priority == 0}
    told = [at for at, column in enumerate(columns) if column.priority < LAST]
    for at in sorted(told, key=lambda at: columns[at].priority):
        if _width([columns[i] for i in kept | {at}]) <= width:
            kept.add(at)
    return [columns[at] for at in sorted(kept)]


def _gone(columns: Sequence[Column], kept: Sequence[Column]) -> list[Column]:
    there = {id(column) for column in kept}
    return [column for column in columns if id(column) not in there and column.priority < LAST]


def _shapes(folder: Path) -> tuple[Shapes, list[str]]:
    """The shapes of the latencies of a kept run, and why there are none where they should be."""
    try:
        return read_shapes(folder), []
    except UserError as error:
        return Shapes({}), [f"no shapes of latencies: {error.what}"]


def _say(console: Console, notes: Iterable[str], style: str) -> None:
    for note in notes:
        console.print(Text(spelled(f"• {note}", console), style=style), soft_wrap=not console.is_terminal)


def _printable(column: Column, console: Console) -> Column:
    """What a terminal can show of it: figures aligned, the best of them marked."""
    cells = column.cells if column.legend else tuple(spelled(cell, console) for cell in column.cells)
    if column.numeric:
        cells = aligned(cells)
    if column.best:
        cells = tuple(cell + (BEST if at in column.best else " ") for at, cell in enumerate(cells))
    title = spelled(column.title, console)
    if column.numeric:
        # To let Rich move figures to the right would take the space behind those that are shorter after the point.
        width = max(cell_len(text) for text in (title, *cells))
        title, *rest = (text.rjust(width) for text in (title, *cells))
        cells = tuple(rest)
    return replace(column, title=title, cells=cells, legend=spelled(column.legend, console))


def _room(column: Column) -> int:
    return max(cell_len(text) for text in (column.title, *column.cells))


def _width(columns: Sequence[Column], *, lines: bool = False) -> int:
    """Cells that the columns take together with what stands between them."""
    texts = sum(_room(column) for column in columns)
    return texts + (3 * len(columns) + 1 if lines else 2 * (len(columns) - 1))


def _narrowed(columns: Sequence[Column], width: int, folded: Collection[str] | None) -> dict[int, int]:
    """Cells for each column of text (of the titles in `folded`), so that all fit; empty where too few would be left."""
    room = {
        at: _room(column)
        for at, column in enumerate(columns)
        if not column.numeric and not is_figures(column.cells) and (folded is None or column.title in folded)
    }
    least = {at: _LEAST_TEXT if folded is None else max(_LEAST_TEXT, _longest_figure(columns[at])) for at in room}
    for _ in range(_width(columns) - width):
        widest = max((at for at in room if room[at] > least[at]), key=lambda at: room[at], default=None)
        if widest is None:
            return {}
        room[widest] -= 1
    return room


def _longest_figure(column: Column) -> int:
    """Cells of the longest word that is a number: folded to less it would be parted."""
    words = (word.strip(";,()[]") for cell in column.cells for word in cell.split())
    return max((cell_len(word) + 2 for word in words if is_figures([word])), default=0)


def _cut(columns: Sequence[Column], room: Mapping[int, int], mark: str) -> list[Column]:
    """The columns with the middle of their text left out."""
    return [
        replace(
            column,
            title=shortened(column.title, room[at], mark),
            cells=tuple(shortened(cell, room[at], mark) for cell in column.cells),
        )
        if at in room
        else column
        for at, column in enumerate(columns)
    ]


def _below(kept: Sequence[Column], gone: Sequence[Column]) -> tuple[str, ...]:
    """What is left out, and what marks and pictures mean."""
    lines = []
    if gone:
        lines.append(
            f"left out: {', '.join(column.title.strip() for column in gone)}; all: --json, or a wider terminal"
        )
    if any(column.best for column in kept):
        lines.append(_LEGEND)
    return (*lines, *(column.legend for column in kept if column.legend))


def _draw(title: str, columns: Sequence[Column], gone: Sequence[Column], *, lines: bool = False) -> Fitted:
    drawn = Fitted(
        title=Text(title),
        title_justify="left",
        header_style="bold",
        box=box.HEAVY_HEAD if lines else box.SIMPLE_HEAD,
        show_edge=lines,
        padding=(0, 1) if lines else (0, 1, 0, 0),
        pad_edge=lines,
    )
    drawn.below = _below(columns, gone)
    for column in columns:
        drawn.add_column(Text(column.title), no_wrap=True)
    for at in range(len(columns[0].cells)):
        drawn.add_row(*(Text(c.cells[at], style="bold green" if at in c.best else "") for c in columns))
    return drawn


def _records(columns: Sequence[Column], width: int) -> Iterable[tuple[Text, ...]]:
    """Each row as a block: its names, then a line a figure, or two where it has no room beside its title."""
    names = [column for column in columns if not column.numeric and column.priority == 0]
    others = [column for column in columns if column not in names]
    margin = max((cell_len(column.title.strip()) for column in others), default=0)
    for at in range(len(columns[0].cells)):
        lines = [Text(" · ".join(name.cells[at] for name in names), style="bold")]
        for column in others:
            title = column.title.strip()
            cell = column.cells[at] if column.legend else " ".join(column.cells[at].split())
            if 2 + margin + 2 + cell_len(cell) <= width:
                lines.append(Text(f"  {title}{' ' * (margin - cell_len(title))}  {cell}"))
            else:
                # What has no room even alone is parted between words.
                lines += [Text(f"  {title}"), Text(f"  {cell}" if 2 + cell_len(cell) <= width else cell)]
        yield tuple(lines)
