"""Parquet files of a run, read by their very name: Polars takes `[`, `?` and `*` in a path for a pattern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from bench.errors import UserError


def scan(path: Path) -> pl.LazyFrame:
    """The table of this one file, not read yet."""
    return pl.scan_parquet(path, glob=False)


def read(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The table of this one file, all of its columns or these. Raises `UserError` where it cannot be read."""
    with readable(path):
        return pl.read_parquet(path, columns=None if columns is None else list(columns), glob=False)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What Polars or the disk says of the table at `path` becomes a `UserError`."""
    try:
        yield
    except (PolarsError, OSError) as error:
        raise UserError(
            f"cannot read the table: {first_line(error)}", where=str(path), remedy="run again, or restore the file"
        ) from error


def first_line(error: BaseException) -> str:
    """What an error says, without the plan of the query that follows it; its kind where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
