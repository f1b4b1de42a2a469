"""A run given to other tools: their own programs read it, and what was not measured is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import msgspec
import polars as pl
import pytest

from bench.cli.show import Format
from bench.errors import UserError
from bench.record.codec import json_bytes
from bench.record.metric import METRICS
from bench.report.exchange import FORMATS
from bench.runner.reopen import reopen
from bench.store.foreign import read_foreign
from bench.store.snapshot import read_run
from tests.kept_runs import SAMPLES, failed, keep, keep_small, observed, row_of

RUN = "20260101-000000-s-aa"


def given(folder: Path, name: str) -> Any:
    """The document as a program reads it from standard output."""
    opened = reopen(folder)
    return json.loads(json_bytes(FORMATS[name](folder, opened.manifest, opened.rows)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return keep_small(tmp_path / "results", RUN)


def test_the_command_offers_every_format() -> None:
    assert {each.value for each in Format} == set(FORMATS)


def test_pytest_benchmark_compares_two_runs(tmp_path: Path) -> None:
    for name, latency in (("a", 80.0), ("b", 160.0)):
        folder = keep_small(tmp_path / name, RUN, latency)
        (tmp_path / f"{name}.json").write_text(json.dumps(given(folder, "pytest-benchmark")))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest_benchmark",
            "compare",
            "a.json",
            "b.json",
            "--columns=median,rounds,outliers,ops",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Failed to load" not in done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("m/")]
    assert len(rows) == 4
    assert all(str(SAMPLES) in row for row in rows)
    assert "benchmark 'm': 4 tests" in done.stdout


def test_the_statistics_are_those_that_pytest_benchmark_computes_itself(tmp_path: Path) -> None:
    from pytest_benchmark.stats import Stats

    for count in (1, 2, 3, 4, 5, 6, 7, 50):
        seen = observed("fp32", 80.0, seed=count)
        assert seen.samples is not None
        samples = msgspec.structs.replace(
            seen.samples,
            **{name: getattr(seen.samples, name)[:count] for name in ("start_ns", "latency_ns", "block")},
        )
        seen = msgspec.structs.replace(seen, samples=samples)
        folder = keep(tmp_path / str(count), RUN, [failed("fp32")], [seen])
        (bench,) = given(folder, "pytest-benchmark")["benchmarks"]
        theirs: Any = Stats()  # type: ignore[no-untyped-call]
        for value in bench["stats"]["data"]:
            theirs.update(value)
        for field in Stats.fields:
            expected = getattr(theirs, field)
            assert bench["stats"][field] == (
                expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-9, abs=1e-18)
            ), (count, field)


def test_every_raw_sample_is_given_in_seconds(run: Path) -> None:
    benches = {bench["fullname"]: bench for bench in given(run, "pytest-benchmark")["benchmarks"]}
    latencies = pl.read_parquet(run / "latencies.parquet")
    assert len(benches) == 2, "the failed case has no samples"
    for row in reopen(run).rows[:2]:
        mine = latencies.filter(pl.col("case_id") == row.case.id)["latency_ns"].to_list()
        assert benches[row.case.name]["stats"]["data"] == [each / 1e9 for each in mine]
        assert benches[row.case.name]["params"]["variant"] == row.case.variant


def test_what_is_given_to_pytest_benchmark_comes_back_as_the_same_cases(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(json.dumps(given(run, "pytest-benchmark")))
    back, here = read_foreign(tmp_path / "out.json"), read_run(run)
    p50 = {
        name: dict(
            one.figures.filter(pl.col("metric") == "p50_latency").drop_nulls("value").select("case", "value").rows()
        )
        for name, one in (("back", back), ("here", here))
    }
    assert p50["back"] == pytest.approx(p50["here"], rel=0.01), "theirs is halfway between two samples"
    known = {key: value for key, value in back.machine.items() if value is not None}
    assert known
    assert known.items() <= here.machine.items()


def test_samples_that_are_not_there_are_a_clear_message(run: Path) -> None:
    (run / "latencies.parquet").unlink()
    with pytest.raises(UserError, match="cannot read the table"):
        given(run, "pytest-benchmark")


def test_github_action_benchmark_gets_each_figure_under_its_direction(run: Path) -> None:
    told = given(run, "github-action-benchmark")
    assert set(told) == {"customSmallerIsBetter", "customBiggerIsBetter"}
    names = {tool: {entry["name"].rsplit(": ", 1)[1] for entry in entries} for tool, entries in told.items()}
    assert names == {
        "customSmallerIsBetter": {"p50_latency", "p90_latency", "size"},
        "customBiggerIsBetter": {"throughput"},
    }
    every = [entry for entries in told.values() for entry in entries]
    assert len({entry["name"] for entry in every}) == len(every) == 8
    for entry in every:
        assert {"name", "unit", "value", "extra"} <= set(entry) <= {"name", "unit", "value", "range", "extra"}
        assert isinstance(entry["value"], float)
        assert all(isinstance(entry[key], str) for key in set(entry) - {"value"})
    p50 = next(e for e in every if e["name"] == "m/fp32/onnxruntime-cpu/t1/b1/single-stream: p50_latency")
    low, high = map(float, p50["range"].split(" to "))
    assert p50["unit"] == "ns"
    assert low <= p50["value"] <= high
    assert p50["value"] == pytest.approx(80_000, rel=0.05)
    assert "measured:monotonic-clock" in p50["extra"]


def test_bencher_gets_measures_with_bounds_where_there_are_any(run: Path) -> None:
    told = given(run, "bencher")
    assert set(told) == {f"m/{variant}/onnxruntime-cpu/t1/b1/single-stream" for variant in ("fp32", "int8")}
    for measures in told.values():
        assert set(measures) == {"latency", "p90-latency", "throughput", "file-size"}
        assert measures["file-size"] == {"value": 2048.0}
        assert measures["latency"]["lower_value"] <= measures["latency"]["value"] <= measures["latency"]["upper_value"]
    fp32, int8 = told.values()
    assert int8["latency"]["value"] < fp32["latency"]["value"], "nanoseconds: the fast one is smaller"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_run_in_which_nothing_was_measured_gives_no_figure(tmp_path: Path, name: str) -> None:
    told = given(keep(tmp_path, RUN, [failed("fp32")]), name)
    assert not (told.get("benchmarks") if "benchmarks" in told else [each for each in told.values() if each])


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_there_is_no_null_and_no_zero_for_what_is_absent(run: Path, name: str) -> None:
    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [each for key, inner in value.items() if key != "options" for each in numbers(inner)]
        if isinstance(value, list):
            return [each for inner in value for each in numbers(inner)]
        return [value] if isinstance(value, float) else []

    told = given(run, name)
    told = [bench["extra_info"]["figures"] for bench in told["benchmarks"]] if "benchmarks" in told else told
    found = numbers(told)
    assert found
    # outlier_share alone may truly be zero.
    shares = sum("outlier_share" in each for each in told) if isinstance(told, list) else 0
    assert found.count(0.0) <= shares


def test_units_and_directions_of_all_metrics_have_a_place() -> None:
    from bench.record.metric import Direction
    from bench.store.baselines import GATED

    assert {METRICS[name].better for name in GATED} <= set(get_args(Direction)) - {"neither"}


def test_a_floor_that_was_missed_does_not_hide_the_figures(tmp_path: Path) -> None:
    seen = observed("fp32", 80.0)
    row = msgspec.structs.replace(row_of(seen), status="failed")
    folder = keep(tmp_path, RUN, [row], [seen])
    assert given(folder, "bencher")[row.case.name]["latency"]["value"] > 0
    (bench,) = given(folder, "pytest-benchmark")["benchmarks"]
    assert bench["extra_info"]["status"] == "failed"
