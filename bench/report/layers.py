"""The layers of a variant beside those of fp32, and the one where the error enters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.export.layers import EQUAL_DB, Layer, LayerTable
from bench.record.codec import plain
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit


def draw(console: Console, tables: Sequence[LayerTable]) -> None:
    """Print a table for each variant in execution order, and the sentence that names the layer."""
    for table in tables:
        if table.layers:
            console.print(fit(_table(table), console))
        for line in lines(table):
            console.print(Text(f"• {line}"), soft_wrap=not console.is_terminal)


def lines(table: LayerTable) -> list[str]:
    """What a reader of the table has to know."""
    name = f"{table.format} {table.variant}"
    if table.reason is not None:
        return [f"{name}: no layers, {table.reason}"]
    entry = table.entry
    if entry is None:
        told = [f"{name}: every layer equals that of fp32"]
    else:
        told = [
            f"{name}: most error enters at {entry.operator} {entry.tensor!r} (step {entry.place}): SQNR "
            f"{entry.sqnr_db:.1f} dB, {entry.drop_db:.1f} dB below its inputs{_usual(entry, table)}"
        ]
    if table.unmatched:
        told.append(f"{name}: tensors of fp32 without a counterpart, as where operators are fused: {table.unmatched}")
    return told


def document(tables: Sequence[LayerTable]) -> list[dict[str, Any]]:
    """The tables for a JSON document, each with the layer where most error enters under `entry`."""
    return [{**plain(table), "entry": plain(table.entry)} for table in tables]


def _table(table: LayerTable) -> Table:
    layers, entry = table.layers, table.entry
    marked = frozenset(at for at, layer in enumerate(layers) if layer is entry)
    title = f"{table.format} {table.variant} against fp32, {table.examples} examples"

    def column(title: str, cells: list[str], priority: int = 0) -> Column:
        return Column(title, tuple(cells), priority=priority, numeric=True)

    return Table(
        title,
        (
            column("step", [str(layer.place) for layer in layers], 2),
            Column("operator", tuple(layer.operator for layer in layers)),
            column("SQNR dB", [_decibels(layer.sqnr_db) for layer in layers]),
            column("drop dB", [f"{layer.drop_db:.1f}" for layer in layers]),
            column("max |Δ|", [f"{layer.max_abs:.3g}" for layer in layers], 1),
            column("cosine", [_cosine(layer) for layer in layers], 1),
            Column("tensor", tuple(layer.tensor for layer in layers), best=marked),
        ),
    )


def _usual(entry: Layer, table: LayerTable) -> str:
    """A remark where even the largest drop is no more than every rounding to this precision costs."""
    usual = table.expected_db is not None and entry.sqnr_db >= table.expected_db
    return f"; that is usual, one product alone leaves {table.expected_db:.1f} dB" if usual else ""


def _decibels(value: float) -> str:
    return "equal" if value >= EQUAL_DB else f"{value:.1f}"


def _cosine(layer: Layer) -> str:
    return ABSENT if layer.cosine is None else f"{layer.cosine:.4f}"
