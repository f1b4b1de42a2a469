"""How an install without Polars keeps a run: raw observations and rows, sealed; and how any install reads it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.errors import UserError
from bench.optional import installed
from bench.record.observation import Failure, Observation
from bench.store import journal, kept, transit
from bench.store.manifest import Manifest, read_manifest
from tests import kept_runs
from tests.kept_runs import observed, row_of

RUN = "20260101-000000-s-aa"


@pytest.fixture
def slim(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # What is None there is neither found nor imported.
    monkeypatch.setitem(sys.modules, "polars", None)
    installed.cache_clear()
    yield
    monkeypatch.undo()
    installed.cache_clear()


@pytest.fixture
def seen() -> list[Observation]:
    """Two invocations of a case, and one of another that failed."""
    first, other = observed("fp32", 80.0), observed("int8", 40.0)
    broken = msgspec.structs.replace(
        other, status="failed", samples=None, failure=Failure(reason="it crashed", phase="load")
    )
    return [first, msgspec.structs.replace(observed("fp32", 90.0, seed=1), invocation=1), broken]


@pytest.fixture
def folder(tmp_path: Path, seen: list[Observation]) -> Path:
    """A run that a full install has begun to keep, with its journal."""
    made = kept_runs.keep(tmp_path, RUN, [row_of(seen[0])], seen[:1], status="interrupted")
    for each in seen:
        journal.append(made, each)
    return made


def complete(folder: Path) -> Manifest:
    return msgspec.structs.replace(read_manifest(folder), status="complete")


def test_a_complete_run_keeps_its_journal_and_nothing_of_the_tables(
    slim: None, folder: Path, seen: list[Observation]
) -> None:
    rows = [row_of(seen[0])]
    kept.keep(folder, complete(folder), rows, seen)
    assert {path.name for path in folder.iterdir()} == {"manifest.json", journal.FOLDER, transit.NAME, transit.ROWS}
    assert len(journal.files(folder)) == 3
    assert kept.has_rows(folder)
    assert kept.read_rows(folder) == rows
    assert transit.check(folder, folder).run_id == RUN


def test_latencies_of_all_invocations_come_from_the_journal(slim: None, folder: Path, seen: list[Observation]) -> None:
    kept.keep(folder, complete(folder), [row_of(seen[0])], seen)
    ((case, latencies),) = kept.latencies(folder)
    assert case == seen[0].case.id
    wanted = [each.samples.latency_ns for each in seen if each.samples is not None]
    np.testing.assert_array_equal(latencies, np.concatenate(wanted))


def test_a_run_that_was_killed_before_it_was_sealed_is_sealed_later(
    slim: None, folder: Path, seen: list[Observation]
) -> None:
    kept.keep(folder, complete(folder), [row_of(seen[0])], seen)
    transit.unseal(folder)
    assert not transit.is_sealed(folder)
    kept.finish(folder, complete(folder))
    assert transit.is_sealed(folder)
    assert transit.check(folder, folder).run_id == RUN
    before = (folder / transit.NAME).stat().st_mtime_ns
    kept.finish(folder, complete(folder))
    assert (folder / transit.NAME).stat().st_mtime_ns == before


def test_a_full_install_makes_tables_of_it_and_takes_the_rows_away(folder: Path, seen: list[Observation]) -> None:
    transit.keep_rows(folder, [row_of(seen[0])])
    kept.keep(folder, complete(folder), [row_of(seen[0])], seen)
    assert kept.read_rows(folder)[0].case == seen[0].case
    assert not (folder / transit.ROWS).exists()
    assert not (folder / journal.FOLDER).exists()
    assert {case: len(values) for case, values in kept.latencies(folder)} == {seen[0].case.id: 400}


def test_rows_that_are_not_there_or_are_none_are_a_clear_message(slim: None, folder: Path) -> None:
    with pytest.raises(UserError, match=r"the rows cannot be read: .*No such file"):
        transit.read_rows(folder)
    (folder / transit.ROWS).write_bytes(b"\xc1")
    with pytest.raises(UserError, match="the rows cannot be read"):
        transit.read_rows(folder)
