"""The raw samples of a kept run, read once for all of its cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from bench.store import parquet
from bench.store.tables import LATENCIES, SCHEMAS, TELEMETRY

_LATENCY = ("case_id", "latency_ns")
_READING = ("case_id", "invocation", "edge", "t_ns", "sensor", "device", "quantity", "value", "unit")
_CASES_AT_ONCE = 64
"""How many cases are held in memory together; a run of hundreds may have tens of millions of samples."""


def latencies(folder: Path) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Every case that has samples, by id, with all its latencies (ns) in the order of the file.

    A run without the table (a copy that leaves it out) has none.

    Raises:
        UserError: the table cannot be read.
    """
    path = folder / LATENCIES
    if not path.exists():
        return
    with parquet.readable(path):
        table = parquet.typed(path, SCHEMAS[LATENCIES], _LATENCY).select(_LATENCY).drop_nulls()
        names = table.select(pl.col("case_id").unique(maintain_order=True)).collect()["case_id"].to_list()
    for first in range(0, len(names), _CASES_AT_ONCE):
        wanted = names[first : first + _CASES_AT_ONCE]
        with parquet.readable(path):
            part = table.filter(pl.col("case_id").is_in(wanted)).collect().partition_by("case_id", as_dict=True)
        for (name,), frame in part.items():
            yield str(name), frame["latency_ns"].to_numpy()


def telemetry(folder: Path) -> dict[str, pl.DataFrame]:
    """The sensor readings of each case's first invocation, by case id, with the columns of `telemetry.parquet`.

    Those in between the edges and those at an edge both; those of a machine at rest are left out. A case without
    readings, and a run without the table, has none.

    Raises:
        UserError: the table cannot be read.
    """
    path = folder / TELEMETRY
    if not path.exists():
        return {}
    with parquet.readable(path):
        table = (
            parquet.typed(path, SCHEMAS[TELEMETRY], _READING)
            .drop_nulls(["case_id", "t_ns", "sensor", "quantity", "value"])
            .filter(pl.col("invocation") == 0, ~pl.col("edge").fill_null("").str.starts_with("idle-"))
            .collect()
        )
    return {str(name): frame for (name,), frame in table.partition_by("case_id", as_dict=True).items()}
