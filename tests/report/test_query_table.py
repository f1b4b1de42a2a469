"""The answer of a query for people: figures in their unit, what is absent as a dash, and an empty answer in words."""

from __future__ import annotations

import io
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from bench.report.query import cell, draw


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "–"),
        (0.123456789, "0.123457"),
        ({"value": 81.2e-6, "unit": "s"}, "81.2 µs"),
        ({"value": None, "unit": "s"}, "–"),
        ({"value": 3.0, "unit": None}, '{"value":3.0,"unit":null}'),
        ({"unit": "s"}, '{"unit":"s"}'),
        ([1.5, None], "1.5; –"),
        ("a\nb", "a b"),
    ],
)
def test_a_value_is_shown_as_what_it_is(value: Any, told: str) -> None:
    assert cell(value) == told


def test_an_answer_without_rows_names_its_columns() -> None:
    out = io.StringIO()
    draw(Console(file=out, width=80), pl.DataFrame(schema={"name": pl.String, "p[50]": pl.Float64}))
    assert out.getvalue() == "no row (name, p[50])\n"
