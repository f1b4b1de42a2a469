"""Baselines hold a run's figures exactly, change in git line by line, and never lose the one in force."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import threading
from pathlib import Path

import msgspec
import polars as pl
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from bench.errors import UserError
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Failure
from bench.record.row import Row
from bench.store import baselines
from bench.store.baseline_file import encode
from bench.store.baselines import GATED, current, entries, history, promote, prune, read_baseline, save
from bench.store.manifest import read_manifest, write_manifest
from bench.store.snapshot import Snapshot, read_run
from tests.kept_runs import ABSENT, keep, keep_small

FIRST, SECOND, THIRD = "20260101-000000-s-aa", "20260102-000000-s-bb", "20260103-000000-s-cc"

finite = st.floats(allow_nan=False, allow_infinity=False)
measurements = st.builds(
    Measurement,
    value=finite,
    unit=st.sampled_from(["s", "B", "1"]),
    n=st.integers(0, 2**40),
    how=st.text(max_size=9).map(lambda text: f"measured:{text}"),
    low=st.none() | finite,
    high=st.none() | finite,
    confidence=st.none() | st.floats(0, 1),
) | st.builds(Measurement.unavailable, st.sampled_from(["s", "B"]), st.text(max_size=20))
rows = st.builds(
    Row,
    case=st.builds(
        Case,
        model=st.text(max_size=8),
        variant=st.text(max_size=8),
        runtime=st.just("r"),
        provider=st.just("p"),
        threads=st.integers(1, 99),
    ),
    status=st.sampled_from(["ok", "failed", "unavailable"]),
    dataset=st.text(max_size=12),
    metrics=st.fixed_dictionaries(dict.fromkeys(METRICS, measurements)),
    failure=st.none() | st.builds(Failure, reason=st.text(), phase=st.just("load")),
    invocations=st.integers(0, 9),
    facts=st.fixed_dictionaries({"scope": st.text(max_size=9)}),
)


def kept_part(snapshot: Snapshot) -> pl.DataFrame:
    """The figures that a baseline promises to hold."""
    there = pl.col("value").is_not_null() | pl.col("metric").is_in(GATED)
    return snapshot.figures.filter(there).sort("case", "metric")


@settings(deadline=None, max_examples=25)
@given(st.lists(rows, min_size=1, max_size=4, unique_by=lambda row: row.case.name))
def test_a_baseline_gives_back_the_figures_of_its_run(
    tmp_path_factory: pytest.TempPathFactory, made: list[Row]
) -> None:
    results = tmp_path_factory.mktemp("results")
    run = read_run(keep(results, FIRST, made))
    read = read_baseline(Path(save(results, "main", FIRST).path))
    assert_frame_equal(read.figures.sort("case", "metric"), kept_part(run))
    assert_frame_equal(read.cases.sort("case"), run.cases.sort("case"))
    assert (read.label, read.created, read.machine) == (run.label, run.created, run.machine)


def test_every_gated_metric_is_one_that_rows_have() -> None:
    assert set(GATED) <= set(METRICS)


def test_an_absent_figure_keeps_its_reason_where_a_gate_may_ask_for_it(tmp_path: Path) -> None:
    keep_small(tmp_path, FIRST)
    save(tmp_path, "main", FIRST)
    figures = current(tmp_path, "main").figures
    assert set(figures.filter(pl.col("metric") == "energy")["how"]) == {
        f"unavailable:{ABSENT}",
        "unavailable:it crashed",
    }
    assert figures.filter(pl.col("metric") == "idle_power").is_empty(), "nothing gates the power at rest"


def test_a_diff_shows_the_one_figure_of_the_one_case_that_changed(tmp_path: Path) -> None:
    folder = keep_small(tmp_path, FIRST)
    path = Path(save(tmp_path, "main", FIRST).path)
    before = path.read_text()
    frame = pl.read_parquet(folder / "cases.parquet")
    larger = (
        pl.when(pl.col("variant") == "int8").then(pl.col("size").struct.with_fields(value=4096.0)).otherwise("size")
    )
    frame.with_columns(larger.alias("size")).write_parquet(folder / "cases.parquet")
    save(tmp_path, "again", FIRST)
    after = (tmp_path / "baselines" / "again" / path.name).read_text()
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line.startswith(("+ ", "- "))]
    assert len(changed) == 2
    assert all('"size"' in line for line in changed)
    assert "2048.0" in changed[0]
    assert "4096.0" in changed[1]


def test_keys_are_sorted_whatever_the_order_of_the_run(tmp_path: Path) -> None:
    keep_small(tmp_path, FIRST)
    text = Path(save(tmp_path, "main", FIRST).path).read_text()
    assert json.dumps(json.loads(text)) == json.dumps(json.loads(text), sort_keys=True)
    assert text.endswith("}\n")


def test_the_first_is_in_force_and_a_later_one_only_when_it_is_promoted(tmp_path: Path) -> None:
    for run in (FIRST, SECOND, THIRD):
        keep_small(tmp_path, run)
    assert save(tmp_path, "main", FIRST).current == FIRST
    assert save(tmp_path, "main", SECOND).current == FIRST
    assert current(tmp_path, "main").label == FIRST
    assert save(tmp_path, "main", "latest", promote=True).current == THIRD
    assert current(tmp_path, "main").label == THIRD
    assert [snapshot.label for snapshot in history(tmp_path, "main")] == [FIRST, SECOND, THIRD]
    assert [entry.current for entry in entries(tmp_path)] == [False, False, True]


def test_promoting_a_run_saves_it_first(tmp_path: Path) -> None:
    for run in (FIRST, SECOND):
        keep_small(tmp_path, run)
    save(tmp_path, "main", FIRST)
    done = promote(tmp_path, "main", SECOND[:8])
    assert (done.saved, done.current, done.previous) == (True, SECOND, FIRST)
    back = promote(tmp_path, "main", FIRST)
    assert (back.saved, back.current) == (False, FIRST)
    assert promote(tmp_path, "main", "latest").current == SECOND


def test_a_start_of_several_is_not_guessed(tmp_path: Path) -> None:
    for run in (FIRST, SECOND):
        keep_small(tmp_path, run)
    save(tmp_path, "main", FIRST)
    with pytest.raises(UserError, match="start of 2") as caught:
        promote(tmp_path, "main", "2026")
    assert SECOND in str(caught.value)
    with pytest.raises(UserError, match="unknown snapshot or run"):
        promote(tmp_path, "main", "other")


def test_the_same_run_is_not_saved_twice(tmp_path: Path) -> None:
    keep_small(tmp_path, FIRST)
    save(tmp_path, "main", FIRST)
    with pytest.raises(UserError, match="already"):
        save(tmp_path, "main", FIRST)
    assert save(tmp_path, "release", FIRST).saved, "another baseline may hold it too"


def test_a_run_that_is_not_complete_is_no_baseline(tmp_path: Path) -> None:
    keep(tmp_path, FIRST, [], status="interrupted")
    with pytest.raises(UserError, match="not complete") as caught:
        save(tmp_path, "main", FIRST)
    assert "--resume" in str(caught.value)
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "../x", "latest", "a b"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    keep_small(tmp_path, FIRST)
    with pytest.raises(UserError, match="not a name"):
        save(tmp_path, name, FIRST)


@pytest.mark.parametrize("keep_n", [0, 1, 2, 3])
def test_pruning_keeps_the_newest_and_always_the_one_in_force(tmp_path: Path, keep_n: int) -> None:
    every = [FIRST, SECOND, THIRD]
    for run in every:
        keep_small(tmp_path, run)
        save(tmp_path, "main", run)
    removed = prune(tmp_path, "main", keep_n)
    left = [entry.snapshot for entry in entries(tmp_path, "main")]
    assert set(left) == {FIRST, *every[3 - keep_n :]}
    assert sorted(removed + left) == every
    assert current(tmp_path, "main").label == FIRST


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no baselines"):
        current(tmp_path, "main")
    keep_small(tmp_path, FIRST)
    save(tmp_path, "main", FIRST)
    for ask in (current, history, entries):
        with pytest.raises(UserError, match="did you mean 'main'") as caught:
            ask(tmp_path, "mian")
        assert "unknown baseline" in caught.value.what
    (tmp_path / "baselines" / "main" / "current").unlink()
    with pytest.raises(UserError, match="no snapshot is in force") as caught:
        current(tmp_path, "main")
    assert FIRST in str(caught.value)


@pytest.fixture(scope="module")
def saved_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    results = tmp_path_factory.mktemp("results")
    keep_small(results, FIRST)
    return Path(save(results, "main", FIRST).path).read_bytes()


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_file_that_is_cut_short_is_a_clear_message_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, saved_bytes: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.json"
    path.write_bytes(saved_bytes[: data.draw(st.integers(0, len(saved_bytes) - 3))])
    with pytest.raises(UserError, match="damaged") as caught:
        read_baseline(path)
    assert str(path) in str(caught.value)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_damaged_byte_is_more_than_a_clear_message(
    tmp_path_factory: pytest.TempPathFactory, saved_bytes: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.json"
    content = bytearray(saved_bytes)
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        assert read_baseline(path).cases.height >= 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"schema": 1\n}', '"schema": 2\n}', "newer version"),
        ('"value": 2048.0', '"value": "big"', r"figures"),
        ('"how": "measured:file-size"', '"how": "unavailable:gone"', "absent exactly when"),
        ('"n": 200', '"n": 99999999999999999999999', "damaged"),
    ],
)
def test_the_message_says_what_is_wrong_in_the_file(tmp_path: Path, old: str, new: str, words: str) -> None:
    keep_small(tmp_path, FIRST)
    path = Path(save(tmp_path, "main", FIRST).path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=words):
        read_baseline(path)
    (entry,) = entries(tmp_path)
    assert entry.current


def test_a_damaged_snapshot_is_listed_with_its_problem_and_never_promoted(tmp_path: Path) -> None:
    for run in (FIRST, SECOND):
        keep_small(tmp_path, run)
        save(tmp_path, "main", run)
    (tmp_path / "baselines" / "main" / f"{SECOND}.json").write_text('{"schema": 1')
    first, second = entries(tmp_path, "main")
    assert first.problem is None
    assert "damaged" in str(second.problem)
    with pytest.raises(UserError, match="damaged"):
        promote(tmp_path, "main", SECOND)
    assert current(tmp_path, "main").label == FIRST


def test_a_file_of_a_version_that_knew_less_of_a_case_is_read(tmp_path: Path) -> None:
    keep_small(tmp_path, FIRST)
    path = Path(save(tmp_path, "main", FIRST).path)
    told = json.loads(path.read_text())
    for case in told["cases"].values():
        case.pop("scope", None)
        case["from a later version"] = 1
    path.write_bytes(msgspec.json.encode(told))
    read = read_baseline(path)
    assert read.cases["scope"].is_null().all()
    assert read.cases["dataset"].to_list() == ["digits"] * 3


def test_two_cases_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    keep_small(tmp_path, FIRST)
    path = tmp_path / FIRST / "cases.parquet"
    frame = pl.read_parquet(path)
    pl.concat([frame, frame]).write_parquet(path)
    with pytest.raises(UserError, match="two cases are named"):
        save(tmp_path, "main", FIRST)
    assert baselines.names(tmp_path) == []


def test_a_run_whose_id_is_no_name_for_a_file_is_no_baseline(tmp_path: Path) -> None:
    folder = keep_small(tmp_path, FIRST)
    write_manifest(folder, msgspec.structs.replace(read_manifest(folder), run_id="../../elsewhere"))
    with pytest.raises(UserError, match="is not a name for a file"):
        save(tmp_path, "main", FIRST)
    assert baselines.names(tmp_path) == []


def test_a_case_without_a_figure_is_kept_with_none(tmp_path: Path) -> None:
    snapshot = read_run(keep_small(tmp_path, FIRST))
    bare = dataclasses.replace(snapshot, figures=snapshot.figures.clear())
    (tmp_path / "bare.json").write_bytes(encode(bare))
    again = read_baseline(tmp_path / "bare.json")
    assert again.cases["case"].to_list() == sorted(snapshot.cases["case"])
    assert again.figures.height == 0


def test_a_baseline_that_is_not_there_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the baseline: No such file") as caught:
        read_baseline(tmp_path / "none.json")
    assert caught.value.where == str(tmp_path / "none.json")


def test_a_process_that_changes_baselines_for_too_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_small(tmp_path, FIRST)
    monkeypatch.setattr(baselines, "_LOCK_WAIT_S", 0.05)
    with (
        FileLock(tmp_path / ".baselines.lock", thread_local=False),
        pytest.raises(UserError, match="another process is changing the baselines"),
    ):
        save(tmp_path, "main", FIRST)


def test_baselines_where_no_lock_can_lie_are_a_clear_message(tmp_path: Path) -> None:
    keep_small(tmp_path, FIRST)
    (tmp_path / ".baselines.lock").mkdir()
    with pytest.raises(UserError, match="cannot write there"):
        save(tmp_path, "main", FIRST)


def test_a_second_process_waits_for_the_first_to_be_done(tmp_path: Path) -> None:
    keep_small(tmp_path, FIRST)
    lock = FileLock(tmp_path / ".baselines.lock", thread_local=False)
    lock.acquire()
    done: list[str] = []
    other = threading.Thread(target=lambda: done.append(save(tmp_path, "main", FIRST).snapshot))
    other.start()
    other.join(0.3)
    assert not done, "the lock is held"
    assert not (tmp_path / "baselines").exists()
    lock.release()
    other.join()
    assert done == [FIRST]
    assert [path.name for path in (tmp_path / "baselines" / "main").iterdir()].count(f"{FIRST}.json") == 1
    assert {path.name for path in (tmp_path / "baselines" / "main").iterdir()} == {f"{FIRST}.json", "current"}
