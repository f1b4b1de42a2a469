"""A suite file whose cases are tests, under pytest-benchmark's own options."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import polars as pl
import project
import pytest

from bench.pytest_plugin.measuring import _Logged
from bench.store.manifest import read_manifest
from bench.store.tables import read_cases

pytest_plugins = ["pytester"]

FP32 = "model/fp32/onnxruntime-cpu/t1/b1/single-stream"
DYNAMIC = "model/int8-dynamic/onnxruntime-cpu/t1/b1/single-stream"
INT8 = "model/int8/onnxruntime-cpu/t1/b1/single-stream"
FILE = "tests/dense.bench.toml"
FROM_PYTHON = f"""
def test_fp32_is_measured(bench_case):
    row = bench_case("model.onnx", threads=2, measure={project.BRIEF})
    assert row.status == "ok"
    assert row.case.threads == 2
    assert row.metrics["p50_latency"].value > 0
"""
HAS_PYGAL = importlib.util.find_spec("pygal") is not None


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A project whose suite and Python test were measured once, and kept in every way there is."""
    files = {"dense.bench.toml": project.suite(["fp32", "int8", "int8-dynamic"]), "test_speed.py": FROM_PYTHON}
    folder = project.make(tmp_path_factory.mktemp("project"), files)
    asked = ["--benchmark-json", "all.json", "--benchmark-autosave", "--bench-out", "results"]
    asked += ["--benchmark-histogram=drawn/all"] if HAS_PYGAL else []
    return folder, project.run_pytest(folder, *asked)


def benchmarks(path: Path) -> dict[str, dict[str, Any]]:
    return {bench["fullname"]: bench for bench in json.loads(path.read_text())["benchmarks"]}


def kept_in(folder: Path) -> Path:
    (run,) = (folder / "results").iterdir()
    return run


