"""Folders whose names other tools take for patterns: each is read, and holds its own rows alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.api.kept import load
from bench.report.exchange import pytest_benchmark
from bench.serve.shelf import Shelf
from bench.store import samples, tables
from bench.store.query import ask
from bench.store.snapshot import read_run
from tests.kept_runs import SAMPLES, keep, keep_small, observed, row_of

NAMES = ("[ab]", "?a", "*", "{a,b}", "a%20b", "~")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two measured cases under each of the names, and beside them one of a case that the names would fit."""
    results = tmp_path_factory.mktemp("work") / "results [old] *?"
    for name in NAMES:
        keep_small(results, f"20260101-{len(name)}").rename(results / name)
    seen = observed("other", 7.0)
    for name in ("aa", "a"):
        keep(results, f"20260102-{name}", [row_of(seen)], [seen]).rename(results / name)
    return results


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_read_whatever_its_folder_is_called_and_no_other_with_it(results: Path, name: str) -> None:
    folder = results / name
    rows = tables.read_cases(folder)
    assert len(rows) == 3
    assert read_run(folder).cases.height == 3
    assert {case: len(each) for case, each in samples.latencies(folder)} == {row.case.id: SAMPLES for row in rows[:2]}
    assert samples.telemetry(folder) == {}
    run = load(str(folder))
    assert run.latencies().height == 2 * SAMPLES
    assert len(pytest_benchmark.document(folder, run.manifest, rows)["benchmarks"]) == 2


def test_a_query_counts_the_rows_of_each_run_under_its_own_name(results: Path) -> None:
    for table, each in (("cases", 3), ("latencies", 2 * SAMPLES)):
        asked = ask(results, f"SELECT run_id, COUNT(*) AS n FROM {table} GROUP BY run_id")
        one = 1 if table == "cases" else SAMPLES
        assert dict(asked.collect().iter_rows()) == dict.fromkeys(NAMES, each) | {"aa": one, "a": one}
        assert asked.left_out == ()


def test_the_list_of_runs_counts_the_failures_of_each(results: Path) -> None:
    listed = {run.name: (run.failed, run.problem) for run in Shelf(results).runs()}
    assert listed == dict.fromkeys(NAMES, (1, None)) | dict.fromkeys(("aa", "a"), (0, None))
