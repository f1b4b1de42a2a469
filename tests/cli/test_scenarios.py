"""The five load scenarios, through the command, on a real model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import bench

pytestmark = pytest.mark.timeout(600)
SUITE = """
name = "scenarios"
[measure]
warmup_max_s = 0.2
min_s = 0.2
max_s = 0.4
[[matrix]]
models = ["mnist_cnn@digits"]
variants = ["fp32"]
runtimes = ["onnxruntime-cpu", "litert-xnnpack"]
scenarios = ["single-stream", "multi-stream", "offline", "server", "cold-start"]
options = { streams = 2, in_flight = 2, rate = 2000 }
"""


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory, export_cache: Path) -> dict[str, Any]:
    """A run of all scenarios."""
    del export_cache
    cwd = tmp_path_factory.mktemp("scenarios")
    (cwd / "s.toml").write_text(SUITE)
    done = bench("run", "s.toml", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "cwd": str(cwd)}


def of(run: dict[str, Any], scenario: str) -> list[dict[str, Any]]:
    return [case for case in run["cases"] if case["case"]["scenario"] == scenario]


def test_each_scenario_keeps_only_its_own_options(scenarios: dict[str, Any]) -> None:
    options = {case["case"]["scenario"]: case["case"]["options"] for case in scenarios["cases"]}
    assert options == {
        "single-stream": {},
        "multi-stream": {"streams": 2},
        "offline": {"in_flight": 2},
        "server": {"rate": 2000},
        "cold-start": {},
    }


def test_every_row_says_whether_mlperfs_rules_are_met_and_what_to_do(scenarios: dict[str, Any]) -> None:
    for case in scenarios["cases"]:
        assert case["status"] == "ok", case["failure"]
        assert case["validity"]["valid"] is False, "no run of half a second is valid"
        assert case["validity"]["reasons"]
    (first, _) = of(scenarios, "single-stream")
    assert any("min_s = 600" in reason for reason in first["validity"]["reasons"])


def test_every_row_says_what_its_timed_call_covers(scenarios: dict[str, Any]) -> None:
    assert all(case["facts"]["scope"].startswith("host-to-host") for case in scenarios["cases"])


def test_server_latency_counts_from_the_scheduled_arrival(scenarios: dict[str, Any]) -> None:
    for case in of(scenarios, "server"):
        frame = pl.read_parquet(Path(scenarios["cwd"], scenarios["folder"], "latencies.parquet"))
        mine = frame.filter(pl.col("case_id") == case["id"])
        assert mine["scheduled_ns"].null_count() == 0
        assert (mine["start_ns"] >= mine["scheduled_ns"]).all()
        waited = mine["start_ns"] - mine["scheduled_ns"]
        assert (mine["latency_ns"] >= waited).all()
        span = (mine["scheduled_ns"].max() - mine["scheduled_ns"].min()) * 1e-9  # type: ignore[operator]
        assert mine.height / span == pytest.approx(2000, rel=0.25), "arrivals come at the rate that was asked for"


def test_several_streams_each_have_samples(scenarios: dict[str, Any]) -> None:
    frame = pl.read_parquet(Path(scenarios["cwd"], scenarios["folder"], "latencies.parquet"))
    for case in of(scenarios, "multi-stream"):
        assert set(frame.filter(pl.col("case_id") == case["id"])["stream"].to_list()) == {0, 1}


def test_a_cold_start_is_the_sum_of_its_parts_over_fresh_processes(scenarios: dict[str, Any]) -> None:
    for case in of(scenarios, "cold-start"):
        assert case["invocations"] == 5
        for start in case["facts"]["cold_starts"]:
            parts = [start[name] for name in ("process_start_ns", "import_ns", "load_ns", "first_ns")]
            assert all(part > 0 for part in parts)
        figure = case["metrics"]["cold_start"]
        assert figure["n"] == 5
        assert figure["value"] > case["metrics"]["load_time"]["value"] + case["metrics"]["import_time"]["value"]
        assert case["metrics"]["p50_latency"]["how"] == "unavailable:too few samples (5 of 11)"
        assert case["metrics"]["throughput"]["value"] is None


def test_a_search_finds_a_rate_that_holds_the_bound(tmp_path: Path) -> None:
    text = SUITE.replace("max_s = 0.4", "max_s = 8").replace('"onnxruntime-cpu", ', "")
    text = text.replace('"single-stream", "multi-stream", "offline", "server", "cold-start"', '"server"')
    text = text.replace("rate = 2000", 'rate = "search", p99_ms = 500.0, max_rate = 3000').replace(
        "streams = 2, in_flight = 2, ", ""
    )
    (tmp_path / "s.toml").write_text(text)
    done = bench("run", "s.toml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    capacity = case["metrics"]["capacity"]
    (search,) = case["facts"]["searches"]
    assert search["probes"]
    if capacity["value"] is None:
        assert "no rate held the bound of 500 ms" in capacity["how"]
    else:
        assert 0 < capacity["value"] <= 3000
        assert capacity["n"] == len(search["probes"])


@pytest.mark.parametrize(
    ("scenario", "options", "said"),
    [
        ("server", "{}", "rate"),
        ("multi-stream", "{ streams = 0 }", "streams = 0"),
        ("server", "{ rate = -1 }", "rate = -1"),
    ],
)
def test_an_option_out_of_range_is_refused_with_its_place(
    tmp_path: Path, scenario: str, options: str, said: str
) -> None:
    text = SUITE.split("scenarios =", maxsplit=1)[0] + f"scenarios = ['{scenario}']\noptions = {options}\n"
    (tmp_path / "s.toml").write_text(text)
    done = bench("run", "s.toml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "matrix[0].options" in done.stderr