def test_every_case_is_a_test_and_what_is_not_available_is_skipped_with_its_reason(
    measured: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = measured
    assert done.returncode == 0, done.stdout
    assert f"PASSED {FILE}::{FP32}" in done.stdout
    assert f"PASSED {FILE}::{DYNAMIC}" in done.stdout
    (skipped,) = (line for line in done.stdout.splitlines() if line.startswith("SKIPPED"))
    assert "calibration" in skipped
    assert INT8 in done.stdout


def test_the_json_of_pytest_benchmark_holds_the_samples_and_how_they_were_got(
    measured: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = measured
    told = benchmarks(folder / "all.json")
    python = f"tests/test_speed.py::test_fp32_is_measured[{FP32.replace('t1', 't2')}]"
    assert set(told) == {f"{FILE}::{FP32}", f"{FILE}::{DYNAMIC}", python}
    raw = pl.read_parquet(kept_in(folder) / "latencies.parquet")
    for row in read_cases(kept_in(folder)):
        bench = next(each for each in told.values() if each["extra_info"]["case"] == row.case.name)
        samples = raw.filter(pl.col("case_id") == row.case.id)["latency_ns"].to_list()
        assert bench["stats"]["data"] == [ns / 1e9 for ns in samples]
        assert bench["stats"]["iterations"] == 1
        assert bench["extra_info"]["samples"] == len(samples) == bench["stats"]["rounds"]
        assert bench["extra_info"]["unit"] == "s"
        assert bench["extra_info"]["provider"] == "CPUExecutionProvider"
        assert bench["extra_info"]["peak_rss"] == row.metrics["peak_rss"].value > 0
        assert bench["options"]["max_s"] == project.BRIEF["max_s"]


def test_what_was_measured_is_one_run_that_can_be_shown_later(
    measured: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = measured
    run = kept_in(folder)
    manifest = read_manifest(run)
    assert manifest.status == "complete"
    assert manifest.run_id == run.name
    assert [case.name for case in manifest.cases] == [FP32, DYNAMIC, FP32.replace("t1", "t2")]
    assert [row.case for row in read_cases(run)] == list(manifest.cases)
    assert (run / "summary.md").is_file()
    assert f"3 cases kept in results/{run.name}" in done.stdout


@pytest.mark.skipif(not HAS_PYGAL, reason="pytest-benchmark draws with pygal, which is not installed")
def test_a_histogram_is_drawn(measured: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = measured
    assert list((folder / "drawn").glob("all*.svg"))


def test_a_later_run_is_compared_with_the_saved_one_and_may_fail_by_it(
    measured: tuple[Path, subprocess.CompletedProcess[str]],
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, _ = measured
    monkeypatch.chdir(folder)
    (saved,) = (folder / ".benchmarks").glob("*/0001*.json")
    content = json.loads(saved.read_text())
    for bench in content["benchmarks"]:
        bench["stats"] = {name: v / 1e3 if isinstance(v, float) else v for name, v in bench["stats"].items()}
    saved.write_text(json.dumps(content))
    asked = ["--benchmark-compare=0001", "--benchmark-compare-fail=min:5%"]
    code, told = project.inside(pytester, FILE, "-k", "fp32", *asked)
    assert code != 0
    assert "Performance has regressed" in told
    assert f"{FP32} (0001" in told
    assert f"{FP32} (NOW)" in told
    assert DYNAMIC not in told


def test_skipped_benchmarks_export_and_measure_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(pytester.path / "cache"))
    project.make(pytester.path, {"dense.bench.toml": project.suite(["fp32"]), "test_speed.py": FROM_PYTHON})
    code, told = project.inside(pytester, "--benchmark-skip")
    assert code == 0, told
    assert "2 skipped" in told
    assert not (pytester.path / "cache").exists()


def test_disabled_benchmarks_run_every_case_for_a_moment_and_leave_no_figures(pytester: pytest.Pytester) -> None:
    long = {"warmup_min_s": 50.0, "warmup_max_s": 51.0, "min_s": 60.0, "max_s": 61.0, "timeout_s": 400}
    gate = '[gate]\np50_latency = "<= 1ns"'
    files = {
        "dense.bench.toml": project.suite(["fp32"], invocations=5, **long) + gate,
        "small.bench.toml": project.suite(["fp32"], memory_limit_mb=1),
        "test_speed.py": 'def test_no_model(bench_case):\n    bench_case("absent.onnx")\n',
    }
    project.make(pytester.path, files)
    _, told = project.inside(pytester, "--benchmark-disable", "--bench-out", "results", "--benchmark-json", "none.json")
    assert f"PASSED {FILE}::{FP32}" in told
    assert not (pytester.path / "none.json").exists()
    assert not (pytester.path / "results").exists()
    # What fails is a failed test with the reason, and nothing of ours around it.
    assert f"FAILED tests/small.bench.toml::{FP32}" in told
    assert f"\n{FP32}: out of memory (limit 1 MiB)\n" in told
    assert "FAILED tests/test_speed.py::test_no_model" in told
    assert "\nthere is no such model file\n" in told
    assert "Traceback" not in told
    assert "During handling" not in told
    assert "bench/pytest_plugin" not in told


def test_a_suite_alone_is_kept_under_its_own_name_and_what_cannot_be_kept_fails_the_session(
    pytester: pytest.Pytester,
) -> None:
    project.make(pytester.path, {"dense.bench.toml": project.suite(["fp32"])})
    code, told = project.inside(pytester, "--bench-out", "results")
    assert code == 0, told
    assert read_manifest(kept_in(pytester.path)).suite["name"] == "dense"
    code, told = project.inside(pytester, "--bench-out", "pytest.ini/results")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "bench: nothing was kept: " in told
    assert "pytest.ini" in told


def test_two_models_of_one_name_are_told_in_the_run_that_keeps_both(pytester: pytest.Pytester) -> None:
    project.make(pytester.path, {"dense.bench.toml": project.suite(["fp32"])})
    (pytester.path / "tests" / "other").mkdir()
    project.dense(pytester.path / "tests" / "other" / "model.onnx", 32)
    (pytester.path / "tests" / "other" / "wide.bench.toml").write_text(
        project.suite(["fp32", "int8-dynamic"], min_s=0.06)
    )
    code, told = project.inside(pytester, "--bench-out", "results")
    assert code == 0, told
    manifest = read_manifest(kept_in(pytester.path))
    assert [case.name for case in manifest.cases] == [FP32, DYNAMIC]
    assert manifest.suite["name"] == "pytest"
    assert any(note.startswith("more than one model is called model: ") for note in manifest.notes)
    assert f"{FP32} was measured more than once: the first is kept" in manifest.notes
    assert any("suites with different [measure] tables" in note for note in manifest.notes)


def test_a_suite_that_cannot_be_read_is_a_collection_error_with_the_remedy(pytester: pytest.Pytester) -> None:
    project.make(pytester.path, {"dense.bench.toml": project.suite(["fp33"])})
    code, told = project.inside(pytester)
    assert code == pytest.ExitCode.INTERRUPTED
    assert "did you mean 'fp32'?" in told
    assert "Traceback" not in told


def test_a_model_that_cannot_be_used_fails_the_setup_of_all_its_cases(pytester: pytest.Pytester) -> None:
    wrong = project.suite(["fp32", "int8-dynamic"], head='[inputs.x0]\ndtype = "int32"')
    project.make(pytester.path, {"dense.bench.toml": wrong})
    code, told = project.inside(pytester)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert f"ERROR {FILE}::{FP32}" in told
    assert f"ERROR {FILE}::{DYNAMIC}" in told
    assert "\nthe input 'x0' is said to be int32" in told
    assert "Traceback" not in told


def test_without_pytest_benchmark_a_suite_is_skipped_and_refused_when_asked_for(pytester: pytest.Pytester) -> None:
    project.make(pytester.path, {"dense.bench.toml": project.suite(["fp32"]), "test_speed.py": FROM_PYTHON})
    needs = "needs pytest-benchmark: pip install 'counterpoise[pytest]'"
    _, told = project.inside(pytester, "-p", "no:benchmark")
    assert f"the suite dense.bench.toml {needs}" in told
    assert f"bench_case {needs}" in told
    code, told = project.inside(pytester, "-p", "no:benchmark", FILE)
    assert code == pytest.ExitCode.INTERRUPTED
    assert needs in told


def test_a_stage_goes_to_the_log_and_what_passes_by_does_not(caplog: pytest.LogCaptureFixture) -> None:
    told = _Logged()
    with caplog.at_level("INFO", "bench"):
        told.stage("exporting model")
        told.stage("epoch 3 of 9", 0.3, passing=True)
    assert caplog.messages == ["exporting model"]


def test_the_plugin_is_loaded_by_every_pytest_and_costs_it_no_heavy_import() -> None:
    (found,) = entry_points(group="pytest11", name="counterpoise")
    assert found.value == "bench.pytest_plugin"
    program = """
import sys, pytest
before = set(sys.modules)
import bench.pytest_plugin
from bench.pytest_plugin import absent, fixture, gate, keep
print(" ".join(sorted({name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bench"]
