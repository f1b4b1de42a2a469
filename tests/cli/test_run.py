"""The main job as a user runs it: one real run, looked at from every side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bench.record.metric import METRICS
from bench.store import journal
from tests.conftest import bench

pytestmark = pytest.mark.timeout(900)
FAST = """
name = "fast"
[measure]
warmup_min_s = 0.05
warmup_max_s = 0.2
min_s = 0.1
max_s = 0.2
[[matrix]]
models = ["mnist_cnn@digits"]
variants = ["fp32", "int8"]
runtimes = ["onnxruntime-cpu", "litert-xnnpack"]
"""


@pytest.fixture
def fast(tmp_path: Path) -> Path:
    path = tmp_path / "fast.toml"
    path.write_text(FAST)
    return path


def by_name(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {case["name"]: case for case in run["cases"]}


def test_every_case_of_the_default_suite_is_measured(quick_run: dict[str, Any], tmp_path: Path) -> None:
    assert len(quick_run["cases"]) >= 16
    assert {case["name"] for case in quick_run["cases"]} == set(bench("run", "--dry-run", cwd=tmp_path).stdout.split())
    for case in quick_run["cases"]:
        assert case["status"] == "ok", case["failure"]
        figures = case["metrics"]
        assert set(figures) == set(METRICS)
        for name in ("p50_latency", "p90_latency", "p99_latency"):
            figure = figures[name]
            assert figure["n"] > 0
            assert figure["unit"] == "s"
            assert figure["value"] is not None or "too few samples" in figure["how"]
        for name in ("accuracy", "rss_before_load", "rss_after_load", "rss_steady", "peak_rss", "pss_steady", "size"):
            assert figures[name]["value"] is not None, (case["name"], figures[name])
        assert figures["energy"]["value"] is not None or len(figures["energy"]["how"]) > len("unavailable:")
        assert figures["energy"]["value"] != 0
        assert case["placement"]["evidence"]
        assert case["dataset"].startswith("digits-28x28")


def test_figures_of_a_case_are_in_order(quick_run: dict[str, Any]) -> None:
    for case in quick_run["cases"]:
        value = {name: figure["value"] for name, figure in case["metrics"].items()}
        quantiles = [value[name] for name in ("p50_latency", "p90_latency", "p99_latency") if value[name] is not None]
        assert quantiles == sorted(quantiles)
        assert quantiles, case["name"]
        assert value["rss_before_load"] < value["rss_after_load"]
        assert value["rss_steady"] <= value["peak_rss"]
        assert 0.5 < value["throughput"] * value["mean_latency"] <= 1.01


def test_the_measuring_process_imported_nothing_that_it_does_not_measure_with(quick_run: dict[str, Any]) -> None:
    assert {tuple(case["facts"]["heavy_modules"]) for case in quick_run["cases"]} == {()}


def test_onnx_fp32_agrees_with_keras_and_int8_keeps_the_accuracy(quick_run: dict[str, Any]) -> None:
    cases = by_name(quick_run)
    plain = cases["mnist_cnn@digits/fp32/onnxruntime-cpu/t1/b1/single-stream"]["metrics"]
    assert plain["parity_max_abs"]["value"] < 1e-4
    assert plain["accuracy"]["value"] >= 0.96
    assert plain["accuracy"]["low"] < plain["accuracy"]["value"] < plain["accuracy"]["high"]
    for target in ("onnxruntime-cpu", "litert-xnnpack", "litert-builtin", "litert-compiled-cpu"):
        int8 = cases[f"mnist_cnn@digits/int8/{target}/t1/b1/single-stream"]["metrics"]
        assert abs(int8["accuracy"]["value"] - plain["accuracy"]["value"]) <= 0.02


def test_smaller_variants_are_smaller_and_pruned_weights_are_zero(quick_run: dict[str, Any]) -> None:
    cases = by_name(quick_run)
    for target in ("onnxruntime-cpu", "litert-xnnpack"):
        size = {
            v: cases[f"mnist_cnn@digits/{v}/{target}/t1/b1/single-stream"]["artifact"]
            for v in ("fp32", "fp16", "int8", "pruned")
        }
        assert size["int8"]["bytes"] < size["fp16"]["bytes"] < size["fp32"]["bytes"]
        assert size["pruned"]["sparsity"] >= 0.7
        assert size["fp32"]["sparsity"] < 0.1


def test_the_run_folder_holds_what_the_design_names_and_the_tables_agree(quick_run: dict[str, Any]) -> None:
    folder = Path(quick_run["cwd"], quick_run["folder"])
    # Profiles are there where a variant was slower than it should be.
    names = {path.name for path in folder.iterdir()} - {"profiles"}
    assert names == {
        "manifest.json",
        "cases.parquet",
        "latencies.parquet",
        "telemetry.parquet",
        "robustness.svg",
        "summary.csv",
        "summary.md",
    }
    latencies = pl.read_parquet(folder / "latencies.parquet")
    for case in quick_run["cases"]:
        mine = latencies.filter(pl.col("case_id") == case["id"])["latency_ns"].to_numpy()
        figure = case["metrics"]["p50_latency"]
        assert len(mine) == figure["n"]
        assert np.quantile(mine, 0.5, method="inverted_cdf") * 1e-9 == pytest.approx(figure["value"])
    summary = pl.read_csv(folder / "summary.csv")
    assert summary["p50_latency_s"].to_list() == [c["metrics"]["p50_latency"]["value"] for c in quick_run["cases"]]
    assert "digits-28x28" in (folder / "summary.md").read_text()
    telemetry = pl.read_parquet(folder / "telemetry.parquet")
    assert set(telemetry["edge"].unique().drop_nulls()) == {"before-load", "after-load", "measure-start", "measure-end"}


def test_progress_goes_to_standard_error_with_case_name_and_time_left(quick_run: dict[str, Any]) -> None:
    assert "mnist_cnn@digits/int8/litert-xnnpack/t1/b1/single-stream: p50" in quick_run["stderr"]
    assert "s left)" in quick_run["stderr"]


def test_show_list_and_resume_of_a_complete_run_read_it_back(quick_run: dict[str, Any]) -> None:
    cwd = Path(quick_run["cwd"])
    again = json.loads(bench("show", "latest", "--json", cwd=cwd).stdout)
    assert again["cases"] == quick_run["cases"]
    shown = bench("show", quick_run["run_id"][:18], cwd=cwd)
    assert "int8-dynamic" in shown.stdout
    listed = json.loads(bench("list", "runs", "--json", cwd=cwd).stdout)
    assert listed[0]["status"] == "complete"
    resumed = json.loads(bench("run", "--resume", "latest", "--json", cwd=cwd).stdout)
    assert resumed["cases"] == quick_run["cases"]


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_a_case(cwd: Path, count: int = 1) -> Path:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for folder in cwd.glob("results/*"):
            if len(journal.files(folder)) >= count:
                return folder
        time.sleep(0.02)
    raise AssertionError("no case was finished")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done_exits_130_and_resume_goes_on(fast: Path, tmp_path: Path, number: int) -> None:
    process = start("run", str(fast), cwd=tmp_path)
    folder = wait_for_a_case(tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "cases done: go on with `bench run --resume" in out
    kept = json.loads(bench("show", "latest", "--json", cwd=tmp_path).stdout)
    assert kept["status"] == "interrupted"
    assert 1 <= len(kept["cases"]) < 4
    done = bench("run", "--resume", "latest", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    whole = json.loads(done.stdout)
    assert whole["folder"].endswith(folder.name)
    assert whole["status"] == "complete"
    assert len(whole["cases"]) == 4
    before = {case["id"]: case for case in kept["cases"]}
    for case in whole["cases"]:
        assert case == before.get(case["id"], case), "what was finished stays as it was"


def test_a_run_that_is_going_on_is_not_resumed_by_another_process(fast: Path, tmp_path: Path) -> None:
    process = start("run", str(fast), "--json", cwd=tmp_path)
    wait_for_a_case(tmp_path)
    refused = bench("run", "--resume", "latest", cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(json.loads(out)["cases"]) == 4
    if refused.returncode == 0:
        pytest.skip("the run was over before the other process came")
    assert refused.returncode == 2
    assert "another process is measuring this run" in refused.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_killed_run_resumes_and_loses_at_most_the_case_in_flight(fast: Path, tmp_path: Path) -> None:
    process = start("run", str(fast), cwd=tmp_path)
    folder = wait_for_a_case(tmp_path, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.communicate()
    kept = len(journal.files(folder))
    refused = bench("show", "latest", cwd=tmp_path)
    assert refused.returncode == 2
    assert f"bench run --resume {folder.name}" in refused.stderr
    done = bench("run", "--resume", folder.name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"[{kept + 1}/4]" in done.stderr
    assert f"[{kept}/4]" not in done.stderr


def test_a_resumed_run_refuses_a_model_that_changed(tmp_path: Path, data_dir: Path) -> None:
    model = tmp_path / "mine.tflite"
    model.write_bytes((data_dir / "models/mlperf-tiny-ad/ad01_fp32.tflite").read_bytes())
    suite = tmp_path / "s.toml"
    suite.write_text(FAST.replace('variants = ["fp32", "int8"]', 'variants = ["fp32"]\nthreads = [1, 2]'))
    process = start("run", str(suite), "--model", str(model), cwd=tmp_path)
    wait_for_a_case(tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    model.write_bytes((data_dir / "models/mlperf-tiny-ad/ad01_int8.tflite").read_bytes())
    refused = bench("run", "--resume", "latest", cwd=tmp_path)
    assert refused.returncode == 2
    assert "the model 'mine' or its data changed since the run began" in refused.stderr


def test_a_bundle_measures_the_same_artifacts(digits_bundle: tuple[Path, Any], tmp_path: Path) -> None:
    folder, bundle = digits_bundle
    done = bench(
        "run",
        str(folder),
        "--only",
        "onnxruntime",
        "--json",
        cwd=tmp_path,
        env={"BENCH_CACHE_DIR": str(tmp_path / "none")},
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert [case["variant"] for case in (c["case"] for c in run["cases"])] == ["fp32", "int8"]
    digests = {a.sha256 for a in bundle.artifacts}
    assert {case["artifact"]["sha256"] for case in run["cases"]} <= digests
    assert not (tmp_path / "none").exists(), "a bundle exports nothing"
