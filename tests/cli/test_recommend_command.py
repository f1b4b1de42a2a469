"""`bench recommend` and `bench pareto` on kept runs, as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import msgspec
import pytest

from bench.record.measurement import Measurement
from bench.record.row import Row
from tests.conftest import bench as command
from tests.kept_runs import failed, keep, observed, row_of

PROFILES = Path(__file__).parents[2] / "hardware_profiles"


def figure(value: float, unit: str, half: float) -> Measurement:
    low, high = value * (1 - half), value * (1 + half)
    return Measurement(value=value, unit=unit, n=100, how="measured:x", low=low, high=high, confidence=0.95)


def judged(variant: str, latency_us: float, accuracy: float, capacity: float, **case: Any) -> list[Row]:
    """Single-stream and server rows of one choice."""
    one = row_of(observed(variant, latency_us, **case))
    one = msgspec.structs.replace(one, metrics=one.metrics | {"accuracy": figure(accuracy, "1", 0.002)})
    options = {"rate": "search", "p99_ms": 10.0}
    server = row_of(observed(variant, latency_us, scenario="server", options=options, **case))
    return [one, msgspec.structs.replace(server, metrics=server.metrics | {"capacity": figure(capacity, "1/s", 0.02)})]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `a` of three choices, one of which failed, and a run `b` of two models."""
    folder = tmp_path_factory.mktemp("recommend") / "results"
    rows = [*judged("fp32", 80, 0.99, 1000), *judged("int8", 40, 0.98, 4000), failed("pruned")]
    keep(folder, "20260101-000000-s-a", rows)
    (folder.parent / "costs.toml").write_text("life_months = 12\n")
    generic = (PROFILES / "generic-cpu.toml").read_text()
    (folder.parent / "priceless.toml").write_text(generic.partition("[price]")[0])
    keep(folder, "20260103-000000-s-c", judged("fp32", 80, 0.99, 1000)[:1], status="running")
    (one, server) = judged("fp32", 80, 0.99, 1000)
    unbound = msgspec.structs.replace(server, case=msgspec.structs.replace(server.case, options={"rate": "search"}))
    keep(folder, "20260104-000000-s-d", [one, unbound])
    keep(folder, "20260102-000000-s-b", [*rows, *judged("fp32", 90, 0.9, 500, model="other")])
    return folder


def bench(results: Path, *words: str) -> CompletedProcess[str]:
    return command(*words, cwd=results.parent)


RUN = "20260101"


def test_five_lines_and_a_table(results):
    done = bench(results, "recommend", RUN, "--min-accuracy", "0.97")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["choice", "gains", "rivals", "binds", "confidence"]
    assert "m/int8/onnxruntime-cpu/t1/b1: p50" in lines[0]
    assert "│ int8" in done.stdout
    assert "failed: it crashed" in done.stdout


def test_traffic_asks_for_money_and_replicas(results):
    words = ("--traffic", "10000/s", "--max-p99", "10ms", "--profile", "generic-cpu", "--json")
    done = bench(results, "recommend", RUN, *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["objective"], told["profile"], told["traffic"]) == ("cost", "generic-cpu", 10_000.0)
    (best,) = (c for c in told["candidates"] if c["name"] == told["chosen"])
    assert best["choice"]["variant"] == "int8"
    # 10,000 / (4,000 x 0.7), rounded up.
    assert best["replicas"]["figure"]["value"] == 4


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--max-size", "1KiB"], 1),
        (["--max-memory", "100MiB"], 3),
        (["--min-accuracy", "0.989"], 3),
        (["--min-accuracy", "0.989", "--accept-unsure"], 0),
        (["--objective", "size"], 0),
        (["--only", "*/fp32/*"], 0),
    ],
)
def test_the_exit_code_tells_surely_none_from_not_enough_evidence(results, words, code):
    assert bench(results, "recommend", RUN, *words).returncode == code


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["20260102"], "the run has 2 models"),
        (["20260102", "--model", "othr"], "unknown model 'othr'"),
        ([RUN, "--budget", "100"], "a budget is for a month of traffic"),
        ([RUN, "--max-p99", "10"], "cannot read the latency"),
        ([RUN, "--metric", "acuracy"], "unknown figure of quality"),
        ([RUN, "--only", "nothing"], "the run has no such choice"),
        ([RUN, "--on", "x86", "--profile", "generic-cpu"], "the target's own profile has its prices"),
        ([RUN, "--profile", "genric-cpu", "--traffic", "1/s"], "unknown hardware profile"),
        ([RUN, "--objective", "cost", "--profile", "priceless.toml"], "there is no price to reckon with"),
        ([RUN, "--traffic", "0/s"], "over 0"),
        ([RUN, "--min-accuracy", "nan"], "not a number"),
        ([RUN, "--min-accuracy", "97"], "such as 0.97"),
        ([RUN, "--headroom", "0.2"], "--headroom"),
        ([RUN, "--profile", "generic-cpu", "--costs", "costs.toml"], "needs the traffic"),
        ([RUN, "--traffic", "1/s", "--headroom", "1"], "head-room"),
    ],
)
def test_a_mistake_is_told_with_exit_code_2(results, words, told):
    done = bench(results, "recommend", *words)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr


@pytest.mark.parametrize("words", [["recommend"], ["pareto"], ["cost", "--profile", "generic-cpu"]])
def test_a_run_that_is_not_complete_or_a_search_without_a_bound_is_read_all_the_same(results, words):
    name, *rest = words
    assert "the run is not complete (running)" in bench(results, name, "20260103", *rest).stdout
    done = bench(results, name, "20260104", *rest)
    assert done.returncode == 0, done.stderr


def test_of_several_models_one_is_named(results):
    done = bench(results, "recommend", "20260102", "--model", "other", "--json")
    assert json.loads(done.stdout)["chosen"].startswith("other/fp32/")


def test_the_front_is_shown_drawn_and_printed(results, tmp_path):
    picture = tmp_path / "front.svg"
    done = bench(results, "pareto", RUN, "--svg", str(picture))
    assert done.returncode == 0, done.stderr
    assert "surely on" in done.stdout
    assert picture.read_text().startswith("<svg")
    told = json.loads(bench(results, "pareto", "20260102", "--json", "--metric", "p50_latency").stdout)
    assert [front["model"] for front in told["fronts"]] == ["m", "other"]
    stands = {each["variant"]: each["standing"] for each in told["fronts"][0]["placed"]}
    assert stands == {"int8": "on", "fp32": "off", "pruned": "not placed"}


def test_a_front_without_any_figure_is_inconclusive(results):
    assert bench(results, "pareto", RUN, "--metric", "energy").returncode == 3
    assert bench(results, "pareto", RUN, "--metric", "enrgy").returncode == 2
