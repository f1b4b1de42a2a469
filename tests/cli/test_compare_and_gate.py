"""`bench compare` and `bench gate` on real runs, as a user and a CI job see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.runner.trial import Trial
from bench.store import tables
from bench.store.manifest import read_manifest, write_manifest
from tests.conftest import bench

SUITE = """
name = "s"
[measure]
warmup_min_s = 0.05
warmup_max_s = 0.2
min_s = 0.1
max_s = 0.2
invocations = 3
[[matrix]]
variants = ["fp32"]
runtimes = ["onnxruntime-cpu"]
[gate]
p50_latency = "40%"
size = "0%"
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, `results/a` and `results/b`, of the same suite on the same model."""
    folder = tmp_path_factory.mktemp("gate")
    Trial(folder)
    (folder / "s.toml").write_text(SUITE)
    for name in ("a", "b"):
        done = bench("run", "s.toml", "--model", "trial.onnx", cwd=folder)
        assert done.returncode == 0, done.stderr
        (made,) = (path for path in (folder / "results").iterdir() if path.name not in ("a", "b"))
        made.rename(folder / "results" / name)
    return folder


def _edited(work: Path, name: str, factor: float, **machine: Any) -> None:
    """A copy of run `a` whose latencies are `factor` times as long, made on another machine where that is asked."""
    source, to = work / "results/a", work / "results" / name
    to.mkdir()
    manifest = read_manifest(source)
    environment = msgspec.structs.replace(manifest.environment, **machine)
    write_manifest(to, msgspec.structs.replace(manifest, run_id=name, environment=environment))
    rows = []
    for row in tables.read_cases(source):
        p50 = row.metrics["p50_latency"]
        times = {
            field: None if value is None else value * factor
            for field in ("value", "low", "high")
            for value in [getattr(p50, field)]
        }
        longer = msgspec.structs.replace(p50, **times)
        rows.append(msgspec.structs.replace(row, metrics=row.metrics | {"p50_latency": longer}))
    tables.write_cases(to, name, rows)


def test_two_runs_of_one_suite_are_compared_figure_by_figure(work):
    done = bench("compare", "a", "b", "--json", cwd=work)
    assert done.returncode == 0, done.stderr
    found = {change["metric"]: change for change in json.loads(done.stdout)["changes"]}
    assert found["size"]["basis"] == "exact"
    assert found["size"]["ratio"] == 1
    p50 = found["p50_latency"]
    assert p50["n"] == 3
    assert p50["low"] < p50["ratio"] < p50["high"]
    assert "without an interval" not in bench("compare", "a", "b", cwd=work).stdout


def test_a_machine_that_differs_is_named_and_may_be_allowed(work):
    _edited(work, "elsewhere", 1.0, cpu_model="Another CPU")
    refused = bench("compare", "elsewhere", "b", cwd=work)
    assert refused.returncode == 3
    assert "cpu_model: Another CPU against" in refused.stdout
    allowed = bench("compare", "elsewhere", "b", "--allow-mismatch", "cpu_model", cwd=work)
    assert allowed.returncode == 0
    assert "allowed: cpu_model" in allowed.stdout
    unknown = bench("compare", "elsewhere", "b", "--allow-mismatch", "cpu", cwd=work)
    assert unknown.returncode == 2
    gated = bench("gate", "elsewhere", "b", cwd=work)
    assert gated.returncode == 3
    assert "cpu_model" in gated.stdout


def test_the_rules_of_the_suite_hold_and_those_of_the_command_line_win(work):
    done = bench("gate", "a", "b", "--json", cwd=work)
    report = json.loads(done.stdout)
    assert {v["rule"] for v in report["verdicts"]} == {"p50_latency 40%", "size 0%"}
    assert done.returncode == report["exit_code"]
    assert next(v for v in report["verdicts"] if v["metric"] == "size")["outcome"] == "pass"
    budget = bench("gate", "a", "b", "--rule", "size<=1kB", cwd=work)
    assert budget.returncode == 1
    assert "size <= 1kB" in budget.stdout


def test_a_regression_is_measured_again_and_then_fails_the_build_with_reports(work):
    _edited(work, "fast", 0.2)
    runs = set((work / "results").iterdir())
    done = bench(
        "gate", "fast", "b", "--max-regression", "p50_latency=5%", "--markdown", "c.md", "--junit", "j.xml", "--json",
        cwd=work,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    verdict = next(v for v in json.loads(done.stdout)["verdicts"] if v["metric"] == "p50_latency")
    assert verdict["again"]["ratio"] > 2
    assert set((work / "results").iterdir()) == runs, "what was measured again is no run of its own"
    (again,) = (work / "results/b/again").iterdir()
    assert read_manifest(again).status == "complete"
    assert "1 regressed" in (work / "c.md").read_text()
    assert "<failure" in (work / "j.xml").read_text()


def test_a_baseline_that_is_not_there_is_missing_and_a_candidate_that_is_not_is_an_error(work):
    missing = bench("gate", "baseline:main", "b", cwd=work)
    assert missing.returncode == 3
    assert "missing" in missing.stdout
    wrong = bench("gate", "a", "nowhere", cwd=work)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_a_gate_without_rules_says_how_to_give_one(work, tmp_path):
    (tmp_path / "none.toml").write_text(SUITE.partition("[gate]")[0])
    done = bench("gate", "a", "b", "--suite", str(tmp_path / "none.toml"), cwd=work)
    assert done.returncode == 2
    assert "--max-regression p50_latency=5%" in done.stderr


def test_a_rule_that_cannot_be_read_stops_the_run_before_it_begins(work, tmp_path):
    (tmp_path / "s.toml").write_text(SUITE.replace('"40%"', '"fast"'))
    done = bench("run", str(tmp_path / "s.toml"), "--model", str(work / "trial.onnx"), cwd=tmp_path)
    assert done.returncode == 2
    assert "gate.p50_latency" in done.stderr
    assert not (tmp_path / "results").exists()
