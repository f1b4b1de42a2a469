"""One word opens a run, a baseline or a file of another tool; what is not clear is said, not guessed."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import polars as pl
import pytest

from bench.errors import UserError
from bench.machine.environment import read_environment
from bench.record.measurement import Measurement
from bench.store.baseline_file import encode, read_baseline
from bench.store.baselines import save
from bench.store.columns import case_columns, figure_columns
from bench.store.open import open_snapshot
from bench.store.snapshot import Snapshot, fingerprint
from tests.kept_runs import keep_small

FIRST, SECOND = "20260101-000000-s-aa", "20260102-000000-s-bb"
MANY = 10_000


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, the first of them in force as `main`; the user stands in a folder without either."""
    folder = tmp_path / "results"
    keep_small(folder, FIRST, 80.0)
    keep_small(folder, SECOND, 60.0)
    save(folder, "main", FIRST)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return folder


@pytest.mark.parametrize(
    ("word", "label", "has_folder"),
    [
        (FIRST, FIRST, True),
        ("20260102", SECOND, True),
        ("latest", SECOND, True),
        (f"../results/{FIRST}", FIRST, True),
        ("main", FIRST, False),
        ("baseline:main", FIRST, False),
        ("../results/baselines/main", FIRST, False),
        (f"../results/baselines/main/{FIRST}.json", FIRST, False),
    ],
)
def test_a_word_opens_what_it_names(results: Path, word: str, label: str, has_folder: bool) -> None:
    opened = open_snapshot(word, results)
    assert opened.label == label
    assert (opened.folder is not None) == has_folder
    assert opened.cases.height == 3


def test_a_run_and_its_baseline_have_the_same_latency(results: Path) -> None:
    def p50(snapshot: Snapshot) -> list[float]:
        return snapshot.figures.filter(pl.col("metric") == "p50_latency").sort("case")["value"].to_list()

    assert p50(open_snapshot(FIRST, results)) == p50(open_snapshot("main", results))
    assert p50(open_snapshot(FIRST, results)) != p50(open_snapshot(SECOND, results))


@pytest.mark.parametrize(
    ("content", "case"),
    [
        (
            {"machine_info": {}, "benchmarks": [{"name": "a", "stats": {"median": 1, "mean": 1, "rounds": 3}}]},
            "a",
        ),
        ({"context": {}, "benchmarks": [{"name": "BM/8", "real_time": 5}]}, "BM/8"),
    ],
)
def test_foreign_files_are_told_apart_by_content(results: Path, content: object, case: str) -> None:
    Path("same_name.json").write_text(json.dumps(content))
    assert open_snapshot("same_name.json", results).cases["case"].to_list() == [case]


def test_an_unknown_word_lists_what_there_is(results: Path) -> None:
    with pytest.raises(UserError, match="unknown run, baseline or file") as caught:
        open_snapshot("baseline-main", results)
    for name in (FIRST, SECOND, "latest", "baseline:main"):
        assert name in str(caught.value)


def test_a_path_to_nothing_is_no_name(results: Path) -> None:
    with pytest.raises(UserError, match="there is no such file or folder") as caught:
        open_snapshot("../results/none", results)
    assert caught.value.where == "../results/none"


def test_a_case_without_a_name_is_damage(results: Path) -> None:
    path = results / FIRST / "cases.parquet"
    frame = pl.read_parquet(path)
    frame.with_columns(pl.when(pl.int_range(pl.len()) > 0).then("model").alias("model")).write_parquet(path)
    with pytest.raises(UserError, match="a case has no name, model or status"):
        open_snapshot(FIRST, results)


def test_where_there_is_nothing_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is none"):
        open_snapshot("latest", tmp_path / "none")


def test_a_word_that_may_mean_two_things_is_not_guessed(results: Path) -> None:
    with pytest.raises(UserError, match="2 things") as caught:
        open_snapshot("2026", results)
    assert FIRST in str(caught.value)
    shutil.copy(results / "baselines" / "main" / f"{FIRST}.json", "main")
    with pytest.raises(UserError, match="2 things") as caught:
        open_snapshot("main", results)
    for word in ("./main", "baseline:main"):
        assert word in str(caught.value)
        assert open_snapshot(word, results).label == FIRST, "each way out that the message names works"


def test_a_whole_id_is_that_run_even_where_it_starts_another(results: Path) -> None:
    keep_small(results, f"{FIRST}bb")
    assert open_snapshot(FIRST, results).label == FIRST


def test_a_run_that_is_named_and_stood_before_is_one_thing(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(results)
    assert open_snapshot(FIRST, Path()).label == FIRST


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"PK\x03\x04"])
def test_a_file_that_is_nothing_known_is_a_clear_message(results: Path, content: bytes) -> None:
    Path("thing.bin").write_bytes(content)
    with pytest.raises(UserError) as caught:
        open_snapshot("thing.bin", results)
    assert "thing.bin" in str(caught.value)


def test_a_saved_snapshot_that_is_cut_short_is_a_clear_message(results: Path) -> None:
    path = results / "baselines" / "main" / f"{FIRST}.json"
    path.write_bytes(path.read_bytes()[:-20])
    for word in ("main", str(path)):
        with pytest.raises(UserError) as caught:
            open_snapshot(word, results)
        assert str(path) in str(caught.value)


def test_ten_thousand_cases_take_little_longer_a_case_than_a_hundred(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        names = [f"m/{at}/r-p/t1/b1/single-stream" for at in range(count)]
        time_of = Measurement(
            value=1.234567e-4, unit="s", n=1000, how="measured:monotonic-clock", low=1e-4, high=2e-4, confidence=0.95
        )
        metrics = ("p50_latency", "p90_latency", "p99_latency", "throughput", "load_time", "peak_rss", "size")
        snapshot = Snapshot(
            label=FIRST,
            created="2026-01-01",
            machine=fingerprint(read_environment()),
            cases=case_columns([{"case": name, "status": "ok"} for name in names]),
            figures=figure_columns((name, metric, time_of) for name in names for metric in metrics),
        )
        path = tmp_path / f"{count}.json"
        path.write_bytes(encode(snapshot))
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            assert read_baseline(path).cases.height == count
            assert open_snapshot(str(path), tmp_path).figures.height == count * len(metrics)
            best = min(best, time.perf_counter() - began)
        return best

    seconds(10)  # what is imported late is imported now
    few = MANY // 100
    # Linear would be 100 times as long; a search of all cases for each would be 10,000 times.
    assert seconds(MANY) < 300 * seconds(few)
