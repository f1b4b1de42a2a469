"""Cases and figures that were read from a file, as the columns of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from bench.record.measurement import Measurement
from bench.store.snapshot import CASE_SCHEMA, FIGURE_SCHEMA


def case_columns(cases: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A row a case, in the columns of `CASE_SCHEMA`; what a case does not name is null."""
    return pl.DataFrame([[case.get(name) for name in CASE_SCHEMA] for case in cases], schema=CASE_SCHEMA, orient="row")


def figure_columns(figures: Iterable[tuple[str, str, Measurement]]) -> pl.DataFrame:
    """A row a figure, given as (case, metric, measurement), in the columns of `FIGURE_SCHEMA`."""
    rows = [(case, metric, m.value, m.unit, m.n, m.low, m.high, m.confidence, m.how) for case, metric, m in figures]
    order = ("case", "metric", "value", "unit", "n", "low", "high", "confidence", "how")
    return pl.DataFrame(rows, schema={name: FIGURE_SCHEMA[name] for name in order}, orient="row").select(*FIGURE_SCHEMA)
