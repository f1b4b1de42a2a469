"""What a result costs the parent of a fleet stays the same as the fleet grows. docs/scale.md has large ones."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.analyse.faster import pairs
from bench.fleet.parent import Terms, resume_fleet, start_fleet
from bench.fleet.planning import book_of
from bench.record.case import Case
from bench.record.row import Row
from bench.runner.conduct import RunResult
from bench.runner.plan import Request
from bench.store.fleets import list_fleets
from bench.store.manifest import read_manifest
from bench.store.tables import read_cases
from tests.fleet.fleets import Quiet
from tests.fleet.scale import Answers, Figures, carry_out, crowd, in_a_process, suite_of, told
from tests.kept_runs import observed, row_of

MOST = 2.0
"""How many times as much a result may take in a fleet of ten times the size. A step over all of it would take ten."""


@pytest.fixture(scope="module")
def cost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Figures]]:
    """A fleet of some targets and cases; `stored` targets go to the disk."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        answers = Answers(tmp_path_factory.mktemp("answers"))

        def carried_out(targets: int, cases: int, stored: int | None = None) -> Figures:
            return carry_out(targets, cases, tmp_path_factory.mktemp("fleet"), answers, stored)

        carried_out(1, 2)  # what is imported on the way is imported now
        yield carried_out


def test_a_result_takes_no_longer_with_ten_times_the_targets_or_cases(cost: Callable[..., Figures]) -> None:
    few = max(cost(targets, 10, 0).record_cpu_s for targets in (20, 40))
    assert cost(400, 10, 0).record_cpu_s < MOST * few
    few = max(cost(10, cases, 0).record_cpu_s for cases in (20, 40))
    assert cost(10, 400, 0).record_cpu_s < MOST * few


def test_a_stored_result_takes_no_more_time_or_room_with_ten_times_the_cases(
    cost: Callable[..., Figures],
) -> None:
    few, many = cost(2, 10), cost(2, 100)
    assert many.tables_cpu_s / many.stored < MOST * few.tables_cpu_s / few.stored
    assert many.journal / many.stored < MOST * few.journal / few.stored
    assert many.store / many.stored < MOST * few.store / few.stored
    # A file each until the tables are written, and after that no more with the cases.
    assert many.journal_files - few.journal_files == many.stored - few.stored
    assert many.store_files == few.store_files


def test_a_cell_costs_some_bytes_and_no_longer_with_ten_times_the_targets_and_cases() -> None:
    tracemalloc.start()
    book = book_of({f"t{target}": _plan(1000) for target in range(10)}, 0)
    apart = tracemalloc.get_traced_memory()[0]
    plan = _plan(1000)
    alike = book_of({f"t{target}": plan for target in range(100)}, 0)
    shared = tracemalloc.get_traced_memory()[0] - apart
    tracemalloc.stop()
    assert (book.total, alike.total) == (10_000, 100_000)
    assert shared < MOST * apart
    assert _each_cell(100, 1000) < MOST * max(_each_cell(10, 100) for _ in range(5))


def _plan(cases: int) -> list[Case]:
    return [
        Case(model=f"{n % 4}", variant="fp32", runtime="onnxruntime", provider="cpu", batch=1 + n) for n in range(cases)
    ]


def _each_cell(targets: int, cases: int) -> float:
    """What it takes to hand a case out and put its result on record, s."""
    plan = _plan(cases)
    book = book_of({f"t{target}": plan for target in range(targets)}, 0)
    began = time.process_time()
    while book.left:
        for target in range(targets):
            book.record(f"t{target}", str(book.take(f"t{target}", "w")))
    return (time.process_time() - began) / book.total


def test_the_rows_that_should_be_faster_are_found_among_ten_times_as_many_in_ten_times_the_time() -> None:
    few = [row_of(observed(variant, 50)) for variant in ("fp32", "int8")]

    def each(count: int) -> float:
        rows = [replace(row, case=replace(row.case, batch=n)) for n in range(1, count + 1) for row in few]
        began = time.process_time()
        assert len(pairs(rows)) == count
        return (time.process_time() - began) / count

    assert each(3000) < MOST * max(each(300) for _ in range(3))


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory, cost: object) -> Answers:
    """Answers of workers to whom all variants are as fast as fp32."""
    return Answers(tmp_path_factory.mktemp("alike"), faster=False)


def test_all_machines_are_profiled_at_once(alike: Answers, tmp_path: Path) -> None:
    workers = crowd(tmp_path, 3, alike)
    rows: list[Row] = []
    made = start_fleet(
        Request(suite=str(suite_of(tmp_path, 4))),
        (),
        workers,
        tmp_path / "results",
        Quiet(),
        Terms(),
        lambda run: rows.extend(run.rows),
    )
    assert (workers.asked["profile"], workers.at_once["profile"]) == (12, 3)
    assert [row.why_not_faster is not None for row in rows] == [row.case.variant == "fp16" for row in rows]
    for run in map(Path, made.runs):
        assert read_manifest(run).status == "complete"
        assert [row.why_not_faster is None for row in read_cases(run)] == [True, True, False, False]


def test_a_kill_while_the_tables_are_written_costs_no_result(alike: Answers, tmp_path: Path) -> None:
    request = Request(suite=str(suite_of(tmp_path, 2)))
    shown: list[str] = []

    def killed(run: RunResult) -> None:
        shown.append(run.folder)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        start_fleet(request, (), crowd(tmp_path, 2, alike), tmp_path / "results", Quiet(), Terms(), killed)
    (first,) = shown
    assert read_manifest(Path(first)).status == "complete"
    (fleet,) = list_fleets(tmp_path / "results")
    later = crowd(tmp_path, 2, alike)
    made = resume_fleet(fleet, later, Quiet(), Terms(wait_s=0.0))
    assert (made.fleet.status, sum(made.fleet.done.values()), later.asked["measure"]) == ("complete", 4, 0)
    assert [len(read_cases(Path(run))) for run in made.runs] == [2, 2]
    assert not any((Path(run) / "journal").exists() for run in made.runs)


@pytest.mark.trials
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_results(capsys: pytest.CaptureFixture[str]) -> None:
    few, many = in_a_process("10x100"), in_a_process("100x1000/1")
    with capsys.disabled():
        print(told(few), told(many), sep="\n")
    assert many.plan_s / many.results < MOST * few.plan_s / few.results
    assert many.record_cpu_s < MOST * few.record_cpu_s
    assert many.tables_cpu_s / many.stored < MOST * few.tables_cpu_s / few.stored
