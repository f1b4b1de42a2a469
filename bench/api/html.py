"""The tables of a run for a notebook: static HTML whose colours are those of the page around it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.record.row import Row
from bench.report.table import Column, Table, run_notes, tables
from bench.store.manifest import Manifest

_SCROLL = "overflow-x:auto;max-width:100%"
_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums;white-space:nowrap"
_CELL = "padding:.2em .7em;border-bottom:1px solid rgba(128,128,128,.35)"
# Seen on a light and on a dark page; the mark and the weight say it without the colour.
_BEST = "background:rgba(39,174,96,.22);font-weight:bold"
_MARK = " ★"
_NOTES = "margin:.3em 0 1em;font-size:90%"


def page(manifest: Manifest, rows: Sequence[Row]) -> str:
    """Every table of the run with its notes, and what holds for the whole run."""
    parts = [_table(table) for table in tables(manifest, rows)]
    return f"<div><p><b>{escape(manifest.run_id)}</b></p>{''.join(parts)}{_listed(run_notes(manifest, rows))}</div>"


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col" style="{_style(column)}">{escape(column.title)}{_room(column)}</th>'
        for column in table.columns
    )
    body = "".join(
        f"<tr>{''.join(_cell(column, at) for column in table.columns)}</tr>"
        for at in range(len(table.columns[0].cells))
    )
    caption = f'<caption style="text-align:left;font-weight:bold;caption-side:top">{escape(table.title)}</caption>'
    drawn = f'<table style="{_TABLE}">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div style="{_SCROLL}">{drawn}</div>{_listed(table.notes)}'


def _cell(column: Column, at: int) -> str:
    text = escape(column.cells[at])
    if at not in column.best:
        return f'<td style="{_style(column)}">{text}{_room(column)}</td>'
    return f'<td style="{_style(column)};{_BEST}" title="best of those that may be compared">{text}{_MARK}</td>'


def _room(column: Column) -> str:
    """As much as a mark takes, so that figures stay below each other."""
    return f'<span aria-hidden="true" style="visibility:hidden">{_MARK}</span>' if column.best else ""


def _style(column: Column) -> str:
    return f"{_CELL};text-align:{'right' if column.numeric else 'left'}"


def _listed(notes: Sequence[str]) -> str:
    """Open until its reader folds it, as warnings are among them."""
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<details open style="{_NOTES}"><summary>{len(notes)} notes</summary><ul>{items}</ul></details>'
