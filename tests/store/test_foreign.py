"""Files of pytest-benchmark and Google Benchmark become cases with times in seconds, or a clear message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.machine.environment import read_environment
from bench.store.foreign import read_foreign
from bench.store.snapshot import CASE_SCHEMA, FIGURE_SCHEMA, Snapshot, fingerprint

# As its JSON reporter writes it: three repetitions, statistics over them, a failure, a skip and a complexity.
GOOGLE: dict[str, Any] = {
    "context": {
        "date": "2026-01-01T12:00:00+00:00",
        "host_name": "bench-7",
        "executable": "./bench",
        "num_cpus": 8,
        "mhz_per_cpu": 3000,
        "cpu_scaling_enabled": True,
        "caches": [],
        "load_avg": [0.1],
        "library_version": "v1.9.4",
        "library_build_type": "debug",
        "json_schema_version": 1,
    },
    "benchmarks": [],
}
PYTEST = """
import time, pytest

@pytest.mark.parametrize("n", [10, 1000])
def test_sum(benchmark, n):
    benchmark.pedantic(sum, args=(range(n),), rounds=60, iterations=1)

def test_few(benchmark):
    benchmark.pedantic(sum, args=(range(9),), rounds=3, iterations=20)
"""


def repetition(name: str, time: float | None, index: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "run_name": name,
        "run_type": "iteration",
        "repetitions": 3,
        "repetition_index": index,
        "threads": 1,
        "iterations": 1000,
        "real_time": time,
        "cpu_time": None if time is None else time / 2,
        "time_unit": "ns",
        **more,
    }


def statistic(name: str, of: str, time: float, **more: Any) -> dict[str, Any]:
    entry = repetition(f"{name}_{of}", time, run_name=name, run_type="aggregate", aggregate_name=of, **more)
    entry.pop("repetition_index")
    return entry


def google(tmp_path: Path, *entries: dict[str, Any], text: str | None = None) -> Path:
    path = tmp_path / "google.json"
    path.write_text(json.dumps(GOOGLE | {"benchmarks": list(entries)}) if text is None else text)
    return path


def figure(snapshot: Snapshot, case: str, metric: str) -> dict[str, Any]:
    (found,) = (f for f in snapshot.figures.iter_rows(named=True) if (f["case"], f["metric"]) == (case, metric))
    return found


@pytest.fixture(scope="module")
def pytest_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pytest-benchmark itself writes on this machine."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "test_it.py").write_text(PYTEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--benchmark-json=out.json",
        "-p",
        "no:cacheprovider",
        "test_it.py",
    ]
    # It measures nothing where it takes itself for one of several workers.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return folder / "out.json"


def test_pytest_benchmark_cases_are_named_with_their_parameters(pytest_file: Path) -> None:
    read = read_foreign(pytest_file)
    assert read.cases["case"].to_list() == [
        "test_it.py::test_sum[10]",
        "test_it.py::test_sum[1000]",
        "test_it.py::test_few",
    ]
    assert dict(read.cases.schema) == CASE_SCHEMA
    assert dict(read.figures.schema) == FIGURE_SCHEMA
    short, long = (figure(read, f"test_it.py::test_sum[{n}]", "p50_latency")["value"] for n in (10, 1000))
    assert 0 < short < long < 1, "seconds"


def test_pytest_benchmark_medians_are_theirs_and_lie_in_the_interval_of_the_rounds(pytest_file: Path) -> None:
    read = read_foreign(pytest_file)
    for bench in json.loads(pytest_file.read_text())["benchmarks"][:2]:
        stats = bench["stats"]
        p50 = figure(read, bench["fullname"], "p50_latency")
        assert p50["value"] == stats["median"]
        assert stats["min"] <= p50["low"] <= p50["value"] <= p50["high"] <= stats["max"]
        assert (p50["n"], p50["confidence"]) == (60, 0.95)
        assert figure(read, bench["fullname"], "mean_latency")["value"] == stats["mean"]


def test_pytest_benchmark_rounds_too_few_or_not_saved_have_no_interval(pytest_file: Path, tmp_path: Path) -> None:
    few = figure(read_foreign(pytest_file), "test_it.py::test_few", "p50_latency")
    assert few["low"] is None
    assert "too few samples (3 of 11)" in few["how"]
    assert "means of 20 iterations" in few["how"]
    told = json.loads(pytest_file.read_text())
    for bench in told["benchmarks"]:
        del bench["stats"]["data"]
    (tmp_path / "no_data.json").write_text(json.dumps(told))
    bare = figure(read_foreign(tmp_path / "no_data.json"), "test_it.py::test_sum[10]", "p50_latency")
    assert (bare["low"], bare["n"]) == (None, 60)
    assert "not saved" in bare["how"]


def test_pytest_benchmark_tells_the_machine_in_our_keys(pytest_file: Path) -> None:
    here = fingerprint(read_environment())
    machine = read_foreign(pytest_file).machine
    assert set(machine) == {key for key in here if not key.startswith("package:")}
    for key in ("cpu_model", "cpu_features", "architecture", "kernel", "system", "python", "virtualisation"):
        assert machine[key] == here[key], key
    assert machine["governor"] is machine["cores"] is machine["gpus"] is None, "it does not tell"


def test_repetitions_are_the_samples_and_their_statistics_are_left_alone(tmp_path: Path) -> None:
    times = [110.0, 100.0, 130.0]
    entries = [repetition("BM/8", time, at) for at, time in enumerate(times)]
    read = read_foreign(google(tmp_path, *entries, statistic("BM/8", "median", 999.0), statistic("BM/8", "cv", 0.1)))
    assert read.cases["case"].to_list() == ["BM/8"]
    p50 = figure(read, "BM/8", "p50_latency")
    assert p50["value"] == pytest.approx(110e-9, rel=1e-12)
    assert p50["n"] == 3
    assert p50["low"] < p50["value"] < p50["high"]
    assert figure(read, "BM/8", "mean_latency")["value"] == pytest.approx(np.mean(times) * 1e-9)
    assert figure(read, "BM/8", "cpu_time")["value"] == pytest.approx(55e-9)


@pytest.mark.parametrize(("unit", "seconds"), [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)])
def test_units_are_turned_into_seconds(tmp_path: Path, unit: str, seconds: float) -> None:
    read = read_foreign(google(tmp_path, repetition("BM", 12.5, time_unit=unit)))
    p50 = figure(read, "BM", "p50_latency")
    assert p50["value"] == pytest.approx(12.5 * seconds, rel=1e-12)
    assert (p50["unit"], p50["low"]) == ("s", None), "one repetition has no interval"


def test_statistics_serve_where_no_repetition_was_saved(tmp_path: Path) -> None:
    read = read_foreign(
        google(
            tmp_path,
            statistic("BM", "mean", 12.0),
            statistic("BM", "median", 11.0),
            statistic("BM", "stddev", 1.0),
            statistic("only_mean", "mean", 5.0),
        )
    )
    assert read.cases["case"].to_list() == ["BM", "only_mean"]
    assert figure(read, "BM", "p50_latency")["value"] == pytest.approx(11e-9)
    assert figure(read, "BM", "mean_latency")["value"] == pytest.approx(12e-9)
    absent = figure(read, "only_mean", "p50_latency")
    assert absent["value"] is None
    assert "no median" in absent["how"]


def test_old_files_tell_statistics_by_the_name_only(tmp_path: Path) -> None:
    old = [
        {"name": name, "iterations": 5, "real_time": time, "cpu_time": time}
        for name, time in (("BM/8", 10.0), ("BM/8", 12.0), ("BM/8_mean", 11.0), ("BM/8_stddev", 1.0), ("other", 3.0))
    ]
    read = read_foreign(google(tmp_path, *old))
    assert read.cases["case"].to_list() == ["BM/8", "other"]
    assert figure(read, "BM/8", "p50_latency")["n"] == 2


def test_an_error_is_a_failed_case_and_a_skip_an_unavailable_one(tmp_path: Path) -> None:
    read = read_foreign(
        google(
            tmp_path,
            repetition("bad", 0.0, error_occurred=True, error_message="no device"),
            repetition("left", 0.0, skipped=True, skip_message="needs AVX"),
            repetition("good", 5.0),
        )
    )
    assert read.cases.select("case", "status", "reason").rows() == [
        ("bad", "failed", "no device"),
        ("left", "unavailable", "needs AVX"),
        ("good", "ok", None),
    ]
    assert set(read.figures["case"]) == {"good"}


def test_what_a_google_file_says_of_its_conditions_is_in_the_notes(tmp_path: Path) -> None:
    read = read_foreign(google(tmp_path, repetition("BM", 5.0)))
    told = "; ".join(read.notes)
    assert read.created == "2026-01-01T12:00:00+00:00"
    for words in ("v1.9.4", "bench-7", "built for debugging", "free to change"):
        assert words in told
    assert not any(read.machine.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[1, 2]", "neither"),
        ('{"benchmarks": []}', "neither"),
        ('{"benchmarks": [], "context": {}}', "no benchmark"),
        ('{"benchmarks": [], "machine_info": {}}', "no benchmark"),
        ('{"benchmarks": [{"real_time": 3}], "context": {}}', "name"),
        ('{"benchmarks": [{"name": "a", "real_time": "3"}], "context": {}}', r"benchmarks\[0\].real_time|\$"),
        ('{"benchmarks": [{"name": "a"}], "context": {}}', "real_time of 'a' is no time: missing"),
        ('{"benchmarks": [{"name": "a", "real_time": NaN}], "context": {}}', "is no time: nan"),
        ('{"benchmarks": [{"name": "a", "real_time": -1}], "context": {}}', "is no time: -1"),
        ('{"benchmarks": [{"name": "a", "time_unit": "h", "real_time": 1}], "context": {}}', "time_unit"),
        ('{"benchmarks": [{"name": "a"}], "machine_info": {}}', "stats"),
        (
            '{"benchmarks": [{"name": "a", "stats": {"median": 1, "mean": 1, "rounds": 2, "data": [1, NaN]}}],'
            ' "machine_info": {}}',
            "is no time: nan",
        ),
        (
            '{"benchmarks": [{"name": "a", "stats": {"median": 1, "mean": 1, "rounds": 1}},'
            ' {"name": "a", "stats": {"median": 1, "mean": 1, "rounds": 1}}], "machine_info": {}}',
            "two benchmarks",
        ),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_file_is_a_clear_message_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = google(tmp_path, text=text)
    with pytest.raises(UserError, match=words) as caught:
        read_foreign(path)
    assert caught.value.where == str(path)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=30),
    st.sampled_from(["ns", "us", "ms", "s"]),
)
def test_the_median_lies_among_the_repetitions_whatever_they_are(
    tmp_path_factory: pytest.TempPathFactory, times: list[float], unit: str
) -> None:
    path = google(
        tmp_path_factory.mktemp("g"), *(repetition("BM", t, at, time_unit=unit) for at, t in enumerate(times))
    )
    p50 = figure(read_foreign(path), "BM", "p50_latency")
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert min(times) * scale * (1 - 1e-9) <= p50["value"] <= max(times) * scale * (1 + 1e-9)
    assert p50["n"] == len(times)
    assert (p50["low"] is None) == (len(times) == 1)


@pytest.mark.parametrize(
    ("name", "stats"),
    [
        ("huge", {"rounds": 2**63}),
        ("none", {"rounds": 0}),
        ("negative", {"rounds": -3}),
        ("back in time", {"rounds": 2, "data": [1.0, -1.0]}),
        ("half a character \ud800", {"rounds": 2}),
    ],
)
def test_counts_times_and_names_that_cannot_be_are_a_clear_message(
    tmp_path: Path, name: str, stats: dict[str, Any]
) -> None:
    benches = [{"name": name, "stats": {"median": 1.0, "mean": 1.0, **stats}}]
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps({"machine_info": {}, "benchmarks": benches}))
    with pytest.raises(UserError) as caught:
        read_foreign(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("count", [2**63, -1])
def test_a_count_of_repetitions_that_cannot_be_is_a_clear_message(tmp_path: Path, count: int) -> None:
    entry = statistic("BM", "median", 5.0) | {"repetitions": count}
    with pytest.raises(UserError):
        read_foreign(google(tmp_path, entry))
