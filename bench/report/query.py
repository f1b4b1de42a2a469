"""The answer of a query on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl
from rich.console import Console
from rich.text import Text

from bench.report.changes import plain
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit
from bench.report.units import text

MOST = 200
"""Rows that are shown."""


def draw(console: Console, frame: pl.DataFrame) -> None:
    """Print the first `MOST` rows; text is folded where the width is too small, numbers are not."""
    if not frame.height:
        console.print(f"no row ({', '.join(frame.columns)})", markup=False, soft_wrap=True)
        return
    shown = frame.head(MOST)
    columns = tuple(
        Column(plain(name), tuple(map(cell, shown[name])), numeric=_is_figure(shown[name].dtype))
        for name in shown.columns
    )
    drawn = fit(Table("", columns), console, folded={column.title for column in columns})
    drawn.title = None
    console.print(drawn)
    if frame.height > MOST:
        console.print(
            Text(f"the first {MOST} rows: LIMIT takes fewer, --json, --csv and -o FILE give all", style="dim")
        )


def _is_figure(kind: pl.DataType) -> bool:
    return kind.is_numeric() or (
        isinstance(kind, pl.Struct) and {"value", "unit"} <= {field.name for field in kind.fields}
    )


def cell(value: Any) -> str:
    """A value as text: a figure in its unit, a number with six digits, what is absent as a dash."""
    if value is None:
        return ABSENT
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        if value.get("unit") is not None and "value" in value:
            return ABSENT if value["value"] is None else text(value["value"], value["unit"])
        return plain(msgspec.json.encode(value).decode())
    if isinstance(value, pl.Series | list):
        return "; ".join(map(cell, value))
    return plain(str(value))
