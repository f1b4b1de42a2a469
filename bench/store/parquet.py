"""Parquet files of a run, read by their very name: Polars takes `[`, `?` and `*` in a path for a pattern."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from bench.errors import UserError

DAMAGED = (PolarsError, PanicException, OSError)
"""What polars raises for a file that is damaged: it panics over some of what a flipped bit can say."""


def scan(path: Path) -> pl.LazyFrame:
    """The table of this one file, not read yet. Raises OSError for a path that Polars cannot take."""
    return pl.scan_parquet(_text(path), glob=False)


def _text(path: Path) -> str:
    """The path, which Polars takes as UTF-8 alone."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise OSError("its path has bytes that are not text (UTF-8); rename it") from None
    return str(path)


def typed(path: Path, schema: Mapping[str, Any], needed: Collection[str]) -> pl.LazyFrame:
    """The table of this one file, not read yet, whose columns are as `schema` has them; those `needed` are there.

    Raises:
        UserError: it cannot be read, a column is of another type, or one that is needed is missing.
    """
    with readable(path):
        table = scan(path)
        found = table.collect_schema()
    wrong = [
        *(f"it has no column {name!r}" for name in needed if name not in found),
        *(
            f"its column {name!r} holds {kind}, not {schema[name]}"
            for name, kind in found.items()
            if name in schema and not _fits(kind, schema[name])
        ),
    ]
    if wrong:
        raise damaged(path, wrong[0])
    return table


def _fits(kind: Any, wanted: Any) -> bool:
    """Whether it is that type; of a struct, whether the fields that both have are: an older version knew fewer."""
    if isinstance(kind, pl.Struct) and isinstance(wanted, pl.Struct):
        known = {field.name: field.dtype for field in wanted.fields}
        return all(_fits(field.dtype, known.get(field.name, field.dtype)) for field in kind.fields)
    return bool(kind == wanted)


def damaged(path: Path, what: str) -> UserError:
    """The clear message for a table whose content cannot be."""
    return UserError(
        f"the table is not one that this version can read: {what}", where=str(path), remedy="run again, or restore it"
    )


def read(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The table of this one file, all of its columns or these. Raises `UserError` where it cannot be read."""
    with readable(path):
        return pl.read_parquet(_text(path), columns=None if columns is None else list(columns), glob=False)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What Polars or the disk says of the table at `path` becomes a `UserError`."""
    try:
        yield
    except DAMAGED as error:
        raise UserError(
            f"cannot read the table: {first_line(error)}", where=str(path), remedy="run again, or restore the file"
        ) from error


def first_line(error: BaseException) -> str:
    """What an error says, without the plan of the query that follows it; its kind where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
