"""Parquet tables of a run: with flipped bytes, lost and retyped columns, and nothing in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.runner.gather import gather
from bench.serve.shelf import Shelf
from bench.store.query import ask
from tests.conftest import bench
from tests.hostile.spoiled import damaged, few, value_or_refusal
from tests.hostile.test_hostile_records import KEPT, RUN, read_whole_run

pytestmark = pytest.mark.timeout(120)

TABLES = ["cases.parquet", "latencies.parquet", "telemetry.parquet"]
KINDS = [pl.String, pl.Int64, pl.Float64, pl.Boolean, pl.List(pl.String), pl.Struct({"value": pl.String})]


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Callable[[], None]]:
    """A table of a run, and what reads that run as the commands do."""
    name = request.param
    folder = tmp_path / "results" / RUN
    shutil.copytree(KEPT / RUN, folder)
    shelf = Shelf(folder.parent)

    def read() -> None:
        word = name.partition(".")[0]
        value_or_refusal(lambda: read_whole_run(folder), RUN)
        value_or_refusal(lambda: gather([folder]), RUN)
        value_or_refusal(lambda: ask(folder.parent, f"SELECT * FROM {word}").collect())
        assert len(shelf.runs()) == 1

    read()
    return folder / name, read


@few(25)
@given(data=st.data())
def test_a_table_with_wrong_bytes_is_read_or_refused(
    table: tuple[Path, Callable[[], None]], data: st.DataObject
) -> None:
    path, read = table
    path.write_bytes(data.draw(damaged((KEPT / RUN / path.name).read_bytes())))
    read()


@few(40)
@given(data=st.data())
def test_a_table_with_a_lost_or_retyped_column_is_read_or_refused(
    table: tuple[Path, Callable[[], None]], data: st.DataObject
) -> None:
    path, read = table
    whole = pl.read_parquet(KEPT / RUN / path.name)
    name = data.draw(st.sampled_from(whole.columns))
    change = data.draw(st.sampled_from(["drop", "null", "type", "extra", "rename", "repeat", "empty"]))
    match change:
        case "drop":
            whole = whole.drop(name)
        case "null":
            whole = whole.with_columns(pl.lit(None, dtype=whole.schema[name]).alias(name))
        case "type":
            kind = data.draw(st.sampled_from(KINDS))
            value = {pl.String: "x", pl.Int64: 7, pl.Float64: float("nan"), pl.Boolean: True}.get(kind)  # type: ignore[call-overload]
            whole = whole.with_columns(pl.Series(name, [value] * whole.height, dtype=kind))
        case "extra":
            whole = whole.with_columns(pl.lit(1).alias("extra"))
        case "rename":
            whole = whole.rename({name: f"{name}s"})
        case "repeat":
            whole = pl.concat([whole, whole])
        case _:
            whole = whole.clear()
    whole.write_parquet(path)
    read()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1", b"{}"])
def test_a_file_that_is_no_table_is_refused(table: tuple[Path, Callable[[], None]], content: bytes) -> None:
    path, read = table
    path.write_bytes(content)
    read()
    if path.name == "cases.parquet":
        done = bench("show", RUN, cwd=path.parents[2])
        assert done.returncode == 2
        assert path.name in done.stderr


@pytest.mark.parametrize("column", ["facts", "failure", "artifact", "options", "placement", "validity"])
@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"x"', "[" * 50_000, '{"reason": 1}', "NaN"])
def test_text_in_a_table_that_is_not_the_json_it_should_be(column: str, text: str, tmp_path: Path) -> None:
    folder = tmp_path / "results" / RUN
    shutil.copytree(KEPT / RUN, folder)
    path = folder / "cases.parquet"
    pl.read_parquet(path).with_columns(pl.lit(text).alias(column)).write_parquet(path)
    value_or_refusal(lambda: read_whole_run(folder), path.name)
    value_or_refusal(lambda: ask(folder.parent, "SELECT reason, scope, artifact_sha256 FROM cases").collect())
